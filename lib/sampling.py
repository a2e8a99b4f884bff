"""Some of many: frames to compare, faces to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int | None) -> list[Item]:
    """Up to `most` of `items`, evenly spaced from the first to the last; all of them for None."""
    count = len(items)
    if most is None or count <= most:
        return list(items)
    if most == 1:
        return [items[0]]
    return [items[round(place * (count - 1) / (most - 1))] for place in range(most)]


def middles(items: Sequence[Item], most: int) -> list[Item]:
    """Up to `most` of `items`: the middle one of each of equal parts."""
    most = min(most, len(items))
    return [items[int((place + 0.5) * len(items) / most)] for place in range(most)]
