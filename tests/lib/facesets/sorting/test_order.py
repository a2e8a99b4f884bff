"""Faces that were changed on purpose come where they belong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.faces.geometry import MIRRORED, crop
from lib.facesets.face_file import FaceFile, Origin, read_face
from lib.facesets.folder import list_faces
from lib.facesets.sorting.order import (
    SCALES,
    VECTORS,
    SortedFace,
    arrange,
    color_histogram,
    measure,
)
from lib.media.endpoints.sample_clips import MovingCamera
from lib.media.endpoints.sample_clips import astronaut as astronaut_portrait
from lib.plugin import ALIGNERS
from lib.types import Detection, Face


@pytest.fixture(scope="module")
def face(face_folders) -> FaceFile:
    return read_face(list_faces(face_folders["a"])[0])


def picture(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[FaceFile], FaceFile]:
    return lambda file: replace(file, aligned=replace(file.aligned, image=np.clip(change(file.image.astype(np.float32)), 0, 255)
                                                      .astype(np.uint8)))


def landmarks(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[FaceFile], FaceFile]:
    """Other landmarks in the frame, under the same crop."""
    return lambda file: replace(file, aligned=replace(file.aligned, face=replace(
        file.aligned.face, landmarks=change(file.aligned.face.landmarks.copy()).astype(np.float32))))


def moved(points: slice, x: float, y: float) -> Callable[[FaceFile], FaceFile]:
    """`points` moved by shares of the width of the face."""

    def change(there: np.ndarray) -> np.ndarray:
        there[points] += np.array([x, y]) * np.ptp(there[:, 0])
        return there

    return landmarks(change)


def rotated(degrees: float) -> Callable[[FaceFile], FaceFile]:
    """Clockwise in the frame; the crop stays upright."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return landmarks(lambda there: (there - there.mean(0)) @ np.array([[cos, sin], [-sin, cos]]) + there.mean(0))


def as_large(size: float) -> Callable[[FaceFile], FaceFile]:
    def change(file: FaceFile) -> FaceFile:
        box = np.array([10, 10, 10 + size, 10 + size], np.float32)
        return replace(file, aligned=replace(file.aligned, face=Face(Detection(box, 0.9), file.aligned.face.landmarks)))

    return change


def of(source: str, frame: int, number: int) -> Callable[[FaceFile], FaceFile]:
    return lambda file: replace(file, origin=Origin(source, frame, number))


def faces(by: str, files: list[FaceFile]) -> list[SortedFace]:
    return [SortedFace(Path(f"{index}.png"), f"{index}.png", file.origin, measure(by, file)) for index, file in enumerate(files)]


def order(by: str, files: list[FaceFile]) -> list[int]:
    group, = arrange(by, faces(by, files), None, 0.6)
    return [int(face.path.stem) for face in group.faces]


def blurred(sigma: float) -> Callable[[FaceFile], FaceFile]:
    return picture(lambda image: cv2.GaussianBlur(image, (0, 0), sigma))


CHANGES = {  # in the order that is wanted
    "blur": [blurred(sigma) for sigma in (0.3, 2, 4, 8)],
    "pose-yaw": [moved(slice(28, 36), x, 0) for x in (-0.15, -0.05, 0.05, 0.15)],  # where the nose points
    "pose-pitch": [moved(slice(30, 36), 0, y) for y in (0.08, 0, -0.08)],
    "pose-roll": [rotated(degrees) for degrees in (-30, -10, 10, 40)],
    "size": [as_large(size) for size in (300, 120.5, 120, 20)],
    "color": [picture(lambda image, light=light: image * light) for light in (0.2, 0.5, 0.8, 1.1)],
    "expression": [moved(slice(65, 68), 0, y) for y in (0, 0.1, 0.2)],
}


@pytest.mark.parametrize("by", CHANGES)
def test_the_order_is_the_one_that_the_help_promises(by, face):
    made = [change(face) for change in CHANGES[by]]
    shuffled = [2, 0, *range(3, len(made)), 1]
    assert [shuffled[index] for index in order(by, [made[index] for index in shuffled])] == list(range(len(made)))


def test_mouths_that_are_open_alike_are_next_to_each_other_by_their_eyes(face):
    shut = [moved([37, 38, 43, 44], 0, y) for y in (0.02, 0.0, -0.02)]  # upper lids
    wide = [lambda file, lids=lids: moved(slice(65, 68), 0, 0.3)(lids(file)) for lids in shut]
    found = order("expression", [one(face) for one in (*wide, *shut)])
    assert found[:3] in ([3, 4, 5], [5, 4, 3]) and found[3:] in ([0, 1, 2], [2, 1, 0])


