"""A finishing stage for autoencoders: discriminators, which tell what is drawn from real faces, ask for the detail that it lacks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from lib.nn.patch import patch_discriminator
from lib.training.model.adversarial import LOSSES
from lib.training.model.contract import FaceModel, Losses
from lib.training.model.losses import resized

FILTERS, DEPTH = 16, 2  # of the discriminators: patches of 34 pixels, in the whole picture and in one of half its side
GROUP = "discriminators"
RATE = 0.25  # of the learning rate, what discriminators get


class Finishing:
    """A model that is trained with discriminators besides; in all else it is what it was.

    They see the face alone, in two sizes: "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", CVPR, 2018.
    """

    def __init__(self, model: FaceModel, share: float):
        """`share` is what fooling the discriminators weighs, beside the losses of `model`."""
        self._model, self._share = model, share
        self._own: list[str] = []  # names of the model's networks
        self._drawers: tuple[Any, dict[str, keras.Model]] = (None, {})  # networks, and what draws with them by identity

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def follows(self) -> tuple[str, ...]:
        return self._model.follows or tuple(self._own)

    @property
    def added(self) -> tuple[str, ...]:
        """Networks and groups that a save from before this stage lacks."""
        return (*self._names(), GROUP)

    def networks(self) -> dict[str, keras.Model]:
        made = self._model.networks()
        self._own = list(made)
        return made | {name: patch_discriminator(FILTERS, name, DEPTH, spectral=True) for name in self._names()}

    def groups(self) -> dict[str, list[str]]:
        return {group: names or self._own for group, names in self._model.groups().items()} | {GROUP: self._names()}

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(learning_rate, 0.5) if group == GROUP else self._model.optimizer(group, learning_rate)

    def share_of_rate(self, group: str) -> float:
        return RATE if group == GROUP else self._model.share_of_rate(group)

    def phases(self):
        return FaceModel.phases(self)

    def losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        found, game = self._model.losses(networks, batch), LOSSES["hinge"]
        fooled, told, report = {}, {}, {}
        for identity in self._model.identities:
            side = batch[identity]
            drawn = self._drawer(networks, identity)(side.input, training=True)[..., :3]
            target, face = resized(side.target, drawn.shape[1]), resized(side.regions[..., :1], drawn.shape[1])
            real, fake = (2 * (picture * face + 0.5 * (1 - face)) - 1 for picture in (target, drawn))
            discriminators = [networks[name] for name in self._names() if name.endswith(identity)]
            fooled[f"G {identity}"] = self._share * sum(
                game.generator(one(shown, training=True)) for one, shown in zip(discriminators, _sizes(fake))) / len(discriminators)
            answers = [(one(shown, training=True), one(made, training=True))
                       for one, shown, made in zip(discriminators, _sizes(real), _sizes(ops.stop_gradient(fake)))]
            told[f"D {identity}"] = sum(game.discriminator(*answer) for answer in answers)
            report |= {f"D({name}) {identity}": sum(game.realness(answer[place]) for answer in answers) / len(answers)
                       for place, name in enumerate(("real", "fake"))}
        first, *others = found.minimise.items()
        return Losses({first[0]: first[1] | fooled, **dict(others), GROUP: told}, found.report | report)

    def _drawer(self, networks: dict[str, keras.Model], identity: str) -> keras.Model:
        """Made once: PyTorch comes by in every iteration."""
        if self._drawers[0] is not networks:
            self._drawers = networks, {}
        made = self._drawers[1]
        if identity not in made:
            made[identity] = self._model.swapper(networks, identity)
        return made[identity]

    def _names(self) -> list[str]:
        return [f"discriminator_{size}_{identity}" for identity in self._model.identities for size in ("whole", "half")]


def _sizes(picture) -> tuple:
    return picture, ops.average_pool(picture, 2, 2)
