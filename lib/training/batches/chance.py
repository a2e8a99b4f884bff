"""Random numbers of a batch, from which the host and the device make the same pictures.

Batch number n depends on the seed and on n alone, so a run that is resumed sees the batches it
would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lib.plugin import Augmenter
from lib.training.batches.augmentation import Augmentation
from lib.training.batches.batch import CHANCE

CANDIDATES = 6  # a face to be bent is one of so many that stand nearest
# How much of the own person's build a bent face has, where the rest is the other's: the likeness
# lives by it.
BUILD = (0.3, 1.0)
# The order in which the usual numbers are drawn, before and after the other face is chosen. Another
# order would make another training of the same seed; further plugins come last.
DRAWN_FIRST = ("color.gain", "blur.sigma")
DRAWN_NEXT = ("light.growth", "color.lift", "warp.shifts")
WARP = "warp.shifts"  # what a batch that repeats another leaves out


class Draws(NamedTuple):
    """The random numbers of N faces of one identity."""

    index: np.ndarray  # (N,) int32 which face
    move: np.ndarray  # (N, 2, 3) float32 crop pixels -> crop pixels
    partner: np.ndarray  # (N,) int32 face of the other identity that it is bent to; -1: it is not
    nearest: np.ndarray  # (N,) int32 rank of the face that is bent among the nearest; 0: nearest
    share: np.ndarray  # (N,) float32 how much of its own build it keeps
    crossed: np.ndarray  # (N,) bool: the input is that other face itself
    flip: np.ndarray  # (N,) bool
    numbers: dict[str, np.ndarray]  # (N, ...) float32 of augmentations, by "plugin.number"

    def rows(self) -> Iterator[Draws]:
        """The numbers of each face."""
        for place, row in enumerate(zip(*self[:-1])):
            yield Draws(*row, {name: values[place] for name, values in self.numbers.items()})

    def part(self, rows: slice) -> Draws:
        """The numbers of some of the faces."""
        return Draws(*(values[rows] for values in self[:-1]),
                     {name: values[rows] for name, values in self.numbers.items()})


def numbers_of(name: str, augmenter: Augmenter, draws: Draws) -> dict[str, Any]:
    """The numbers of the plugin called `name`, by their own names."""
    return {number: draws.numbers[f"{name}.{number}"] for number in augmenter.numbers}


def draw(indices: Sequence[int], augmentation: Augmentation, size: int, faces: int, others: int,
         random: np.random.Generator) -> Draws:
    """Draws the numbers for the faces at `indices` of `faces` in all, seen as crops of `size`
    pixels; `others` counts those of the other identity, 0: none is retargeted.
    """
    augmenters = augmentation.augmenters
    count = len(indices)
    every = {f"{name}.{number}" for name, plugin in augmenters.items() for number in plugin.numbers}
    numbers = {}

    def draw_numbers(names: Sequence[str]) -> None:
        for name in names:
            plugin, _, number = name.partition(".")
            drawn = augmenters[plugin].draw(number, count, size, random)
            numbers[name] = np.asarray(drawn, np.float32)

    extents = augmentation.rotation, augmentation.scale, augmentation.shift, augmentation.shift
    moves = random.uniform(-1, 1, (count, 4)) * extents
    retargeted = (random.random(count) < augmentation.retarget) & (others > 0)
    crossed = retargeted & (random.random(count) < augmentation.crossed)
    nearest = np.where(crossed, 0, random.integers(min(CANDIDATES, faces), size=count))
    share = np.where(crossed, 0.0, random.uniform(*BUILD, count))
    draw_numbers(DRAWN_FIRST)
    partner = np.where(retargeted, random.integers(max(others, 1), size=count), -1)
    draw_numbers(DRAWN_NEXT)
    flip = (random.random(count) < 0.5) & augmentation.flip
    draw_numbers(sorted(every - numbers.keys()))
    return Draws(np.asarray(indices, np.int32), _moves(*moves.T, size), partner.astype(np.int32),
                 nearest.astype(np.int32), share.astype(np.float32), crossed, flip, numbers)


def _moves(angle: np.ndarray, scale: np.ndarray, right: np.ndarray, down: np.ndarray,
           size: int) -> np.ndarray:
    """(N, 2, 3) float32: a turn by degrees, counterclockwise, and a change of scale, about the
    middle; a shift in shares of the side.
    """
    cosine = (1 + scale) * np.cos(np.radians(angle))
    sine = (1 + scale) * np.sin(np.radians(angle))
    centre = (size - 1) / 2
    x = (1 - cosine - sine) * centre + right * size
    y = (1 - cosine + sine) * centre + down * size
    rows = [np.stack([cosine, sine, x], -1), np.stack([-sine, cosine, y], -1)]
    return np.stack(rows, -2).astype(np.float32)


ModelChance = Callable[[int, np.random.Generator], "NamedTuple | None"]


class Chance:
    """The random numbers of every batch, which depend on the seed and the batch's number alone.

    Each pass through the faces shuffles them anew, so that every face is seen equally often; with
    `weights`, (N,) by identity that sum to 1, as often as these say. `model_chance` is a model's
    own `chance`. Of each batch it gives the `rows` alone.
    """

    def __init__(self, counts: Mapping[str, int], size: int, batch: int, augmentation: Augmentation,
                 seed: int, weights: Mapping[str, np.ndarray] | None = None,
                 rows: slice = slice(None), model_chance: ModelChance | None = None):
        self.augmenters = augmentation.augmenters
        self._counts, self._size, self._batch = counts, size, batch
        self._augmentation, self._seed = augmentation, seed
        self._weights, self._rows, self._model_chance = weights or {}, rows, model_chance

    def __call__(self, number: int) -> dict[str, Any]:
        """By identity `Draws`; under CHANCE the model's own, if it has any."""
        batch, every = {}, self._augmentation.unwarped
        repeats = bool(every) and number % every == every - 1
        number -= repeats
        for place, (identity, count) in enumerate(self._counts.items()):
            random = np.random.default_rng((self._seed, place, number))
            others = next((size for name, size in self._counts.items() if name != identity), 0)
            draws = draw(self._chosen(place, identity, number), self._augmentation, self._size,
                         count, others, random)
            if repeats:
                draws.numbers[WARP] = np.zeros_like(draws.numbers[WARP])
            batch[identity] = draws.part(self._rows)
        if self._model_chance:
            random = np.random.default_rng((self._seed, len(self._counts), number))
            if own := self._model_chance(self._batch, random):
                batch[CHANCE] = type(own)(*(values[self._rows] for values in own))
        return batch

    def _chosen(self, place: int, identity: str, number: int) -> list[int]:
        """Which faces of `identity`, number `place` of all, are in batch `number`."""
        count = self._counts[identity]
        first = number * self._batch
        passes, places = np.divmod(np.arange(first, first + self._batch), count)
        weights = self._weights.get(identity)
        orders = {turn: self._order(count, weights,
                                    np.random.default_rng((self._seed, place, turn)))
                  for turn in set(passes.tolist())}
        return [orders[turn][at] for turn, at in zip(passes.tolist(), places)]

    @staticmethod
    def _order(count: int, weights: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        """One pass of `count` faces: with weights, each is in it as often as its share of them
        wants, rounded up or down by chance.
        """
        if weights is None:
            return random.permutation(count)
        ends = np.cumsum(weights) * count
        places = np.arange(count) + random.random()
        taken = np.searchsorted(ends, places, side="right").clip(max=count - 1)
        return random.permutation(taken)
