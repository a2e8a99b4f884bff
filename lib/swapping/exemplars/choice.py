"""Which pictures of B suit each frame: for the skin, each eye and the mouth a path through the
bank, changed seldom and softly.

The nearest picture of each frame by itself flickers. So a path is sought that costs least over a
whole stretch of a track, where a change of picture costs, too ("The Viterbi algorithm", Proceedings
of the IEEE, 1973).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lib.swapping.exemplars.features import Features, Person, openness, transfer_lids

# What a change of picture costs, in squared shares of the crop's side, as all costs here
SKIN_CHANGE, EYE_CHANGE, MOUTH_CHANGE = 6e-4, 2e-4, 1e-4
# A change to a picture within so many frames of B costs this share: it is nearly a movement of B's
CLOSE, CLOSE_SHARE = 2, 1 / 3
SKIN_FADE, PART_FADE = 4, 1  # frames before and after a change over which both pictures are mixed
MOST_MIXED = 3  # pictures of a part
# Of the cost of the skin that counts for eyes and mouth, too: they have to be turned alike
POSE_SHARE = 0.5
# Weights of lids, of gaze, and of how unlike the patches are
OPENING, LIDS, GAZE, EYE_LOOK, MOUTH_LOOK = 3.0, 4e-3, 2e-2, 5e-4, 1e-3

SKIN_WEIGHTS = np.ones(68, np.float32)
SKIN_WEIGHTS[:17], SKIN_WEIGHTS[17:27], SKIN_WEIGHTS[27:36], SKIN_WEIGHTS[48:] = 0.5, 1.5, 3.0, 0.6
MOUTH_SHARES = np.float32([1, 1, 1, 0.7, 0.7])  # of gaps, width and corners

Mix = tuple[tuple[int, float], ...]  # numbers of pictures, and their shares, which sum to 1


class Choice(NamedTuple):
    """The pictures that a face gets."""

    skin: Mix
    right_eye: Mix
    left_eye: Mix
    mouth: Mix


@dataclass(frozen=True)
class Costs:
    """How badly each of K pictures suits each of T faces: (T, K) float32 each."""

    skin: np.ndarray
    right_eye: np.ndarray
    left_eye: np.ndarray
    mouth: np.ndarray


def measure_costs(faces: Features, person: Person, bank: Features, bank_person: Person,
                  extra: np.ndarray) -> Costs:
    """Of T `faces` of `person` and the K pictures of `bank`, of `bank_person`; `extra` (K,) is
    added to the cost of the skin."""
    build, bank_build = person.build, bank_person.build
    # how the head is turned: landmarks, each person's build taken out
    shapes = faces.shapes + (bank_build - build).astype(np.float32)
    skin = _squares(shapes, bank.shapes, SKIN_WEIGHTS) + extra.astype(np.float32)
    pose = POSE_SHARE * skin
    # eyes: how far they are open, in pixels and of each person's usual, where they look, and what
    # they look like
    openings = transfer_lids(faces.openings, person, bank_person)
    open_share = openness(faces.openings, person)
    bank_open_share = openness(bank.openings, bank_person)
    eyes = [pose + OPENING * np.square(openings[:, None, eye] - bank.openings[None, :, eye])
            + LIDS * np.square(open_share[:, None, eye] - bank_open_share[None, :, eye])
            + GAZE * _gaze_costs(faces.gazes, bank.gazes)
            + EYE_LOOK * (1 - faces.eyes[:, eye] @ bank.eyes[:, eye].T) for eye in (0, 1)]
    # mouth: its gaps, width and corners, and what it looks like
    gaps = (faces.mouths - _usual(build)) * MOUTH_SHARES
    bank_gaps = (bank.mouths - _usual(bank_build)) * MOUTH_SHARES
    mouth = pose + np.square(gaps[:, None] - bank_gaps[None]).mean(-1) \
        + MOUTH_LOOK * (1 - faces.lips @ bank.lips.T)
    return Costs(skin, *eyes, mouth)


def choose(costs: Costs, moments: np.ndarray, lengths: Sequence[int]) -> list[Choice]:
    """The pictures of T faces: stretches of `lengths` frames, one after the other, each of one
    track without a cut.

    `moments` (K,) int64 says when each picture was taken, in frames.
    """
    order = np.argsort(moments, kind="stable")
    steps = _close_steps(np.asarray(moments)[order])
    choices: list[Choice] = []
    start = 0
    for length in lengths:
        rows = slice(start, start + length)
        paths = [order[_path(cost[rows][:, order], price, close)]
                 for cost, price, close in ((costs.skin, SKIN_CHANGE, ()),
                                            (costs.right_eye, EYE_CHANGE, steps),
                                            (costs.left_eye, EYE_CHANGE, steps),
                                            (costs.mouth, MOUTH_CHANGE, steps))]
        fades = SKIN_FADE, PART_FADE, PART_FADE, PART_FADE
        choices += map(Choice, *map(_mixed, paths, fades))
        start += length
    return choices


def _close_steps(moments: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Of pictures in the order of time: distances in this order, and (K - distance,) bool, which
    pairs so far apart are CLOSE in time."""
    steps: list[tuple[int, np.ndarray]] = []
    for step in range(1, len(moments)):
        close = moments[step:] - moments[:-step] <= CLOSE
        if not close.any():
            break
        steps.append((step, close))
    return steps


