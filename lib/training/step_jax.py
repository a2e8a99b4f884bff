"""The training step in JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import keras

from lib.training.step import Parts, Step


class JaxStep(Step):
    def __init__(self, parts: Parts):
        super().__init__(parts)
        variables = {id(variable): variable for holder in (*parts.networks.values(), *parts.averages.values(), *parts.optimizers.values())
                     for variable in holder.variables}
        self._variables = list(variables.values())
        self._state = None
        trained = [variable for its in parts.trained.values() for variable in its]

        def one(state, held, fed, rate, share):
            mapping = dict(zip(variables, state))

            def total(values):
                known = mapping | {id(variable): value for variable, value in zip(trained, values)}
                with keras.StatelessScope(state_mapping=[(variable, known[key]) for key, variable in variables.items()]) as scope:
                    losses = parts.model.losses(parts.networks, parts.prepare(fed, held))
                    totals = parts.scaled(losses)
                    row = self._stacked(losses)
                changed = [scope.get_current_value(variable) for variable in self._variables]
                return totals, (row, changed)

            gradients, (row, changed) = _gradients(total, parts.trained, [mapping[id(variable)] for variable in trained])
            with keras.StatelessScope(state_mapping=list(zip(self._variables, changed))) as scope:
                parts.apply(gradients, rate)
                parts.follow(share)
            after = [scope.get_current_value(variable) for variable in self._variables]
            return [one if one is not None else before for one, before in zip(after, changed)], row

        def run(state, held, fed, rates, shares):
            def scanned(state, this):
                return one(state, held, *this)

            state, rows = jax.lax.scan(scanned, state, (fed, rates, shares))
            return state, rows.sum(0)

        self._compiled = jax.jit(run, donate_argnums=0)
        self._held = self._placed(parts.held)

    def _run(self, fed, rates, shares):
        if self._state is None:
            self._state = [jax.numpy.array(variable.value) for variable in self._variables]  # copies: what is donated is gone
        self._state, sums = self._compiled(self._state, self._held, self._placed(fed, None, "batch"), rates, shares)
        return sums

    @staticmethod
    def _placed(arrays, *axes: str | None):
        """On several devices: a copy on each, or of the axis "batch" a part on each."""
        distribution = keras.distribution.distribution()
        if distribution is None:
            return arrays
        mesh = distribution.device_mesh.backend_mesh
        names = [mesh.axis_names[0] if axis else None for axis in axes]
        return jax.device_put(arrays, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*names)))

    def sync(self) -> None:
        if self._state is not None:
            for variable, value in zip(self._variables, self._state):
                variable.assign(value)
            self._state = None


def _gradients(total: Callable, trained: Mapping[str, Sequence], values: list) -> tuple[dict[str, list], Any]:
    """By group the gradients of its total, and what `total` gives besides; JAX differentiates one number at a time."""
    if len(trained) == 1:
        group, = trained
        (_, rest), found = jax.value_and_grad(lambda values: ((result := total(values))[0][group], result[1]), has_aux=True)(values)
        return {group: found}, rest
    _, back, rest = jax.vjp(total, values, has_aux=True)
    gradients, start = {}, 0
    for group, its in trained.items():
        found, = back({other: jax.numpy.ones(()) if other == group else jax.numpy.zeros(()) for other in trained})
        gradients[group], start = found[start:start + len(its)], start + len(its)
    return gradients, rest
