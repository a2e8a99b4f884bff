"""The contract of models, autoencoders and adversarial ones alike: one loop trains them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from lib.plugin import Plugin
from lib.training.batches.augmentation import CLASSIC, Augmentation
from lib.training.batches.faces import Faces

if TYPE_CHECKING:
    import keras
    import numpy as np

Networks: TypeAlias = "dict[str, keras.Model]"
Draw = Callable[[int], "np.ndarray"]  # (N, S, S, 3) float32 RGB in [0, 1]: always the same N faces


@dataclass(frozen=True)
class LossWeights:
    """What a model minimises and where it counts, in models whose loss can be chosen.

    A weight that is None cannot be chosen.
    """

    criteria: Mapping[str, float]  # loss plugins by name, with their weights
    # weight of pixels outside the face, where those of the face count 1
    outside: float | None = 0.1
    eyes: float | None = 3.0  # extra weight of the eyes
    mouth: float | None = 2.0  # extra weight of the mouth


class Losses(NamedTuple):
    """The losses of one batch."""

    # Optimizer group -> name -> scalar; a group minimises their sum
    minimise: dict[str, dict[str, Any]]
    # Name -> scalar that is only shown; "a" and "b" are the classic measure, mean absolute error
    report: dict[str, Any]


class Phase(NamedTuple):
    """A part of an iteration: its losses, and an update of every group that these name."""

    losses: Callable[[Networks, dict], Losses]
    every: int = 1  # iterations from one to the next; the first is in iteration 0


class FaceModel(Plugin, ABC):
    """Networks and losses for two identities, or one. A description: it holds options, never
    weights.

    Plugins are dataclasses that register with `MODELS`. `size` and `coverage` say which crops the
    model sees; the other attributes are defaults that the command line overrides. Autoencoders
    inherit from `lib.training.model.autoencoder.Autoencoder`, which has most of this.
    """

    size: int  # side of the crop that it sees, pixels
    coverage: str  # of the crop: a key of `geometry.COVERAGES`
    identities: tuple[str, ...] = ("a", "b")  # whose faces it learns from
    swaps: bool = True  # has a `swapper`; one without it draws faces of its own, for `generate`
    finds_covers: bool = False  # learns what covers faces, for a masker; draws no faces
    translates: bool = False  # has a `translation`, of faces or whole pictures
    adversarial: bool = False  # networks work against each other: losses do not say how good it is
    added: tuple[str, ...] = ()  # networks and groups that an earlier checkpoint may lack
    follows: tuple[str, ...] | None = None  # networks that have moving averages; None: all
    batch: int = 16  # faces of each identity
    learning_rate: float = 5e-5
    decays: bool = False  # the learning rate warms up, and falls towards the end of a run
    schedule: str | None = None  # plugin; None: cosine where the rate `decays`, else level
    averaged: float = 0.0  # decay of the moving averages of the weights; 0: none are kept
    augmentation: Augmentation = CLASSIC
    loss_weights: LossWeights | None = None  # None: its losses are fixed
    morph: float | None = None  # share of B in a swap, of models that can stop half way
    earlier: Mapping[str, Any] = MappingProxyType({})  # newer options, as older models had them

    @property
    def drawn(self) -> int:
        """Side of the face that it draws, pixels: `size`, unless it draws finer than it sees."""
        return self.size

    @property
    def taught(self) -> int:
        """Side of its target pictures: the least multiple of `size` that is at least `drawn`."""
        return -(-self.drawn // self.size) * self.size

    @abstractmethod
    def networks(self) -> Networks:
        """New networks, by name. All are trained and saved."""

    def groups(self) -> dict[str, list[str]]:
        """Optimizer group -> names of the networks that it updates; []: all of them."""
        return {"all": []}

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        """The optimizer of a group."""
        import keras

        return keras.optimizers.Adam(learning_rate)

    def share_of_rate(self, group: str) -> float:
        """Share of the learning rate that a group's optimizer gets."""
        return 1.0

    def phases(self) -> tuple[Phase, ...]:
        """What an iteration does, in this order: by default one update of all groups together."""
        return (Phase(self.losses),)

    def chance(self, count: int, random: np.random.Generator) -> NamedTuple | None:
        """Random numbers that the losses of a batch of `count` faces need, arrays of `count` rows.

        The losses find them, as tensors, in `batch["chance"]`. None: it needs none.
        """
        return None

    def losses(self, networks: Networks, batch: dict) -> Losses:
        """The losses of a batch, written in `keras.ops`.

        `batch` is by identity a `Side` of float32 tensors: `input` and `regions` (N, S, S, 3) and
        `target` (N, T, T, 3) RGB in [0, 1], `landmarks` (N, 68, 2) x, y in [0, 1] of the side; S
        is `size`, T `taught`.
        """
        raise NotImplementedError

    def viewer(self, networks: Networks, faces: Mapping[str, Faces]) -> Callable[[], np.ndarray]:
        """A function that draws the preview with the networks as they are when it is called,
        (H, W, 3) uint8 RGB.
        """
        from lib.training.watch import preview

        shown = {to: self.swapper(networks, to) for to in faces}
        return lambda: preview.sheet(
            faces, lambda pictures, to: shown[to].predict_on_batch(pictures))

    def swapper(self, networks: Networks, to: str) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> the same faces as identity `to`: (N, D, D, 3), or
        (N, D, D, 4) with the mask where it is learnt. S is `size`, D `drawn`.
        """
        raise NotImplementedError

    def exports(self, networks: Networks) -> dict[str, bytes]:
        """Files, by name, that each save leaves in the model's folder for others to use."""
        return {}

    def drawer(self, networks: Networks) -> Draw:
        """Of a model that does not swap: draws faces, with the networks as they are when called."""
        raise NotImplementedError

    def translation(self, networks: Networks, to: str) -> keras.Model:
        """(N, H, W, 3) RGB in [0, 1] -> the same as `to` would show it. H and W are multiples of 4,
        and at least 16.
        """
        raise NotImplementedError
