"""New people: faces that are like nobody's whom the generator was taught with, and many pictures of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lib.faces.likeness import likeness
from lib.faces.traits import openings, yaw_pitch
from lib.generating.faces import aligned_faces
from lib.generating.generator import LATER, Generator
from lib.plugin import Aligner, Detector, Recognizer
from lib.types import AlignedFace

TRIED = 6  # times as many pictures are drawn of a person as are asked for, at most
ROUND = 64  # pictures drawn between two looks at whether they suffice
OFTEN = 2  # times as many as are asked for have to pass before the most varied are chosen
STRONG, WEAK = 1.0, 0.25  # share of the way to somebody else's style: in the layers of pose, in all
SCALES = np.array([15.0, 10.0, 0.1, 0.1])  # degrees of yaw and of pitch, eyes and mouth: what counts as a difference of 1


class Drawn(NamedTuple):
    """One picture of a person."""

    aligned: AlignedFace
    own: float  # likeness to the person's first picture
    strangers: float  # the largest likeness to anybody that the generator was taught with


@dataclass(frozen=True)
class Tools:
    """What finds faces and says whose they are."""

    detector: Detector
    aligner: Aligner
    recognizer: Recognizer


def choose(embeddings: np.ndarray, known: np.ndarray, count: int, recognizer: Recognizer) -> list[int]:
    """Indices of `count` of `embeddings` (N, D) that are least like any of `known` (M, D) and each other, in turn.

    Each is below the recognizer's `same` to all of these, and far enough from the average to tell; fewer are given where no more are so.
    """
    nearest = _largest(embeddings, known, recognizer)
    telling = np.linalg.norm(embeddings - recognizer.average, axis=1) >= recognizer.telling
    nearest = np.where(telling, nearest, np.inf)
    chosen: list[int] = []
    while len(chosen) < min(count, len(embeddings)):
        best = int(nearest.argmin())
        if nearest[best] >= recognizer.same:
            break
        chosen.append(best)
        nearest = np.maximum(nearest, likeness(embeddings, embeddings[best:best + 1], recognizer)[:, 0])
        nearest[best] = np.inf
    return chosen


def variations(generator: Generator, w: np.ndarray, number: int) -> Iterator[np.ndarray]:
    """Without end, styles (ROUND, L, latent) of faces like that of `w` (latent,), no two of two people's `number`s alike.

    In the two coarsest layers, which carry pose, a part of the way to somebody else, and in all a small part; after what the layers of
    "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019, were found to carry.
    """
    random = np.random.default_rng((LATER, number))
    while True:
        z = random.standard_normal((2 * ROUND, generator.latent), np.float32)
        coarse, other = np.split(generator.w(z), 2)
        styles = generator.styles(np.repeat(w[None], ROUND, 0))
        styles[:, :2] += STRONG * random.random((ROUND, 1, 1), np.float32) * (coarse - w)[:, None]
        yield styles + WEAK * random.random((ROUND, 1, 1), np.float32) * (generator.styles(other) - w)


def pictures_of(generator: Generator, w: np.ndarray, number: int, first: np.ndarray, known: np.ndarray, count: int,
                tools: Tools) -> list[Drawn]:
    """Up to `count` faces of the person of `w` (latent,), whose first picture has the embedding `first` (D,): taken for that person by the
    recognizer, and for nobody whose embedding is among `known` (M, D), with poses and expressions as different as may be."""
    passed: list[Drawn] = []
    drawn = 0
    for styles in variations(generator, w, number):
        if drawn == 0:
            styles[0] = w
        faces = [face for face in aligned_faces(generator, styles, tools.detector, tools.aligner) if face]
        drawn += len(styles)
        if faces:
            embeddings = tools.recognizer.embed(faces)
            own, strangers = likeness(embeddings, first[None], tools.recognizer)[:, 0], _largest(embeddings, known, tools.recognizer)
            passed += [Drawn(face, float(one), float(other)) for face, one, other in zip(faces, own, strangers)
                       if one >= tools.recognizer.same > other]
        if len(passed) >= OFTEN * count or drawn >= max(ROUND, TRIED * count):
            break
    return [passed[place] for place in varied(np.array([_traits(one.aligned) for one in passed]).reshape(-1, 4), count)]


def varied(traits: np.ndarray, count: int) -> list[int]:
    """Indices of up to `count` rows of (N, K), the first and then always that which is farthest from all before."""
    if not len(traits):
        return []
    chosen, apart = [0], np.linalg.norm(traits - traits[0], axis=1)
    while len(chosen) < min(count, len(traits)):
        apart[chosen] = -1
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(traits - traits[chosen[-1]], axis=1))
    return chosen


def _traits(aligned: AlignedFace) -> np.ndarray:
    try:
        return np.array([*yaw_pitch(aligned), *openings(aligned.face.landmarks)]) / SCALES
    except ValueError:  # the landmarks make no face
        return np.zeros(4)


def _largest(embeddings: np.ndarray, known: np.ndarray, recognizer: Recognizer) -> np.ndarray:
    """(N,): of each the likeness to who is most alike."""
    return likeness(embeddings, known, recognizer).max(1, initial=-1.0)


def spread(embeddings: np.ndarray, recognizer: Recognizer) -> Sequence[float]:
    """Mean and smallest likeness of (N, D) to each other, N at least 2."""
    alike = likeness(embeddings, embeddings, recognizer)[np.triu_indices(len(embeddings), 1)]
    return float(alike.mean()), float(alike.min())
