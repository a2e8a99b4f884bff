"""What autoencoders have in common: how they learn."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from lib.nn.pictures import resized
from lib.training.model.contract import FaceModel, Losses, LossWeights
from lib.training.model.losses import loss_named, mean_absolute, mean_squared

PUBLISHED = LossWeights(MappingProxyType({"ssim": 1.0, "mse": 1.0}))


class Autoencoder(FaceModel):
    """An encoder that both people share, and for each of them a decoder from its code to their
    face. It learns to draw everybody's own faces: A's face through B's decoder is then the swap.
    Most plugins say what `encoder` and `decoder` are; the others give `networks`, and in `decode`
    the way through them.
    """

    learn_mask: bool = False  # decoders draw a fourth channel, where the face is
    mask_share = 1.0  # weight of the mask's mean squared error
    loss_weights: LossWeights = PUBLISHED

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) -> the code."""
        raise NotImplementedError

    def decoder(self) -> keras.Model:
        """The code -> (N, D, D, 3), or (N, D, D, 4) with the mask; smaller pictures may come before
        it.
        """
        raise NotImplementedError

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "decoder_a": self.decoder(), "decoder_b": self.decoder()}

    def decode(self, networks: dict[str, keras.Model], code: Any, identity: str,
               training: bool = False) -> Any:
        """What the networks draw of a code in the way of `identity`: as `decoder`."""
        return networks[f"decoder_{identity}"](code, training=training)

    def losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        together = networks["encoder"](ops.concatenate([side.input for side in batch.values()]),
                                       training=True)
        codes = dict(zip(batch, ops.split(together, len(batch))))
        minimise, report, drawn = {}, {}, {}
        for identity, side in batch.items():
            *smaller, drawn[identity] = _several(self.decode(networks, codes[identity], identity,
                                                             training=True))
            parts = self.reconstruction_losses(drawn[identity], side)
            for picture in smaller:
                more = self.reconstruction_losses(picture, side)
                parts = {name: value + more[name] for name, value in parts.items()}
            if self.learn_mask:
                mask = resized(side.regions[..., :1], drawn[identity].shape[1])
                parts["mask"] = self.mask_share * mean_squared(drawn[identity][..., 3:], mask)
            minimise |= {f"{name} {identity}": value for name, value in parts.items()}
            report[identity] = mean_absolute(drawn[identity][..., :3],
                                             resized(side.target, drawn[identity].shape[1]))
        extra = self.extra_losses(networks, codes, drawn, batch)
        return Losses({group: (minimise if group == "all" else {}) | extra.get(group, {})
                       for group in self.groups()}, report)

    def extra_losses(self, networks: dict[str, keras.Model], codes: dict[str, Any],
                     drawn: dict[str, Any], batch: dict) -> dict[str, dict]:
        """Further losses by optimizer group: of what the encoder made of the inputs, and what was
        drawn of it, by identity.
        """
        return {}

    def reconstruction_losses(self, drawn, side) -> dict[str, Any]:
        """How far `drawn` is from the target, by each of the criteria."""
        pixels = drawn.shape[1]
        weight, target = self.weight(resized(side.regions, pixels)), resized(side.target, pixels)
        return {name: share * loss_named(name).measure(drawn[..., :3], target, weight)
                for name, share in self.loss_weights.criteria.items()}

    def weight(self, regions) -> Any:
        """Regions (N, H, W, 3) -> (N, H, W, 1), how much each pixel counts; None for all alike."""
        weights = self.loss_weights
        if (weights.outside, weights.eyes, weights.mouth) == (1, 0, 0):
            return None
        face, eyes, mouth = ops.split(regions, 3, -1)
        return (weights.outside + (1 - weights.outside) * face + weights.eyes * eyes
                + weights.mouth * mouth)

    def swapper(self, networks: dict[str, keras.Model], to: str) -> keras.Model:
        face = keras.Input((self.size, self.size, 3))
        return keras.Model(face, _several(self.decode(networks, networks["encoder"](face), to))[-1],
                           name=f"swapper_{to}")


def _several(drawn: Any) -> list:
    return list(drawn) if isinstance(drawn, (list, tuple)) else [drawn]
