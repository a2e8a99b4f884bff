"""How `compact` learns: in even colours, from pixels, landmarks and detail."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from lib.faces.masks import middle
from lib.nn.backend import fused
from lib.training.model.contract import FaceModel, Losses
from lib.training.model.losses import detail_difference, mean_absolute

# What the loss weighs more than the plain face, 1: the eyes are few pixels, and a swap lives by
# them.
OUTSIDE, EYES, MOUTH = 0.7, 8.0, 2.0
MASK_LOSS, LANDMARK_LOSS, DETAIL_LOSS = 0.1, 0.5, 0.25
# mean absolute error of a face above which no detail is asked for, which it would make up, and
# below which all is
ROUGH, NEAR = 0.06, 0.03
SPREAD = 1.8  # makes the lightest and darkest of a face about 0.5 and -0.5 inside the networks
LEAST = 0.02  # brightness and deviation, so that noise in a dark face is not blown up


def _landmark_weights() -> np.ndarray:
    """(68, 1): eyelids and lips move most and say most."""
    weights = np.ones((68, 1), np.float32)
    weights[:17], weights[36:48], weights[48:] = 0.3, 4.0, 2.0
    return weights / weights.mean()


class CompactLosses(FaceModel):
    """Its networks see every face with its colours at the same mean and spread; what they draw gets
    those of the face that went in.

    They are "encoder", (N, S, S, 3) -> a code; "decoder_a" and "decoder_b", the code -> (N, D, D,
    4), RGB and the mask less 0.5; "landmarks", the code -> (N, 68, 2), x, y in [0, 1].
    """

    upscale: int  # D / S

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(learning_rate, beta_2=0.99, global_clipnorm=1.0)

    def losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        faces = ops.concatenate([side.input for side in batch.values()])
        mean, scale = self._colors(faces)
        codes = networks["encoder"]((faces - mean) / scale, training=True)
        count = batch["a"].input.shape[0]
        minimise, report = {}, {}
        apart = fused(self._apart)  # one for both, since it takes seconds to compile
        for number, (identity, side) in enumerate(batch.items()):
            drawn = networks[f"decoder_{identity}"](codes[number * count:(number + 1) * count],
                                                    training=True)
            face, mask, detail, report[identity] = apart(drawn, side.target, side.regions)
            minimise |= {f"face {identity}": face, f"mask {identity}": mask,
                         f"detail {identity}": detail}
        landmarks = ops.concatenate([side.landmarks for side in batch.values()])
        missed = ops.abs(networks["landmarks"](codes) - landmarks)
        weights = ops.convert_to_tensor(_landmark_weights())
        minimise["landmarks"] = LANDMARK_LOSS * ops.mean(missed * weights)
        return Losses({"all": minimise}, report)

    def _apart(self, drawn, target, regions):
        """How far what a decoder drew is from `target`: weighed by the regions, in its mask, in its
        detail, and with all pixels alike.
        """
        drawn = self._in_color(drawn, *self._colors(target))
        face, eyes, mouth = regions[..., :1], regions[..., 1:2], regions[..., 2:]
        weight = ops.concatenate([OUTSIDE + (1 - OUTSIDE) * face + EYES * eyes + MOUTH * mouth,
                                  face], -1)
        weight = ops.repeat(ops.repeat(weight, self.upscale, 1), self.upscale, 2)
        picture, mask, face = drawn[..., :3], drawn[..., 3:], weight[..., 1:]
        size = ops.mean(face, (1, 2, 3), keepdims=True) + 1e-3
        error = ops.mean(ops.abs(picture - target) * face, (1, 2, 3), keepdims=True) / size
        near = ops.stop_gradient(ops.clip((ROUGH - error) / (ROUGH - NEAR), 0, 1))
        return (mean_absolute(picture, target, weight[..., :1]),
                MASK_LOSS * mean_absolute(mask, face),
                DETAIL_LOSS * detail_difference(picture, target, face * near / size),
                mean_absolute(picture, target))

    def swapper(self, networks: dict[str, keras.Model], to: str) -> keras.Model:
        face = keras.Input((self.size, self.size, 3))
        mean, scale = self._colors(face)
        drawn = networks[f"decoder_{to}"](networks["encoder"]((face - mean) / scale))
        return keras.Model(face, self._in_color(drawn, mean, scale), name=f"swapper_{to}")

    def _colors(self, faces):
        """Mean (N, 1, 1, 3) and scale (N, 1, 1, 1) of the colours of `faces` (N, S, S, 3), from the
        middle of the face.

        The scale follows brightness and deviation half each: the first is the light's, the second a
        person's own too.
        """
        weight = middle(faces.shape[1], self.coverage)
        weight = ops.convert_to_tensor(weight / weight.sum())
        mean = ops.sum(faces * weight, (1, 2), keepdims=True)
        variance = ops.mean(ops.sum(ops.square(faces - mean) * weight, (1, 2), keepdims=True), -1,
                            keepdims=True)
        brightness = ops.mean(mean, -1, keepdims=True)
        return mean, SPREAD * ops.sqrt((brightness + LEAST) * ops.sqrt(variance + LEAST ** 2))

    @staticmethod
    def _in_color(drawn, mean, scale):
        """What a decoder drew, (N, drawn, drawn, 4) -> RGB in [0, 1] in the given colours and the
        mask in [0, 1], not clipped.
        """
        return ops.concatenate([drawn[..., :3] * scale + mean, drawn[..., 3:] + 0.5], -1)
