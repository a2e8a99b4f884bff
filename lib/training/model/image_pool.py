"""Pictures of before, which a discriminator sees among those of now."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class ImagePool(keras.Model):
    """Holds recent pictures. They are weights, so that checkpoints hold them, and no
    parameters.

    "Learning from Simulated and Unsupervised Images through Adversarial Training", CVPR, 2017.
    """

    def __init__(self, length: int, size: int, name: str):
        super().__init__(name=name)
        self.length = length
        self.pictures = self.add_weight(shape=(length, size, size, 3), initializer="zeros",
                                        dtype="uint8", trainable=False, name="pictures")
        self.filled = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False,
                                      name="filled")
        self.built = True

    def exchanged(self, pictures: Any, old: Any, places: Any) -> Any:
        """(N, S, S, 3) in [-1, 1] -> the same, some of them pictures of before. Until it is full,
        it keeps all and gives them back.

        Then, where `old` (N,) is true, it gives the picture at that of `places` (N,) and keeps the
        new one there.
        """
        pictures = ops.stop_gradient(pictures)
        count, filled = pictures.shape[0], ops.convert_to_tensor(self.filled)
        held = ops.convert_to_tensor(self.pictures)
        next_places = filled + ops.arange(count, dtype="int32")
        room = next_places < self.length
        old = ops.logical_and(ops.logical_and(ops.cast(old, "bool"), ops.logical_not(room)),
                              ops.cast(places, "int32") < filled)
        places = ops.where(room, next_places, ops.cast(places, "int32"))
        before = ops.take(held, places, 0)
        kept = ops.logical_or(room, old)
        coded = ops.cast(ops.clip(ops.round((ops.cast(pictures, "float32") + 1) * 127.5), 0, 255),
                         "uint8")
        # (length, N): what is kept where; not scattered, since a place may be drawn twice and which
        # one counts would be left open
        slots = ops.arange(self.length, dtype="int32")[:, None]
        arrivals = ops.logical_and(kept[None], places[None] == slots)
        new = ops.take(coded, ops.argmax(ops.cast(arrivals, "int32"), 1), 0)
        self.pictures.assign(ops.where(ops.any(arrivals, 1)[:, None, None, None], new, held))
        self.filled.assign(ops.minimum(filled + count, self.length))
        return ops.where(old[:, None, None, None], ops.cast(before, "float32") / 127.5 - 1,
                         ops.cast(pictures, "float32"))


def chance(length: int, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`old` and `places` for a batch of `count` pictures and a pool of `length`: half are
    exchanged, each for another.
    """
    return random.random(count) < 0.5, np.resize(random.permutation(length), count).astype(np.int32)
