"""A finishing stage for autoencoders: discriminators, which tell what is drawn from real faces, ask
for the detail that it lacks.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from lib.nn.patch import patch_discriminator
from lib.nn.pictures import resized
from lib.training.model.adversarial import GAN_LOSSES
from lib.training.model.contract import FaceModel, Losses

FILTERS, DEPTH = 16, 2  # of the discriminators: patches of 34 pixels, at full and at half size
GROUP = "discriminators"
RATE = 0.25  # of the learning rate, what discriminators get


class Finishing(FaceModel):
    """An autoencoder that is trained with discriminators, too; in all else it is what it was.

    They see the face alone, in two sizes: "High-Resolution Image Synthesis and Semantic
    Manipulation with Conditional GANs", CVPR, 2018.
    """

    def __init__(self, model: FaceModel, weight: float):
        """`weight` is that of fooling the discriminators, beside the losses of `model`."""
        self.model, self._weight = model, weight
        self.size, self.coverage, self.identities = model.size, model.coverage, model.identities
        self.batch, self.learning_rate, self.averaged = (model.batch, model.learning_rate,
                                                         model.averaged)
        self.decays, self.schedule = model.decays, model.schedule
        self.augmentation, self.loss_weights = model.augmentation, model.loss_weights
        self.earlier, self.morph = model.earlier, model.morph
        self._swappers: dict[str, keras.Model] = {}  # by identity
        self._swappers_of: Any = None  # the networks that they draw with

        self._discriminators = [f"discriminator_{view}_{identity}"
                                for identity in model.identities for view in ("whole", "half")]
        self._own: list[str] = []  # names of the model's networks
        self.added = (*self._discriminators, GROUP)

    @property
    def drawn(self) -> int:
        return self.model.drawn

    @property
    def follows(self) -> tuple[str, ...]:
        return self.model.follows or tuple(self._own)

    def networks(self) -> dict[str, keras.Model]:
        networks = self.model.networks()
        self._own = list(networks)
        return networks | {name: patch_discriminator(FILTERS, name, DEPTH, spectral=True)
                           for name in self._discriminators}

    def groups(self) -> dict[str, list[str]]:
        own = {group: names or self._own for group, names in self.model.groups().items()}
        return own | {GROUP: self._discriminators}

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        if group == GROUP:
            return keras.optimizers.Adam(learning_rate, 0.5)
        return self.model.optimizer(group, learning_rate)

    def share_of_rate(self, group: str) -> float:
        return RATE if group == GROUP else self.model.share_of_rate(group)

    def chance(self, count, random):
        return self.model.chance(count, random)

    def viewer(self, networks, faces):
        return self.model.viewer(networks, faces)

    def swapper(self, networks: dict[str, keras.Model], to: str) -> keras.Model:
        return self.model.swapper(networks, to)

    def losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        own, game = self.model.losses(networks, batch), GAN_LOSSES["hinge"]
        generator, discriminator, report = {}, {}, {}
        for identity in self.model.identities:
            # The face alone, in [-1, 1], at full and at half size
            side = batch[identity]
            drawn = self._swapper(networks, identity)(side.input, training=True)[..., :3]
            target = resized(side.target, drawn.shape[1])
            face = resized(side.regions[..., :1], drawn.shape[1])
            real, fake = (2 * (picture * face + 0.5 * (1 - face)) - 1
                          for picture in (target, drawn))
            judges = [networks[name] for name in self._discriminators if name.endswith(identity)]

            # What the decoder has to fool, and what the discriminators have to tell
            fooled = sum(game.generator(judge(view, training=True))
                         for judge, view in zip(judges, _sizes(fake)))
            generator[f"G {identity}"] = self._weight * fooled / len(judges)
            answers = [(judge(real_view, training=True), judge(fake_view, training=True))
                       for judge, real_view, fake_view
                       in zip(judges, _sizes(real), _sizes(ops.stop_gradient(fake)))]
            discriminator[f"D {identity}"] = sum(game.discriminator(*answer) for answer in answers)
            report |= {f"D({kind}) {identity}":
                       sum(game.realness(answer[place]) for answer in answers) / len(answers)
                       for place, kind in enumerate(("real", "fake"))}
        first, *others = own.minimise.items()
        return Losses({first[0]: first[1] | generator, **dict(others), GROUP: discriminator},
                      own.report | report)

    def _swapper(self, networks: dict[str, keras.Model], identity: str) -> keras.Model:
        """Made once for the same networks: PyTorch runs `losses` anew in every iteration."""
        if self._swappers_of is not networks:
            self._swappers_of, self._swappers = networks, {}
        if identity not in self._swappers:
            self._swappers[identity] = self.model.swapper(networks, identity)
        return self._swappers[identity]


def _sizes(picture) -> tuple:
    return picture, ops.average_pool(picture, 2, 2)
