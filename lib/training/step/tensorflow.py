"""The training step in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import tensorflow as tf

from lib.nn import private
from lib.training.step.base import Parts, Step

import keras  # isort: skip
from keras import ops  # isort: skip

# optimizers whose update of a variable is one operation of TensorFlow's, as `_adam`
FUSED = {keras.optimizers.Adam}


class TensorFlowStep(Step):
    def __init__(self, parts: Parts):
        super().__init__(parts)
        self._several = parts.devices.strategy is not None
        self._fused = not self._several
        self._take_over_optimizers()

        # Operation by operation an update of all weights takes ten times as long: it is memory that
        # it waits for. What has no operation of its own is compiled by XLA, which takes some
        # seconds at each start. Nothing here branches on tensors, so that rewriting the code for it
        # (autograph) would do nothing but take a second at each start
        options = dict(autograph=False, jit_compile=not self._fused)
        if self._several:
            self._update, self._move_averages = self._updated_together, self._followed_together
            self._held = tf.nest.map_structure(self._everywhere, parts.held)
        else:
            self._update = tf.function(parts.apply, **options)
            self._move_averages = tf.function(self._followed, **options)
            self._held = parts.held
        self._compiled = tf.function(self._iterations, autograph=False)

    def _take_over_optimizers(self) -> None:
        """Makes the optimizers take gradients as they are, and fuses their updates if possible."""
        for optimizer in self.parts.optimizers.values():
            for inner in (optimizer, getattr(optimizer, "inner_optimizer", optimizer)):
                # Of several devices the gradients are gathered below, as clipping needs the whole
                # batch's. Of one, TensorFlow would gather them in a way that never gives back the
                # memory of the networks and optimizers that a step has trained
                private.gather_no_gradients(inner)
            self._fused = self._fused and type(inner) in FUSED and not inner.amsgrad
            if self._fused:
                inner.update_step = partial(_adam, inner)

    def _phase(self, place: int, batch, rate):
        """Phase number `place`: its losses, and an update."""
        parts = self.parts
        with tf.GradientTape(persistent=len(parts.trained) > 1) as tape:
            losses = parts.phases[place].losses(parts.networks, batch)
            totals = parts.scaled(losses)
        variables = {group: [variable.value for variable in parts.trained[group]]
                     for group in totals}
        gradients = {group: tape.gradient(total, variables[group])
                     for group, total in totals.items()}
        self._update(gradients, rate)
        return self._row(place, parts.named(losses), gradients)

    def _iterate(self, fed, held, number, rate, share):
        """One iteration, on one device."""
        batch, rows = self.parts.prepare(fed, held), []
        for place, phase in enumerate(self.parts.phases):
            if phase.every == 1:
                rows.append(self._phase(place, batch, rate))
            else:
                rows.append(tf.cond(number % phase.every == 0,
                                    lambda place=place: self._phase(place, batch, rate),
                                    lambda place=place: self._nothing(place)))
        if self.parts.slow:
            self._move_averages(share)
        return tf.concat(rows, 0)

    def _iterate_on_all(self, fed, number, rate, share):
        """One iteration, each device on its part of the batch."""
        if not self._several:
            return self._iterate(fed, self._held, number, rate, share)
        parts = self.parts
        for group, optimizer in parts.optimizers.items():
            optimizer.learning_rate = rate * parts.model.share_of_rate(group)
        arguments = fed, self._held, number, rate, share
        rows = parts.devices.strategy.run(self._iterate, arguments)
        return parts.devices.strategy.reduce(tf.distribute.ReduceOp.MEAN, rows, axis=None)

    def _iterations(self, fed, numbers, rates, shares):
        """As many iterations as there are `rates`, in one call."""
        if rates.shape[0] == 1:
            return self._iterate_on_all(self._of(fed, 0), numbers[0], rates[0], shares[0])
        rows = tf.TensorArray(tf.float32, rates.shape[0], infer_shape=False)

        def body(place, rows):
            row = self._iterate_on_all(self._of(fed, place), numbers[place], rates[place],
                                       shares[place])
            return place + 1, rows.write(place, row)

        _, rows = tf.while_loop(lambda place, rows: place < rates.shape[0], body, (0, rows))
        return tf.reduce_sum(rows.stack(), 0)

    def _run(self, fed, numbers, rates, shares):
        strategy = self.parts.devices.strategy
        if strategy is None:
            fed = tf.nest.map_structure(tf.convert_to_tensor, fed)
        else:
            fed = tf.nest.map_structure(self._shared_out, fed)
        return self._compiled(fed, tf.constant(numbers), tf.constant(rates), tf.constant(shares))

    def _shared_out(self, array: np.ndarray):
        """Each device of this machine its part of the batch, the second axis."""
        devices = self.parts.devices
        here = devices.count // devices.workers
        each = array.shape[1] // here

        def part(context):
            first = context.replica_id_in_sync_group % here * each
            return tf.convert_to_tensor(array[:, first:first + each])

        return devices.strategy.experimental_distribute_values_from_function(part)

    def _everywhere(self, array):
        """A copy on each device of this machine."""
        strategy = self.parts.devices.strategy
        places = strategy.extended.worker_devices

        def copy(context):
            with tf.device(places[context.replica_id_in_sync_group % len(places)]):
                return tf.identity(array)

        return strategy.experimental_distribute_values_from_function(copy)

    def _of(self, fed, number):
        """What iteration `number` is fed."""
        strategy = self.parts.devices.strategy

        def chosen(array):
            return tf.nest.map_structure(lambda part: part[number], array)

        return chosen(fed) if strategy is None else strategy.run(chosen, (fed,))

    def _followed(self, share) -> None:
        if not self._fused:
            return self.parts.follow(share)
        # one operation less than adding, by which memory is read and written once less
        for slow, fast in self.parts.slow:
            tf.raw_ops.ResourceApplyGradientDescent(var=slow.value.handle,
                                                    alpha=tf.cast(share, slow.dtype),
                                                    delta=slow.value - fast.value)

    def _updated_together(self, gradients: Mapping[str, list], rate) -> None:
        """What `Parts.apply` does, on one of several devices: each has the gradients of its part of
        the batch.
        """
        parts, context = self.parts, tf.distribute.get_replica_context()
        for group, of_group in gradients.items():
            existing = [number for number, gradient in enumerate(of_group) if gradient is not None]
            means = context.all_reduce(tf.distribute.ReduceOp.MEAN,
                                       [of_group[number] for number in existing])
            whole = dict(zip(existing, means))
            optimizer = parts.optimizers[group]
            optimizer.apply([whole.get(number) for number in range(len(of_group))],
                            parts.trained[group])

    def _followed_together(self, share) -> None:
        private.merge_replicas(self._follow, self.parts.devices.strategy, share)

    def _follow(self, strategy, share) -> None:
        for slow, fast in self.parts.slow:
            strategy.extended.update(slow.value, _move_towards, (fast.value, share), group=False)


def _move_towards(slow, fast, share):
    return slow.assign_add((fast - slow) * tf.cast(share, slow.dtype))


def _adam(optimizer: keras.optimizers.Adam, gradient, variable, learning_rate) -> None:
    """What Keras's Adam does with a variable, as one operation."""
    weights, mean, square = (held.value if isinstance(held, keras.Variable) else held
                             for held in (variable, *private.adam_moments(optimizer, variable)))
    step = ops.cast(optimizer.iterations + 1, weights.dtype)
    beta_1, beta_2, epsilon = (tf.constant(value, weights.dtype)
                               for value in (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon))
    tf.raw_ops.ResourceApplyAdam(var=weights.handle, m=mean.handle, v=square.handle,
                                 beta1_power=beta_1 ** step, beta2_power=beta_2 ** step,
                                 lr=tf.cast(learning_rate, weights.dtype), beta1=beta_1,
                                 beta2=beta_2, epsilon=epsilon,
                                 grad=tf.cast(gradient, weights.dtype))
