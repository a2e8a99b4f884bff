"""How SAEHD and AMP learn, and the extra losses of SAEHD: style, and likeness of codes.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from lib.nn.optimizers import AdaBelief
from lib.nn.pictures import blurred
from lib.training.model.autoencoder import Autoencoder
from lib.training.model.contract import LossWeights
from lib.training.model.losses import dssim, mean_squared, style

EYES_FIRST = 300.0  # weight of the mean absolute error of eyes and mouth
FACE_STYLE, BACKGROUND_STYLE = 100.0, 0.1  # a percent of each


class Saehd(Autoencoder):
    """Learns the face inside its mask, which it learns too."""

    learn_mask = True
    mask_share = 10.0
    batch = 8
    eyes_first = False
    # its mask says where
    loss_weights = LossWeights({"dssim2": 10.0, "mse": 10.0}, None, None, None)

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return AdaBelief(learning_rate, corrected=False)

    def weight(self, regions):
        """The face's mask with a soft rim."""
        return ops.clip(blurred(regions[..., :1], max(1, self.size // 32)), 0, 0.5) * 2

    def reconstruction_losses(self, drawn, side):
        parts = super().reconstruction_losses(drawn, side)
        if self.eyes_first:
            inside = ops.max(side.regions[..., 1:], -1, keepdims=True)
            parts["eyes"] = EYES_FIRST * ops.mean(ops.abs(drawn[..., :3] - side.target) * inside)
        return parts


def style_losses(swapped, drawn, side, inside, face_style: float,
                 background_style: float) -> dict[str, Any]:
    """What A's face in B's way, `swapped`, lacks of the colours and light of A's own, `drawn`, and
    of what surrounds it (`side`).

    All are (N, S, S, 3) in [0, 1]; `inside` (N, S, S, 1) says where the face is.
    """
    losses = {}
    if face_style:
        losses["face style"] = FACE_STYLE * face_style * style(swapped * inside,
                                                               ops.stop_gradient(drawn * inside),
                                                               swapped.shape[1] // 8)
    if background_style:
        apart = [measure(swapped * (1 - inside), side.target * (1 - inside))
                 for measure in (dssim, mean_squared)]
        losses["background style"] = BACKGROUND_STYLE * background_style * sum(apart)
    return losses


def true_face_losses(discriminator, codes: dict[str, Any], share: float) -> tuple[Any, Any]:
    """For the networks, that A's codes are taken for B's; for the discriminator, that it tells them
    apart.
    """
    fooled = share * _cross_entropy(discriminator(codes["a"], training=True), 1.0)
    a, b = (discriminator(ops.stop_gradient(codes[identity]), training=True) for identity in "ab")
    return fooled, (_cross_entropy(a, 0.0) + _cross_entropy(b, 1.0)) / 2


def _cross_entropy(logits, answer: float):
    """How far the discriminator is from that answer: the binary cross-entropy."""
    return ops.mean(ops.softplus(logits) - logits * answer)
