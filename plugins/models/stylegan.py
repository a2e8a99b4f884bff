"""Faces of people who do not exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lib.nn import stylegan
from lib.options import option
from lib.plugin import MODELS
from lib.training.batches.augmentation import Augmentation
from lib.training.model import ada
from lib.training.model.adversarial import GAN_LOSSES, gradient_penalty, path_lengths, r1
from lib.training.model.contract import Draw, FaceModel, Losses, Phase
from lib.training.watch import preview

# iterations between two penalties of the discriminator's gradient, and of the generator's path
# lengths
RARELY, SELDOM = 16, 4
DECAY = 0.01  # of the running mean of path lengths
ROWS, ACROSS = 6, 8  # of the preview
GENERATE, TELL, PENALISE = range(3)  # what sets of latents are for


class Latents(NamedTuple):
    """What a batch leaves to chance."""

    z: np.ndarray  # (N, 3, 2, D) float32, normal: for each phase, of two faces that are mixed
    # (N, 3) int32: the layer from which on the second face's styles are taken
    crossover: np.ndarray
    # (N,) float32 in [0, 1]: where between a real and a made picture a critic's slope is looked at
    share: np.ndarray
    augment: np.ndarray  # (N, 2, K) float32: what `ada` draws, for real and for made pictures


class Memory(keras.Model):
    """What training remembers besides networks: it has weights, so that saves hold it too, and no
    parameters.
    """

    def __init__(self):
        super().__init__(name="memory")
        self.seeds = keras.random.SeedGenerator()
        self.strength, self.sign, self.length = (self.add_weight(shape=(), initializer="zeros",
                                                                 dtype="float32", trainable=False,
                                                                 name=name)
                                                 for name in ("strength", "sign", "length"))
        self.built = True


@MODELS.register
@dataclass
class StyleGAN(FaceModel):
    """Draws faces of people who do not exist, 32 to 1024 pixels; learns from -A alone.

    It needs faces of as many people as possible.

    "Analyzing and Improving the Image Quality of StyleGAN", CVPR, 2020, with the adaptive
    augmentation of "Training Generative Adversarial Networks with Limited Data", NeurIPS, 2020; by
    option as "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR,
    2019, has it, but grown at once. The command generate draws with it.
    """

    size: int = option(64, "Side of the face, pixels.", choices=(32, 64, 128, 256, 512, 1024))
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    design: str = option("2020", "StyleGAN of 2019, or StyleGAN2 of 2020.",
                         choices=("2019", "2020"))
    width: int = option(16384, "Filters at a resolution of R pixels: this divided by R.",
                        low=64, high=65536)
    most: int = option(512, "Most filters of a layer.", low=8, high=1024)
    latent: int = option(512, "Length of latents and styles.", low=8, high=1024)
    mapping: int = option(8, "Layers of the mapping network, from latent to style.", low=1, high=16)
    mixing: float = option(0.9, "Share of the faces drawn with the styles of two latents (style "
                           "mixing).", low=0.0, high=1.0)
    loss: str = option("non_saturating", "Adversarial loss.",
                       choices=("non_saturating", "hinge", "least_squares", "wasserstein"))
    gamma: float | None = option(None, "Weight of the gradient penalty: R1, and for wasserstein "
                                 "that of the critic. Default: by size and batch.", low=0.0)
    path: float = option(2.0, "Weight of the path length penalty (2020 only).",
                         low=0.0)
    augment_target: float = option(0.6, "Target of the adaptive augmentation (ADA), which grows as "
                                   "the discriminator recognises real pictures. 0: no "
                                   "augmentation.", low=0.0, high=1.0)
    augment_images: int = option(500, "Thousands of pictures in which ADA can grow from nothing to "
                                 "full strength.", low=1)
    identities = ("a",)
    swaps = False
    adversarial = True
    follows = ("mapping", "synthesis")
    batch = 16
    learning_rate = 2e-3
    averaged = 0.999
    augmentation = Augmentation(flip=True)

    @property
    def layers(self) -> int:
        """Styles that a face is drawn with."""
        return stylegan.slots(self.size)

    def networks(self) -> dict[str, keras.Model]:
        sizes = self.width, self.most
        synthesis, discriminator = stylegan.synthesis, stylegan.discriminator
        if self.design != "2020":
            synthesis, discriminator = stylegan.synthesis_of_2019, stylegan.discriminator_of_2019
        return {"mapping": stylegan.mapping(self.latent, self.mapping),
                "synthesis": synthesis(self.size, self.latent, *sizes),
                "discriminator": discriminator(self.size, *sizes), "memory": Memory()}

    def groups(self) -> dict[str, list[str]]:
        return {"generator": ["mapping", "synthesis"], "discriminator": ["discriminator"]}

    def share_of_rate(self, group: str) -> float:
        """As though the penalties, which have updates of their own, were part of every iteration.
        """
        every = {"generator": SELDOM if self._lengths else None,
                 "discriminator": RARELY if self._penalised else None}[group]
        return every / (every + 1) if every else 1.0

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(learning_rate, 0.0, 0.99 ** self.share_of_rate(group), 1e-8)

    @property
    def _lengths(self) -> bool:
        return self.design == "2020" and self.path > 0

    @property
    def _penalised(self) -> bool:
        return self.gamma != 0 and self.loss != "wasserstein"

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(self.generator_losses), *[Phase(self.length_losses, SELDOM)] * self._lengths,
                Phase(self.discriminator_losses),
                *[Phase(self.gradient_losses, RARELY)] * self._penalised)

    def chance(self, count: int, random: np.random.Generator) -> Latents:
        crossover = np.where(random.random((count, 3)) < self.mixing,
                             random.integers(1, self.layers, (count, 3)), self.layers)
        return Latents(random.standard_normal((count, 3, 2, self.latent), np.float32),
                       crossover.astype(np.int32), random.random(count, np.float32),
                       ada.chance(2 * count, random).reshape(count, 2, -1))

    def styles(self, networks: dict[str, keras.Model], latents: Latents, purpose: int,
               training: bool = True) -> Any:
        """(N, L, D): those of two latents each, mixed."""
        styles = networks["mapping"](ops.reshape(latents.z[:, purpose], (-1, self.latent)),
                                     training=training)
        first, second = ops.unstack(ops.reshape(styles, (-1, 2, self.latent)), 2, 1)
        return stylegan.mixed(*(stylegan.broadcast(w, self.layers) for w in (first, second)),
                              latents.crossover[:, purpose])

    def generator_losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        latents = batch["chance"]
        fake = networks["synthesis"](self.styles(networks, latents, GENERATE), training=True)
        logits = networks["discriminator"](self._seen(networks, fake, latents, 1), training=True)
        spread = _spread(fake) / _spread(2 * batch["a"].target - 1)
        return Losses({"generator": {"G": GAN_LOSSES[self.loss].generator(logits)}},
                      {"spread": spread})

    def length_losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        """Half of the batch is enough."""
        memory, latents = networks["memory"], batch["chance"]
        half = max(1, latents.z.shape[0] // 2)
        styles = self.styles(networks, Latents(*(array[:half] for array in latents)), PENALISE)
        noise = keras.random.normal((half, self.size, self.size, 3), dtype="float32",
                                    seed=memory.seeds)
        lengths = path_lengths(lambda styles: networks["synthesis"](styles, training=True), styles,
                               noise)
        mean = memory.length + DECAY * (ops.mean(ops.stop_gradient(lengths)) - memory.length)
        memory.length.assign(mean)
        penalty = ops.mean(ops.square(lengths - mean))
        return Losses({"generator": {"path": SELDOM * self.path * penalty}},
                      {"path length": ops.mean(lengths)})

    def discriminator_losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        latents, memory, game = batch["chance"], networks["memory"], GAN_LOSSES[self.loss]
        discriminator = networks["discriminator"]
        fake = ops.stop_gradient(networks["synthesis"](self.styles(networks, latents, TELL),
                                                       training=True))
        real = 2 * batch["a"].target - 1
        shown = self._seen(networks, real, latents, 0), self._seen(networks, fake, latents, 1)
        logits = tuple(discriminator(pictures, training=True) for pictures in shown)
        minimise = {"D": game.discriminator(*logits)}
        if self.loss == "wasserstein":
            weight = 10.0 if self.gamma is None else self.gamma
            minimise["slope"] = weight * gradient_penalty(
                lambda pictures: discriminator(pictures, training=True), *shown, latents.share)
        report = {"D(real)": game.realness(logits[0]), "D(fake)": game.realness(logits[1])}
        if self.augment_target:
            undecided = 0.5 if self.loss == "least_squares" else 0.0
            ada.adapt(memory.strength, memory.sign, ops.mean(ops.sign(logits[0] - undecided)),
                      self.augment_target, real.shape[0], 1000 * self.augment_images)
            report["augmentation"] = ops.convert_to_tensor(memory.strength)
        return Losses({"discriminator": minimise}, report)

    def gradient_losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        """Of real pictures as the discriminator is shown them."""
        real = self._seen(networks, 2 * batch["a"].target - 1, batch["chance"], 0)
        gamma = 0.0002 * self.size ** 2 / real.shape[0] if self.gamma is None else self.gamma
        penalty = r1(lambda pictures: networks["discriminator"](pictures, training=True), real)
        return Losses({"discriminator": {"r1": RARELY * gamma / 2 * penalty}}, {"R1": penalty})

    def _seen(self, networks: dict[str, keras.Model], pictures: Any, latents: Latents,
              which: int) -> Any:
        """Pictures as the discriminator is shown them."""
        if not self.augment_target:
            return pictures
        return ada.augmented(pictures, latents.augment[:, which],
                             ops.convert_to_tensor(networks["memory"].strength))

    def generator(self, networks: dict[str, keras.Model]) -> keras.Model:
        """(N, D) latents, normal -> (N, S, S, 3) RGB in [0, 1], not truncated."""
        z = keras.Input((self.latent,))
        styles = keras.layers.RepeatVector(self.layers)(networks["mapping"](z))
        drawn = networks["synthesis"](styles)
        faces = keras.layers.Rescaling(0.5, 0.5, dtype="float32")(drawn)
        return keras.Model(z, faces, name="generator")

    def drawer(self, networks: dict[str, keras.Model]) -> Draw:
        generator = self.generator(networks)

        def draw(count: int) -> np.ndarray:
            latents = np.random.default_rng(0).standard_normal((count, self.latent), np.float32)
            parts = np.array_split(latents, -(-count // self.batch))
            return np.concatenate([generator.predict_on_batch(part) for part in parts])

        return draw

    def viewer(self, networks: dict[str, keras.Model], faces: dict) -> Callable[[], np.ndarray]:
        """Above faces that it learns from, below always the same ones that it draws."""
        draw = self.drawer(networks)
        return lambda: preview.grid(np.concatenate([preview.chosen(faces["a"], ACROSS),
                                                    draw((ROWS - 1) * ACROSS)]), ACROSS)


def _spread(pictures):
    """How much the pictures of a batch differ, on average."""
    return ops.mean(ops.std(pictures, 0)) + 1e-6
