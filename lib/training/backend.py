"""What differs between Keras's backends: the compiled training step, precision, repeatability, threads."""

from __future__ import annotations

import numpy as np

from lib.errors import FaceswapError
from lib.logs import silent_start
from lib.training.data import Batch, Side
from lib.training.model import FaceModel

with silent_start():
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.list_physical_devices()


def set_up(precision: str, repeatable_seed: int | None = None) -> None:
    """`precision` is "float32" or "bfloat16". With a seed, weights start the same and operations run in a fixed order.

    Call it before networks are built.
    """
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    if keras.backend.backend() == "tensorflow":
        # TensorFlow's CPU rewriter fuses convolution, addition and leaky ReLU with slope 0.2, whatever slope was asked for.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        if repeatable_seed is not None:
            tf.config.experimental.enable_op_determinism()
    if repeatable_seed is not None:
        keras.utils.set_random_seed(repeatable_seed)


class Step:
    """One iteration, compiled: losses, gradients, optimizers, averaged weights, all without a word to the host.

    What the losses were since the last `report()` is summed on the device.
    """

    def __init__(self, model: FaceModel, networks: dict[str, keras.Model], averages: dict[str, keras.Model],
                 optimizers: dict[str, keras.optimizers.Optimizer]):
        if keras.backend.backend() != "tensorflow":
            raise FaceswapError(f"Training runs on the TensorFlow backend so far, not on {keras.backend.backend()}. Unset KERAS_BACKEND.")
        self._names: list[str] = []
        self._sums = None
        groups = model.groups()
        variables = {group: [variable for name in groups[group] or networks for variable in networks[name].trainable_variables]
                     for group in groups}
        for group, optimizer in optimizers.items():
            optimizer.build(variables[group])
        pairs = [(slow, fast) for name in averages for slow, fast in zip(averages[name].weights, networks[name].weights)]

        def run(batch, share):
            with tf.GradientTape(persistent=len(groups) > 1) as tape:
                losses = model.losses(networks, {identity: _as_floats(side) for identity, side in batch.items()})
                totals = {group: sum(parts.values()) for group, parts in losses.minimise.items()}
            for group, total in totals.items():
                gradients = tape.gradient(total, variables[group])
                optimizers[group].apply(gradients, variables[group])
            for slow, fast in pairs:
                slow.assign_add((fast - slow) * share)
            named = losses.report | {f"{group} {name}": value for group, parts in losses.minimise.items()
                                     for name, value in parts.items() if losses.report.get(name) is not value}
            self._names = list(named)
            return tf.stack([tf.cast(value, tf.float32) for value in named.values()])

        self._run = tf.function(run)
        self._averaged = model.averaged

    def __call__(self, batch: Batch, iteration: int) -> None:
        """Trains on `batch`, uint8 as the data threads make it; `iteration` counts from 0."""
        share = 1 - min(self._averaged, (1 + iteration) / (10 + iteration))  # follows quickly at first
        values = self._run(batch, np.float32(share))
        self._sums = (values, 1) if self._sums is None else (self._sums[0] + values, self._sums[1] + 1)

    def wait(self) -> None:
        """Returns when the device has done all it was given."""
        np.asarray(self._sums[0])

    def report(self) -> dict[str, float]:
        """Mean of every loss since the last report; waits for the device."""
        values, count = self._sums
        self._sums = None
        return {name: float(value) / count for name, value in zip(self._names, np.asarray(values))}


def _as_floats(side: Side) -> Side:
    pictures = [tf.cast(picture, tf.float32) / 255 for picture in (side.input, side.target, side.regions)]
    return Side(*pictures, side.landmarks)