def _path(cost: np.ndarray, change: float, close: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """(T,): which of K pictures each frame gets, so that `cost` (T, K) and the changes between them
    sum to the least."""
    total, numbers = cost[0].copy(), np.arange(cost.shape[1])
    back = np.zeros(cost.shape, np.int32)
    for time in range(1, len(cost)):
        best, came = total.copy(), numbers.copy()
        least = int(total.argmin())
        changed = total[least] + change < best
        best[changed], came[changed] = total[least] + change, least
        for step, pairs in close:
            earlier, later = slice(None, -step), slice(step, None)
            for to, origin in ((later, earlier), (earlier, later)):
                costs = np.where(pairs, total[origin] + change * CLOSE_SHARE, np.inf)
                better = costs < best[to]
                best[to] = np.where(better, costs, best[to])
                came[to] = np.where(better, numbers[origin], came[to])
        total, back[time] = best + cost[time], came
    path = [int(total.argmin())]
    for time in range(len(cost) - 1, 0, -1):
        path.append(int(back[time, path[-1]]))
    return np.array(path[::-1])


def _mixed(path: np.ndarray, reach: int) -> list[Mix]:
    """The path with pictures faded into each other over `reach` frames before and after a
    change."""
    weights = 1 - np.abs(np.arange(-reach, reach + 1)) / (reach + 1)
    last, mixes = len(path) - 1, []
    for time in range(len(path)):
        shares: dict[int, float] = {}
        for offset, weight in zip(range(-reach, reach + 1), weights.tolist()):
            picture = int(path[min(max(time + offset, 0), last)])
            shares[picture] = shares.get(picture, 0.0) + weight
        most = sorted(shares.items(), key=lambda item: -item[1])[:MOST_MIXED]
        total = sum(weight for _, weight in most)
        mixes.append(tuple((picture, weight / total) for picture, weight in most))
    return mixes


def _squares(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(T, K): mean squared distance of the points of (T, 68, 2) and (K, 68, 2), weighted by
    (68,)."""
    root = np.sqrt(weights / weights.sum())[:, None]
    first, second = ((shapes * root).reshape(len(shapes), -1) for shapes in (first, second))
    squares = np.square(first).sum(1)[:, None] + np.square(second).sum(1)
    return np.maximum(squares - 2 * first @ second.T, 0)


def _gaze_costs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(T, K): squared distance of the gazes of (T, 3) and (K, 3), where both can be told."""
    apart = np.square(first[:, None, :2] - second[None, :, :2]).sum(2)
    return apart * np.minimum(first[:, None, 2], second[None, :, 2])


def _usual(build: np.ndarray) -> np.ndarray:
    """(5,) float32: what is a person's own in `Features.mouths`, width and corners; gaps count as
    they are."""
    corners = (build[48, 1] + build[54, 1]) / 2 - build[51, 1]
    return np.float32([0, 0, 0, np.linalg.norm(build[48] - build[54]), corners])
