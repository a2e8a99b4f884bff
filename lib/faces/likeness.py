"""How like two faces are by a recognizer's embeddings, and whose faces are kept by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.plugin import Recognizer


def likeness(embeddings: np.ndarray, references: np.ndarray, recognizer: Recognizer) -> np.ndarray:
    """(N, M) cosines of (N, D) and (M, D) embeddings as they differ from the average face.

    1 is the same picture, about 0 are two people.
    """
    return unit(embeddings - recognizer.average) @ unit(references - recognizer.average).T


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` (..., D) of length 1 along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


@dataclass(frozen=True, eq=False)
class PeopleFilter:
    """Whose faces are kept; all, where nothing is set (then it is False)."""

    keep: np.ndarray | None = None  # (N, D) embeddings of the people whose faces are kept
    drop: np.ndarray | None = None  # (N, D) embeddings of the people whose faces are left out
    people: tuple[int, ...] = ()  # numbers of the people whose faces are kept
    threshold: float | None = None  # least likeness to `keep` or `drop`; None: the recognizer's own

    def __bool__(self) -> bool:
        return self.keep is not None or self.drop is not None or bool(self.people)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PeopleFilter) and self.to_json() == other.to_json()

    def keeps(self, embedding: np.ndarray, person: int | None, recognizer: Recognizer) -> bool:
        """Whether the faces of somebody with this (D,) embedding, who has the number `person`, are
        kept.
        """
        if self.people and person not in self.people:
            return False
        threshold = self.least_likeness(recognizer)
        to_kept, to_dropped = (
            -1.0 if references is None
            else float(likeness(references, embedding[None], recognizer).max())
            for references in (self.keep, self.drop))
        if self.keep is not None and to_kept < threshold:
            return False
        return to_dropped < threshold or self.keep is not None and to_kept > to_dropped

    def least_likeness(self, recognizer: Recognizer) -> float:
        return recognizer.same if self.threshold is None else self.threshold

    def to_json(self) -> dict[str, Any]:
        keep, drop = (None if references is None else references.astype(float).round(5).tolist()
                      for references in (self.keep, self.drop))
        return {"keep": keep, "drop": drop, "people": list(self.people),
                "threshold": self.threshold}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PeopleFilter:
        keep, drop = (None if value[name] is None else np.array(value[name], np.float32)
                      for name in ("keep", "drop"))
        return cls(keep, drop, tuple(value["people"] or ()), value["threshold"])