def test_the_histogram_leads_through_a_change_of_light(face):
    warm = picture(lambda image: image * np.float32([1.2, 1, 0.7]))(face)
    cold = picture(lambda image: image * np.float32([0.8, 1, 1.3]))(face)
    mixed = [picture(lambda image, light=light: image * light)(one) for light in (0.9, 0.95, 1.0, 1.05) for one in (warm, cold)]
    sides = [index % 2 for index in order("histogram", mixed)]
    assert sides in ([0] * 4 + [1] * 4, [1] * 4 + [0] * 4)


def test_time_keeps_the_order_that_was_given(face):
    assert order("time", [of("b.mp4", 3, 0)(face), of("a.mp4", 1, 0)(face)]) == [0, 1]


@pytest.mark.parametrize("by", [*SCALES, *VECTORS])
@pytest.mark.parametrize("count", [1, 3, 50])
def test_every_face_is_in_one_group_and_no_group_is_empty(by, count, face_folders):
    made = faces(by, [read_face(path) for folder in face_folders.values() for path in list_faces(folder)[::2]])
    groups = arrange(by, made, count, 0.6)
    assert 1 <= len(groups) <= count and all(group.faces for group in groups) and len({group.name for group in groups}) == len(groups)
    assert sorted(int(one.path.stem) for group in groups for one in group.faces) == list(range(12))
    assert [group.name for group in groups] == sorted(group.name for group in groups)


def test_poses_fall_into_ranges_of_one_width_and_sizes_into_parts_of_one_count(face):
    turned = [moved(slice(28, 36), x, 0)(face) for x in (0, 0.001, 0.002, 0.003, 0.15)]
    assert [len(group.faces) for group in arrange("pose-yaw", faces("pose-yaw", turned), 2)] == [4, 1]
    sizes = arrange("size", faces("size", [as_large(size)(face) for size in (10, 500, 20, 30)]), 2)
    assert [(group.name, len(group.faces)) for group in sizes] == [("0_500..30", 2), ("1_20..10", 2)]


def test_groups_of_poses_are_named_by_their_degrees(face):
    names = [group.name for group in arrange("pose-roll", faces("pose-roll", [rotated(x)(face) for x in (-44, -20, 0, 33)]), 3)]
    low, high = names[0].removeprefix("0_").split("..")
    assert float(high) - float(low) == pytest.approx(24, abs=1) and len(names) == 3


def test_people_beyond_the_number_asked_for_are_others(face):
    corners = 2 * np.eye(3, dtype=np.float32)
    made = [SortedFace(Path(f"{index}.png"), "", face.origin, corners[person]) for index, person in enumerate((1, 0, 0, 1, 0, 2))]
    assert [(group.name, len(group.faces)) for group in arrange("identity", made, 2, 0.6)] == [("1_person", 3), ("2_person", 2), ("other", 1)]
    assert [group.name for group in arrange("identity", made, 9, 0.6)] == ["1_person", "2_person", "3_person"]
    whole, = arrange("identity", made, None, 0.6)
    assert [int(one.path.stem) for one in whole.faces] == [1, 2, 4, 0, 3, 5]


def test_a_mirrored_face_looks_the_other_way():
    """Of a portrait whose nose points to one side, and not only of moved points."""
    frame = next(MovingCamera(astronaut_portrait(), side=256).frames(5, 6))
    points = ALIGNERS.create("dlib68").align([frame.image], [np.array([[70, 70, 186, 186]], np.float32)])[0][0]
    flipped = points[MIRRORED] * (-1, 1) + (255, 0)
    files = [FaceFile(crop(image, Face(Detection(np.zeros(4, np.float32), 1.0), there.astype(np.float32))), "whole", Origin("x", 0, 0))
             for image, there in ((frame.image, points), (np.ascontiguousarray(frame.image[:, ::-1]), flipped))]
    yaw = [float(measure("pose-yaw", file)[0]) for file in files]
    assert yaw[0] == pytest.approx(-yaw[1], abs=0.5) and abs(yaw[0]) > 0.5
    towards = points[30, 0] - points[[36, 45], 0].mean()  # the tip of the nose, from the middle between the eyes
    assert (yaw[0] > 0) == (towards > 0)


def test_where_there_is_nothing_to_see_a_face_is_as_blurred_as_can_be(face):
    black, away = picture(lambda image: 0 * image)(face), landmarks(lambda there: there + 5000)(face)
    assert measure("blur", black)[0] == measure("blur", away)[0] == 1
    assert np.isfinite(measure("color", black)).all() and np.isfinite(measure("color", away)).all()


def test_a_histogram_counts_every_pixel_once(face):
    for image in face.image, np.full((8, 8, 3), (0, 0, 255), np.uint8):  # pure blue lies beyond the range
        assert np.square(color_histogram(image)).reshape(3, -1).sum(1) == pytest.approx(1, abs=1e-3)


def test_landmarks_in_one_place_are_no_face(face):
    with pytest.raises(ValueError):
        measure("pose-yaw", landmarks(lambda there: np.zeros_like(there))(face))
