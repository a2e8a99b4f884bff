"""The training step in JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import keras

from lib.training.step.base import Parts, Step


class JaxStep(Step):
    def __init__(self, parts: Parts):
        super().__init__(parts)
        variables = {id(variable): variable for holder in (*parts.networks.values(),
                                                           *parts.averages.values(),
                                                           *parts.optimizers.values())
                     for variable in holder.variables}
        self._variables = list(variables.values())
        self._state = None

        def done(place, state, batch, rate):
            """Phase number `place`."""
            mapping = dict(zip(variables, state))

            def total(values):
                current = mapping | {id(variable): value
                                     for group, group_variables in parts.trained.items()
                                     for variable, value in zip(group_variables, values[group])}
                pairs = [(variable, current[key]) for key, variable in variables.items()]
                with keras.StatelessScope(state_mapping=pairs) as scope:
                    losses = parts.phases[place].losses(parts.networks, batch)
                    totals, named = parts.scaled(losses), parts.named(losses)
                changed = [scope.get_current_value(variable) for variable in self._variables]
                return totals, (named, changed)

            trained = {group: [mapping[id(variable)] for variable in group_variables]
                       for group, group_variables in parts.trained.items()}
            gradients, (named, changed) = _gradients(total, trained)
            with keras.StatelessScope(state_mapping=list(zip(self._variables, changed))) as scope:
                row = self._row(place, named, gradients)
                parts.apply(gradients, rate)
            after = [scope.get_current_value(variable) for variable in self._variables]
            return [value if value is not None else before
                    for value, before in zip(after, changed)], row

        def iterate(state, held, fed, number, rate, share):
            batch, rows = parts.prepare(fed, held), []
            for place, phase in enumerate(parts.phases):
                if phase.every == 1:
                    state, row = done(place, state, batch, rate)
                else:
                    state, row = jax.lax.cond(
                        number % phase.every == 0,
                        lambda state, place=place: done(place, state, batch, rate),
                        lambda state, place=place: (state, self._nothing(place)), state)
                rows.append(row)
            with keras.StatelessScope(state_mapping=list(zip(self._variables, state))) as scope:
                parts.follow(share)
            after = [scope.get_current_value(variable) for variable in self._variables]
            return [value if value is not None else before
                    for value, before in zip(after, state)], jax.numpy.concatenate(rows)

        def run(state, held, fed, numbers, rates, shares):
            def scanned(state, inputs):
                return iterate(state, held, *inputs)

            state, rows = jax.lax.scan(scanned, state, (fed, numbers, rates, shares))
            return state, rows.sum(0)

        self._compiled = jax.jit(run, donate_argnums=0)
        self._held = self._placed(parts.held)

    def _run(self, fed, numbers, rates, shares):
        if self._state is None:
            # copies: what is donated is gone
            self._state = [jax.numpy.array(variable.value) for variable in self._variables]
        self._state, sums = self._compiled(self._state, self._held,
                                           self._placed(fed, None, "batch"), numbers, rates, shares)
        return sums

    @staticmethod
    def _placed(arrays, *axes: str | None):
        """On several devices: a copy on each, or of the axis "batch" a part on each."""
        distribution = keras.distribution.distribution()
        if distribution is None:
            return arrays
        mesh = distribution.device_mesh.backend_mesh
        names = [mesh.axis_names[0] if axis else None for axis in axes]
        placement = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*names))
        return jax.device_put(arrays, placement)

    def sync(self) -> None:
        if self._state is not None:
            for variable, value in zip(self._variables, self._state):
                variable.assign(value)
            self._state = None


def _gradients(total: Callable, trained: Mapping[str, list]) -> tuple[dict[str, list], Any]:
    """By group the gradients of its total, and what else `total` returns; JAX differentiates one
    number at a time.

    What the total does not depend on gets zeros.
    """
    if len(trained) == 1:
        group, = trained
        (_,
         rest), gradients = jax.value_and_grad(lambda values: ((result := total(values))[0][group],
                                                               result[1]), has_aux=True)(trained)
        return gradients, rest
    totals, back, rest = jax.vjp(total, trained, has_aux=True)
    return {group: back({name: jax.numpy.full_like(value, name == group)
                         for name, value in totals.items()})[0][group] for group in totals}, rest
