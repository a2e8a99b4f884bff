"""What a model is: one contract for autoencoders and adversarial models, so that one loop trains them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from lib.training.batches.augmentation import CLASSIC, Augmentation
from lib.training.batches.faces import Faces

if TYPE_CHECKING:
    import keras
    import numpy as np

Networks = "dict[str, keras.Model]"
Draw = Callable[[int], "np.ndarray"]  # so many faces (N, S, S, 3) float32 RGB in [0, 1], always the same ones


@dataclass(frozen=True)
class LossWeights:
    """What a model minimises, where that can be chosen, and where it counts. None: cannot be chosen."""

    criteria: Mapping[str, float]  # loss plugins by name, with their weights
    outside: float | None = 0.1  # weight of pixels outside the face, where those of the face count 1
    eyes: float | None = 3.0  # extra weight of the eyes
    mouth: float | None = 2.0  # extra weight of the mouth


class Losses(NamedTuple):
    """What one batch costs."""

    minimise: dict[str, dict[str, Any]]  # optimizer group -> name -> scalar; a group minimises their sum
    report: dict[str, Any]  # name -> scalar that is only shown; "a" and "b" are the classic measure, mean absolute error


class Phase(NamedTuple):
    """A part of an iteration: what it costs, and the update of every group that these losses name."""

    losses: Callable[[Networks, dict], Losses]
    every: int = 1  # iterations from one to the next; the first is in iteration 0


class FaceModel(ABC):
    """Networks and losses for two identities, or one. A description: it holds options, never weights.

    Plugins are dataclasses that register with `MODELS`. `size` and `coverage` say which crops the model sees; the rest
    are defaults that the command line overrides.
    """

    size: int  # side of the crop that it sees, pixels
    coverage: str  # of the crop: a key of `geometry.COVERAGES`
    identities: tuple[str, ...] = ("a", "b")  # whose faces it learns from
    swaps: bool = True  # has a `swapper`; one that has none makes faces of its own, with the command generate
    translates: bool = False  # has a `translation`, of faces or whole pictures
    adversarial: bool = False  # networks work against each other: its losses do not say how good it is
    added: tuple[str, ...] = ()  # networks and groups that an earlier save of it may lack
    follows: tuple[str, ...] | None = None  # networks that have averaged copies, where any have; None: all
    batch: int = 16  # faces of each identity
    learning_rate: float = 5e-5
    decays: bool = False  # warm the learning rate up, and let it fall towards the end of a run of known length
    schedule: str | None = None  # how it falls, the name of a plugin; None: down a cosine where it `decays`, else not
    averaged: float = 0.0  # how slowly the averaged weights follow, 0 = none are kept
    augmentation: Augmentation = CLASSIC
    loss_weights: LossWeights | None = None  # None: its losses are fixed
    morph: float | None = None  # share of B in a swap, of models that can stop half way; None: it cannot
    earlier: Mapping[str, Any] = MappingProxyType({})  # options that came later, and what they are of a model trained before

    @property
    def drawn(self) -> int:
        """Side of the face that it draws, pixels: `size`, unless it draws finer than it sees."""
        return self.size

    @property
    def taught(self) -> int:
        """Side of the pictures that it is taught with: the least multiple of `size` that is no smaller than `drawn`."""
        return -(-self.drawn // self.size) * self.size

    @abstractmethod
    def networks(self) -> Networks:
        """New networks, by name. All are trained and saved."""

    def groups(self) -> dict[str, list[str]]:
        """Optimizer group -> names of the networks that it updates. One group of all, unless overridden."""
        return {"all": []}

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        """The optimizer of a group."""
        import keras

        return keras.optimizers.Adam(learning_rate)

    def share_of_rate(self, group: str) -> float:
        """Of the learning rate, how much a group's optimizer gets."""
        return 1.0

    def phases(self) -> tuple[Phase, ...]:
        """What an iteration does, in this order: one update of every group together, unless overridden."""
        return (Phase(self.losses),)

    def chance(self, count: int, random: np.random.Generator) -> NamedTuple | None:
        """What a batch of `count` faces leaves to chance besides augmentation: arrays of so many rows. The losses find them, as tensors, in
        `batch["chance"]`."""
        return None

    def losses(self, networks: Networks, batch: dict) -> Losses:
        """Written in `keras.ops`. `batch` is by identity a `Side` of float32 tensors: `input`, `regions` (N, S, S, 3) and `target`
        (N, T, T, 3) in [0, 1], `landmarks` (N, 68, 2) in [0, 1] of the side; S is `size`, T `taught`."""
        raise NotImplementedError

    def viewer(self, networks: Networks, faces: Mapping[str, Faces]) -> Callable[[], np.ndarray]:
        """What makes the preview whenever it is called, (H, W, 3) uint8 RGB, with `networks` as they are then."""
        from lib.training.watch import preview

        shown = {to: self.swapper(networks, to) for to in faces}
        return lambda: preview.sheet(faces, lambda pictures, to: shown[to].predict_on_batch(pictures))

    def swapper(self, networks: Networks, to: str) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> the same face as identity `to`: (N, D, D, 3), or (N, D, D, 4) with the mask where it is learnt.

        S is `size`, D `drawn`.
        """
        raise NotImplementedError

    def drawer(self, networks: Networks) -> Draw:
        """Of a model that does not swap: what draws faces, with `networks` as they are then."""
        raise NotImplementedError

    def translation(self, networks: Networks, to: str) -> keras.Model:
        """(N, H, W, 3) RGB in [0, 1] -> the same as `to` would show it; H and W are any multiples of 4, and no less than 16."""
        raise NotImplementedError
