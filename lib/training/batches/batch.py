"""What a batch is: for each identity the pictures that enter a network and those it is to draw."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

CHANCE = "chance"  # key of a model's own random numbers


class Side(NamedTuple):
    """One identity's share of a batch, on the host; the model gets the same fields as tensors."""

    input: np.ndarray  # (N, S, S, 3) uint8 RGB, warped
    target: np.ndarray  # (N, D, D, 3) uint8 RGB: `input` unwarped; crossed: another identity's
    regions: np.ndarray  # (N, S, S, 3) uint8: face, eyes and mouth of `target`, 255 = inside
    landmarks: np.ndarray  # (N, 68, 2) float32 x, y of what `input` shows, unwarped, in [0, 1]


Batch = dict[str, Any]  # `Side`s by identity, "a" and "b"; under CHANCE the model's own
