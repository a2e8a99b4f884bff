"""Translation between two people's faces, or any two kinds of pictures, without pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lib.nn.patch import patch_discriminator, translator
from lib.options import option
from lib.plugin import MODELS
from lib.training.batches.augmentation import Augmentation
from lib.training.model import image_pool
from lib.training.model.adversarial import GAN_LOSSES
from lib.training.model.contract import FaceModel, Losses
from lib.training.model.losses import mean_absolute
from lib.training.watch import preview

OTHER = {"a": "b", "b": "a"}


class Pooled(NamedTuple):
    """What decides which pictures the discriminators see instead of those of now, by identity."""

    old_a: np.ndarray  # (N,) bool
    place_a: np.ndarray  # (N,) int32
    old_b: np.ndarray
    place_b: np.ndarray


@MODELS.register
@dataclass
class CycleGAN(FaceModel):
    """Translates one person's whole face into the other's, 64 to 512 pixels, without landmarks.

    Also translates any two kinds of pictures.

    "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV, 2017.
    Two generators, one each way, and two discriminators of 70 x 70 patches. What is translated
    there and back has to be what it was.
    """

    size: int = option(128, "Side of the face, pixels.",
                       choices=(64, 96, 128, 160, 192, 256, 384, 512))
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    blocks: int | None = option(None, "Residual blocks of a generator. Default: 6, from 256 pixels "
                                "on 9.", low=1, high=16)
    width: int = option(64, "Filters of a generator's first layer.", low=4, high=256)
    discriminator_width: int = option(64, "Filters of a discriminator's first layer.", low=4,
                                      high=256)
    depth: int = option(3, "Layers of a discriminator before its last two: 1, 2 and 3 make patches "
                        "of 16, 34 and 70 pixels.", low=1, high=6)
    norm: str = option("instance", "Norm of the discriminators.", choices=("instance", "spectral"))
    loss: str = option("least_squares", "Adversarial loss.",
                       choices=("least_squares", "hinge", "non_saturating"))
    cycle: float = option(10.0, "Weight of the cycle loss.", low=0.0)
    identity: float = option(0.5, "Weight of the identity loss, as a share of --model.cycle.",
                             low=0.0)
    pool: int = option(50, "Earlier pictures that each discriminator sees again (image pool). 0: "
                       "none.", low=0, high=10_000)
    batch = 1
    learning_rate = 2e-4
    schedule = "linear"
    adversarial = True
    translates = True
    augmentation = Augmentation(rotation=3.0, scale=0.05, shift=0.04, flip=True)

    def networks(self) -> dict[str, keras.Model]:
        blocks = self.blocks or (9 if self.size >= 256 else 6)
        networks = {}
        for identity in "ab":
            networks[f"generator_{identity}"] = translator(blocks, self.width,
                                                           f"generator_{identity}")
        for identity in "ab":
            networks[f"discriminator_{identity}"] = patch_discriminator(self.discriminator_width,
                                                                        f"discriminator_{identity}",
                                                                        self.depth,
                                                                        spectral=self.norm
                                                                        == "spectral")
        for identity in "ab" if self.pool else "":
            networks[f"pool_{identity}"] = image_pool.ImagePool(self.pool, self.size,
                                                                f"pool_{identity}")
        return networks

    def groups(self) -> dict[str, list[str]]:
        discriminators = {name: [name] for name in ("discriminator_a", "discriminator_b")}
        return {"generators": ["generator_a", "generator_b"], **discriminators}

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(learning_rate, beta_1=0.5)

    def chance(self, count: int, random: np.random.Generator) -> Pooled | None:
        return Pooled(*image_pool.chance(self.pool, count, random),
                      *image_pool.chance(self.pool, count, random)) if self.pool else None

    def losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        """All networks learn from the same translations at once, as they do in the paper's order: G
        first, by discriminators of before.
        """
        game = GAN_LOSSES[self.loss]
        real = {identity: 2 * batch[identity].target - 1 for identity in "ab"}
        generators, report, minimise = {}, {}, {}
        fake = {}
        # what `identity`'s generator makes of the other's faces, and of its own
        for identity, partner in OTHER.items():
            pair = networks[f"generator_{identity}"](ops.concatenate([real[partner],
                                                                      real[identity]]),
                                                     training=True)
            fake[identity], same = ops.split(pair, 2)
            weight = self.identity * self.cycle
            generators[f"identity {identity}"] = weight * mean_absolute(same, real[identity])
        for identity, partner in OTHER.items():
            back = networks[f"generator_{partner}"](fake[identity], training=True)
            generators[f"cycle {partner}"] = self.cycle * mean_absolute(back, real[partner])
            report[partner] = mean_absolute(back, real[partner]) / 2  # of [0, 1]
        for identity in "ab":
            discriminator = networks[f"discriminator_{identity}"]
            generators[f"G {identity}"] = game.generator(discriminator(fake[identity],
                                                                       training=True))
            shown = ops.stop_gradient(fake[identity])
            if self.pool:
                draws = batch["chance"]
                old, place = (getattr(draws, f"{name}_{identity}") for name in ("old", "place"))
                shown = networks[f"pool_{identity}"].exchanged(shown, old, place)
            told_real, told_fake = discriminator(real[identity],
                                                 training=True), discriminator(shown, training=True)
            minimise[f"discriminator_{identity}"] = {f"D {identity}": game.discriminator(told_real,
                                                                                         told_fake)}
            report |= {f"D(real) {identity}": game.realness(told_real),
                       f"D(fake) {identity}": game.realness(told_fake)}
        named = {name: value for parts in (generators, *minimise.values())
                 for name, value in parts.items()}
        return Losses({"generators": generators, **minimise}, report | named)

    def swapper(self, networks: dict[str, keras.Model], to: str) -> keras.Model:
        face = keras.Input((self.size, self.size, 3))
        return keras.Model(face, self.translation(networks, to)(face), name=f"swapper_{to}")

    def translation(self, networks: dict[str, keras.Model], to: str) -> keras.Model:
        picture = keras.Input((None, None, 3))
        return keras.Model(picture, (networks[f"generator_{to}"](2 * picture - 1) + 1) / 2,
                           name=f"translation_{to}")

    def viewer(self, networks: dict[str, keras.Model], faces: dict) -> Callable[[], np.ndarray]:
        swappers = {to: self.swapper(networks, to) for to in "ab"}

        def column(pictures: Any, *ways: str) -> np.ndarray:
            for to in ways:
                pictures = swappers[to].predict_on_batch(pictures)
            return pictures

        def shown() -> np.ndarray:
            columns = []
            for identity, partner in OTHER.items():
                pictures = preview.chosen(faces[identity])
                columns += [(identity.upper(), pictures),
                            (f"as {partner.upper()}", column(pictures, partner)),
                            ("and back", column(pictures, partner, identity)),
                            (f"as {identity.upper()}", column(pictures, identity))]
            return preview.columns(columns)

        return shown
