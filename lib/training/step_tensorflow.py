"""The training step in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from lib.training.step import Parts, Step


class TensorFlowStep(Step):
    def __init__(self, parts: Parts):
        super().__init__(parts)
        several = parts.devices.strategy is not None
        for optimizer in parts.optimizers.values():
            for inner in (optimizer, getattr(optimizer, "inner_optimizer", optimizer)):
                # Of several devices the gradients are gathered below, as clipping needs the whole batch's. Of one, TensorFlow would gather
                # them in a way that never gives back the memory of the networks and optimizers that a step has trained
                inner._all_reduce_sum_gradients = list
        # Compiled by XLA, an update of all weights takes a tenth of the time: operation by operation it is memory that it waits for.
        # Nothing here branches on tensors, so that rewriting the code for it (autograph) would do nothing but take a second at each start
        update = self._updated_together if several else tf.function(parts.apply, autograph=False, jit_compile=True)

        held = parts.held if not several else tf.nest.map_structure(self._everywhere, parts.held)

        def one(fed, held, rate, share):
            with tf.GradientTape(persistent=len(parts.trained) > 1) as tape:
                losses = parts.model.losses(parts.networks, parts.prepare(fed, held))
                totals = parts.scaled(losses)
            update({group: tape.gradient(total, [variable.value for variable in parts.trained[group]]) for group, total in totals.items()},
                   rate, share)
            return self._stacked(losses)

        def on_all(fed, rate, share):
            """`one`, each device on its part of the batch."""
            if not several:
                return one(fed, held, rate, share)
            for optimizer in parts.optimizers.values():
                optimizer.learning_rate = rate
            rows = parts.devices.strategy.run(one, (fed, held, rate, share))
            return parts.devices.strategy.reduce(tf.distribute.ReduceOp.MEAN, rows, axis=None)

        def run(fed, rates, shares):
            if rates.shape[0] == 1:
                return on_all(self._of(fed, 0), rates[0], shares[0])
            rows = tf.TensorArray(tf.float32, rates.shape[0], infer_shape=False)

            def body(number, rows):
                return number + 1, rows.write(number, on_all(self._of(fed, number), rates[number], shares[number]))

            _, rows = tf.while_loop(lambda number, rows: number < rates.shape[0], body, (0, rows))
            return tf.reduce_sum(rows.stack(), 0)

        self._compiled = tf.function(run, autograph=False)

    def _run(self, fed, rates, shares):
        strategy = self.parts.devices.strategy
        if strategy is None:
            fed = tf.nest.map_structure(tf.convert_to_tensor, fed)
        else:
            fed = tf.nest.map_structure(self._shared_out, fed)
        return self._compiled(fed, tf.constant(rates), tf.constant(shares))

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
            return tf.nest.map_structure(lambda one: one[number], array)

        return chosen(fed) if strategy is None else strategy.run(chosen, (fed,))

    def _updated_together(self, gradients: Mapping[str, list], rate, share) -> None:
        """As `Parts.apply`, on one of several devices: each has the gradients of its part of the batch."""
        parts, context = self.parts, tf.distribute.get_replica_context()
        for group, its in gradients.items():
            there = [number for number, gradient in enumerate(its) if gradient is not None]
            means = context.all_reduce(tf.distribute.ReduceOp.MEAN, [its[number] for number in there])
            whole = dict(zip(there, means))
            optimizer = parts.optimizers[group]
            optimizer.apply([whole.get(number) for number in range(len(its))], parts.trained[group])
        if parts.slow:
            tf.__internal__.distribute.interim.maybe_merge_call(self._follow, parts.devices.strategy, share)

    def _follow(self, strategy, share) -> None:
        for slow, fast in self.parts.slow:
            strategy.extended.update(slow.value, lambda slow, fast, share: slow.assign_add((fast - slow) * tf.cast(share, slow.dtype)),
                                     (fast.value, share), group=False)
