"""What a face set has and lacks is found where it was put."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.evaluation.reports.set_report import SetScores, table
from lib.evaluation.sets import BLURRED, FaceSet, advice, measure, missing
from lib.facesets.references import NamedFace, reference_faces
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS


@pytest.fixture(scope="module")
def people(face_folders) -> dict[str, list[NamedFace]]:
    return {identity: list(reference_faces(folder, None, None)) for identity, folder in face_folders.items()}


@pytest.fixture(scope="module")
def measured() -> Callable[[str, list[NamedFace]], FaceSet]:
    recognizer = RECOGNIZERS.create("dlib_resnet")
    return lambda name, faces: measure(name, faces, recognizer)


@pytest.fixture(scope="module")
def plain(people, measured) -> FaceSet:
    return measured("plain", people["a"])


def changed(faces: list[NamedFace], change: Callable[[np.ndarray], np.ndarray]) -> list[NamedFace]:
    return [NamedFace(f"new {one.name}", replace(one.aligned, image=np.clip(np.rint(change(one.aligned.image.astype(np.float32))), 0, 255)
                                                 .astype(np.uint8))) for one in faces]


def test_a_usual_set(plain):
    assert len(plain) == 12 and not plain.blurred() and not plain.strangers()
    assert np.ptp(plain.column("yaw")) < 8  # one portrait under a moving camera
    assert plain.column("size") == pytest.approx(plain.column("size").mean(), rel=0.2)
    assert all(plain.lacking(plain, group) == [] for group in ("pose", "light", "expression"))
    assert any("only" in sentence for sentence in advice(plain)) and any("hardly turns" in sentence for sentence in advice(plain))


def test_blurred_faces_are_named_worst_first(people, measured):
    mixed = measured("mixed", people["a"][:4] + changed(people["a"][4:6], lambda image: cv2.GaussianBlur(image, (0, 0), 4))
                     + changed(people["a"][6:8], lambda image: cv2.GaussianBlur(image, (0, 0), 6)))
    assert sorted(mixed.blurred()) == [4, 5, 6, 7] and set(mixed.blurred()[:2]) == {6, 7}
    assert mixed.column("blur")[:4].max() < BLURRED
    assert any("4 of 8 faces are blurred" in sentence for sentence in advice(mixed))


def test_nearly_the_same_faces_are_found_but_for_the_first(people, measured):
    noise = np.random.default_rng(0)
    copies = changed(people["a"][:3], lambda image: image + noise.normal(0, 4, image.shape))
    pairs = measured("pairs", people["a"][:3] + copies).duplicates
    apart = measured("few", people["a"][:3]).duplicates
    assert {row for row, _ in pairs} - {row for row, _ in apart} == {3, 4, 5}
    assert all(other < row for row, other in pairs)


def test_somebody_else_is_found(people, measured):
    mixed = measured("mixed", people["a"] + people["b"][:2])
    assert sorted(mixed.strangers()) == [12, 13]
    assert "look like somebody else" in advice(mixed)[0] and people["b"][0].name in advice(mixed)[0]


def test_light_is_measured_and_missed(people, measured, plain):
    dark = measured("dark", changed(people["a"], lambda image: 0.4 * image))
    assert dark.column("light").mean() < plain.column("light").mean() - 20
    assert len(plain.lacking(dark, "light")) == 12 and plain.lacking(dark, "pose") == plain.lacking(dark, "expression") == []
    assert missing(plain, dark) == ["100% of the faces in dark are darker than any in plain: add such footage."]
    several = measured("several", people["a"][:7] + people["b"][:4])
    assert "more than one person" in advice(several)[0]
    ramp = np.linspace(0.5, 1.2, people["a"][0].aligned.image.shape[1])[None, :, None]
    lit = measured("lit", changed(people["a"], lambda image: image * ramp))
    assert (lit.column("side_light") > plain.column("side_light") + 10).all()
    assert any("lit more from the right than any" in sentence for sentence in missing(plain, lit))


def test_a_set_without_turned_heads_is_told_what_it_lacks(shared, measured):
    tools = DETECTORS.create("hog"), ALIGNERS.create("dlib68")
    clip = shared("videos/swap/b_hill.mp4")
    faces = measured("all", reference_faces(clip, *tools, most=40))
    yaw = faces.column("yaw")
    front = FaceSet("front", [face for face, turned in zip(faces.faces, yaw) if abs(turned) < 15], faces.same_distance)
    lacking = front.lacking(faces, "pose")
    assert 0 < len(front) < len(faces) and lacking and all(abs(yaw[index]) > 15 for index in lacking)
    assert any("turned further to the" in sentence for sentence in missing(front, faces))
    assert faces.lacking(front, "pose") == [] and missing(faces, front) == []
    said = table(SetScores(front, faces))
    assert "Pose" in said and "Light                    100 %" in said and f"{len(front)} faces in front" in said
