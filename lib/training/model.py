"""What a model is: one contract for autoencoders and adversarial models, so that one loop trains them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from lib.training.data import CLASSIC, Augmentation

if TYPE_CHECKING:
    import keras

Networks = "dict[str, keras.Model]"


class Losses(NamedTuple):
    """What one batch costs."""

    minimise: dict[str, dict[str, Any]]  # optimizer group -> name -> scalar; a group minimises their sum
    report: dict[str, Any]  # name -> scalar that is only shown; "a" and "b" are the classic measure, mean absolute error


class FaceModel(ABC):
    """Networks and losses for two identities. A description: it holds options, never weights.

    Plugins are dataclasses that register with `MODELS`. `size` and `coverage` say which crops the model sees; the rest
    are defaults that the command line overrides.
    """

    size: int  # side of the crop that it sees, pixels
    coverage: str  # of the crop: a key of `geometry.COVERAGES`
    batch: int = 16  # faces of each identity
    learning_rate: float = 5e-5
    decays: bool = False  # warm the learning rate up, and let it fall towards the end of a run of known length
    averaged: float = 0.0  # how slowly the averaged weights follow, 0 = none are kept
    augmentation: Augmentation = CLASSIC
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

    @abstractmethod
    def losses(self, networks: Networks, batch: dict) -> Losses:
        """Written in `keras.ops`. `batch` is by identity a `Side` of float32 tensors: `input`, `regions` (N, S, S, 3) and `target`
        (N, T, T, 3) in [0, 1], `landmarks` (N, 68, 2) in [0, 1] of the side; S is `size`, T `taught`."""

    @abstractmethod
    def swapper(self, networks: Networks, to: str) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> the same face as identity `to`: (N, D, D, 3), or (N, D, D, 4) with the mask where it is learnt.

        S is `size`, D `drawn`.
        """
