"""The progress of a training: measured on faces that are held out, and over when nothing gets better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lib.evaluation.frames import Kit
from lib.evaluation.held_out import HeldOut, held_out, in_crop, plateau
from lib.facesets.references import reference_faces
from lib.plugin import ALIGNERS, BLENDERS, COLORS, MASKERS, RECOGNIZERS
from lib.swapping.composite import Compositor, crop_face, network_input
from lib.types import Frame


class Drawn:
    """A network of 128 pixels that draws what it is told to."""

    size, drawn, coverage = 128, 128, "whole"

    def __init__(self, draw: Callable[[np.ndarray], np.ndarray]):
        self._draw = draw

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, None]:
        return np.stack([self._draw(face) for face in faces]), None


@pytest.fixture(scope="module")
def people(face_folders):
    return {identity: [one.aligned for one in reference_faces(folder, None, None)] for identity, folder in face_folders.items()}


@pytest.fixture(scope="module")
def measured(people):
    recognizer = RECOGNIZERS.create("dlib_resnet")
    compositor = Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [MASKERS.create("hull")])
    kit = Kit(None, ALIGNERS.create("dlib68"), recognizer)
    held = HeldOut(people["a"][:3], recognizer.embed(people["b"]).mean(0), compositor, None, kit)
    return lambda draw: held.measure(Drawn(draw))


def test_faces_left_as_they_are_are_still_as(measured):
    scores = measured(lambda face: face)
    assert scores["distance_b"] > 0.65 and scores["landmark_error"] < 1.5 and scores["pose_error"] < 2
    assert 0.8 < scores["detail"] < 1.1


def test_bs_face_on_them_is_nearer_to_b(measured, people):
    other = network_input(crop_face(Frame(0, people["b"][0].image), in_crop(people["b"][0]), 128), 128)
    scores = measured(lambda face: other)
    assert scores["distance_b"] < measured(lambda face: face)["distance_b"] - 0.15
    assert scores["landmark_error"] > 3


def test_gray_faces_are_told_from_sharp_ones(measured):
    assert measured(lambda face: np.full_like(face, face.mean()))["detail"] < 0.2


def test_held_out_faces_are_few_and_spread():
    assert held_out(10) == [5] and held_out(40) == [5, 15, 25, 35]
    many = held_out(5000)
    assert len(many) == 12 and min(np.diff(many)) > 400 and many[-1] < 5000


def history(likeness: list[float], sharpness: list[float] | None = None) -> list[tuple[int, dict[str, float]]]:
    """Measurements every 100 iterations."""
    noise = np.random.default_rng(3).normal(0, 0.002, len(likeness))
    return [(100 * number, {"distance_b": value + shake, "landmark_error": 3 + 10 * shake, "detail": sharp})
            for number, (value, shake, sharp) in enumerate(zip(likeness, noise, sharpness or [0.3] * len(likeness)), 1)]


def test_a_plateau_is_where_nothing_gets_better():
    falling = (0.4 + 0.3 * np.exp(-np.arange(90) / 10)).tolist()
    ends = next(count for count in range(91) if plateau(history(falling[:count])))
    assert 33 < ends < 70  # by the 22nd it is all but 10 % down, 2 % better than at two thirds of that until about the 40th
    assert not plateau(history((0.9 - 0.01 * np.arange(60)).tolist()))


def test_growing_sharpness_is_no_plateau():
    flat = [0.4] * 40
    assert plateau(history(flat))
    assert not plateau(history(flat, np.linspace(0.1, 0.4, 40).tolist()))


def test_a_plateau_takes_enough_measurements_to_be_told():
    assert not plateau(history([0.4] * 19)) and plateau(history([0.4] * 20))


def test_what_is_recent_goes_by_iterations():
    """A machine that was busy with something else measured often and trained little: the last ten are of one iteration."""
    better = [*(0.6 - 0.01 * np.arange(16)), *[0.44] * 12]
    assert plateau(history(better))
    assert not plateau([(min(iteration, 1700), row) for iteration, row in history(better)])
