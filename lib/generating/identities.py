"""New people: generated faces that resemble nobody in the training set, and many pictures of each.

Embeddings are (N, D) float32; a likeness is as `lib.faces.likeness.likeness` tells it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lib.faces.likeness import likeness
from lib.faces.traits import openings, yaw_pitch
from lib.generating.faces import Tools, draw_aligned
from lib.generating.generator import RANDOM_SEED, Generator
from lib.plugin import Recognizer
from lib.types import AlignedFace

MOST_TRIES = 6  # pictures drawn at most, for each that is asked for
ROUND = 64  # pictures drawn between two looks at whether they suffice
SURPLUS = 2  # pictures that pass, for each that is asked for, before the most varied are chosen
POSE_SHARE, ANY_SHARE = 1.0, 0.25  # of the way to another style: in the layers of pose, in all
# Differences that count as 1: degrees of yaw and pitch, openness of eyes and mouth
TRAIT_SCALES = np.array([15.0, 10.0, 0.1, 0.1])


class GeneratedFace(NamedTuple):
    """One picture of a new person."""

    aligned: AlignedFace
    likeness: float  # to the person's first picture
    stranger: float  # the largest likeness to anybody else


def choose_people(embeddings: np.ndarray, known: np.ndarray, count: int, recognizer: Recognizer
                  ) -> list[int]:
    """Indices of up to `count` of `embeddings` (N, D) that resemble `known` (M, D) and each other
    least.

    Each is below the recognizer's `same` to all of these, and clear enough to tell.
    """
    nearest = _largest_likeness(embeddings, known, recognizer)
    distances = np.linalg.norm(embeddings - recognizer.average, axis=1)
    nearest = np.where(distances >= recognizer.telling, nearest, np.inf)
    chosen: list[int] = []
    while len(chosen) < min(count, len(embeddings)):
        best = int(nearest.argmin())
        if nearest[best] >= recognizer.same:
            break
        chosen.append(best)
        to_best = likeness(embeddings, embeddings[best:best + 1], recognizer)[:, 0]
        nearest = np.maximum(nearest, to_best)
        nearest[best] = np.inf
    return chosen


def vary_styles(generator: Generator, w: np.ndarray, person: int) -> Iterator[np.ndarray]:
    """Without end, styles (ROUND, L, latent) of faces like that of `w` (latent,); other ones for
    each number `person`.

    The two coarsest layers, which carry pose, move up to the whole way to another random style,
    all layers a smaller share. "A Style-Based Generator Architecture for Generative Adversarial
    Networks", CVPR, 2019, says what layers carry.
    """
    random = np.random.default_rng((RANDOM_SEED, person))
    while True:
        z = random.standard_normal((2 * ROUND, generator.latent), np.float32)
        poses, variations = np.split(generator.w(z), 2)
        styles = generator.styles(np.repeat(w[None], ROUND, 0))
        pose_shares = POSE_SHARE * random.random((ROUND, 1, 1), np.float32)
        styles[:, :2] += pose_shares * (poses - w)[:, None]
        shares = ANY_SHARE * random.random((ROUND, 1, 1), np.float32)
        yield styles + shares * (generator.styles(variations) - w)


def draw_person(generator: Generator, w: np.ndarray, person: int, embedding: np.ndarray,
                known: np.ndarray, count: int, tools: Tools) -> list[GeneratedFace]:
    """Up to `count` faces of the person of `w` (latent,), as varied in pose and expression as can
    be.

    The recognizer takes each for the person whose first picture has the `embedding` (D,), and for
    nobody of `known` (M, D).
    """
    recognizer = tools.recognizer
    passed: list[GeneratedFace] = []
    drawn = 0
    for styles in vary_styles(generator, w, person):
        if drawn == 0:
            styles[0] = w
        faces = [face for face in draw_aligned(generator, styles, tools) if face]
        drawn += len(styles)
        if faces:
            embeddings = recognizer.embed(faces)
            same = likeness(embeddings, embedding[None], recognizer)[:, 0].tolist()
            strangers = _largest_likeness(embeddings, known, recognizer).tolist()
            passed += [face for face in map(GeneratedFace, faces, same, strangers)
                       if face.likeness >= recognizer.same > face.stranger]
        if len(passed) >= SURPLUS * count or drawn >= max(ROUND, MOST_TRIES * count):
            break
    traits = np.array([_traits(face.aligned) for face in passed]).reshape(-1, 4)
    return [passed[index] for index in most_varied(traits, count)]


def most_varied(rows: np.ndarray, count: int) -> list[int]:
    """Indices of up to `count` of `rows` (N, K): the first, then always the one that is farthest
    from all chosen before."""
    if not len(rows):
        return []
    chosen, distances = [0], np.linalg.norm(rows - rows[0], axis=1)
    while len(chosen) < min(count, len(rows)):
        distances[chosen] = -1
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(rows - rows[chosen[-1]], axis=1))
    return chosen


def likeness_within(embeddings: np.ndarray, recognizer: Recognizer) -> tuple[float, float]:
    """Mean and smallest likeness of `embeddings` (N, D) to each other; 1 of a single one."""
    if len(embeddings) < 2:
        return 1.0, 1.0
    pairs = likeness(embeddings, embeddings, recognizer)[np.triu_indices(len(embeddings), 1)]
    return float(pairs.mean()), float(pairs.min())


def _traits(aligned: AlignedFace) -> np.ndarray:
    """(4,): pose and expression, in TRAIT_SCALES."""
    try:
        return np.array([*yaw_pitch(aligned), *openings(aligned.face.landmarks)]) / TRAIT_SCALES
    except ValueError:  # the landmarks make no face
        return np.zeros(4)


def _largest_likeness(embeddings: np.ndarray, known: np.ndarray, recognizer: Recognizer
                      ) -> np.ndarray:
    """(N,): likeness of each to the nearest of `known`."""
    return likeness(embeddings, known, recognizer).max(1, initial=-1.0)
