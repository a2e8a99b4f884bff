"""The irises of a swapped face go where those of the original are, and nothing but what is between the lids changes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.faces.gaze import gaze, visibility
from lib.faces.geometry import DEFAULT_COVERAGE, eye_openings, transform_points
from lib.media.endpoints.source import open_source
from lib.mesh.irises import see_eyes
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS
from lib.swapping.composite import Compositor, crop_face, network_input
from lib.swapping.exemplars.choice import measure_costs
from lib.swapping.exemplars.features import Person, features_of
from lib.swapping.eyes import EyesFollow
from lib.swapping.gaze import look, looking, move_irises, steady
from lib.swapping.pipeline import Role, swap_frames
from lib.types import Eyes, Face, Frame, Gaze, SwappedFace

SIZE = 256
ALIGNER = ALIGNERS.create("dlib68")


def face_in(image: np.ndarray) -> SwappedFace:
    """The face of `image`, put there as if a model had drawn it."""
    detection = DETECTORS.create("hog").detect([image])[0][0]
    landmarks = ALIGNER.align([image], [detection.box[None]])[0][0]
    aligned = crop_face(Frame(0, image), Face(detection, landmarks), SIZE)
    return SwappedFace(aligned, network_input(aligned, SIZE), np.ones((SIZE, SIZE, 1), np.float32))


@pytest.fixture(scope="module", params=["astronaut", "hopper"])
def face(request) -> SwappedFace:
    return face_in(request.getfixturevalue(request.param))


def eyes_of(face: SwappedFace, image: np.ndarray | None = None) -> Eyes:
    """In the picture of `face`, or another one of the same size."""
    points = transform_points(face.aligned.face.landmarks, face.aligned.matrix)
    return see_eyes([as_bytes(face.image if image is None else image)], [points])[0]


def landmarks_of(image: np.ndarray) -> np.ndarray:
    """(68, 2) of a whole crop, by the aligner, which cares little for irises."""
    box = SIZE * np.float32([[0.15, 0.17, 0.87, 0.89]])
    return ALIGNER.align([as_bytes(image)], [box])[0][0]


def gaze_of(face: SwappedFace, image: np.ndarray) -> np.ndarray:
    """(2,) mean of both eyes, between corners that the aligner finds."""
    return gaze(Eyes(landmarks_of(image), eyes_of(face, image).irises)).mean(0)


def as_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def aside(face: SwappedFace, right: float, down: float = 0.0) -> np.ndarray:
    """Its picture with both irises moved, in widths of the eye."""
    return move_irises(face.image, eyes_of(face), np.array([[right, down]] * 2))


def apart(face: SwappedFace, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(2, 2): from the irises of one picture of `face` to those of another, in widths of the eye."""
    before, after = eyes_of(face, first), eyes_of(face, second)
    widths = np.linalg.norm(before.landmarks[[39, 45]] - before.landmarks[[36, 42]], axis=1)
    return (after.irises - before.irises)[:, :2] / widths[:, None]


@pytest.mark.parametrize("right", [-0.1, 0.1])
def test_an_iris_that_is_moved_is_seen_where_it_was_moved_to(astronaut, right):
    face = face_in(astronaut)
    measured = apart(face, face.image, aside(face, right))
    assert measured[:, 0].mean() == pytest.approx(right, rel=0.3)
    assert np.abs(measured[:, 1]).mean() < 0.03


def test_nothing_changes_outside_of_the_lids(face):
    eyes = eyes_of(face)
    inside = np.zeros((SIZE, SIZE), np.uint8)
    for part in slice(36, 42), slice(42, 48):
        cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(eyes.landmarks[part]).astype(np.int32)), 1)
    inside = cv2.dilate(inside, np.ones((7, 7)))
    changes = np.abs(aside(face, 0.1, -0.05) - face.image).max(-1)
    assert changes.max() > 0.1 and not changes[inside == 0].any()


def test_lids_stay_where_they_are(face):
    before, after = (landmarks_of(image) for image in (face.image, aside(face, 0.1)))
    assert np.abs(eye_openings(after) - eye_openings(before)).max() < 0.05
    assert np.linalg.norm(after - before, axis=1)[36:48].mean() < 0.04 * np.linalg.norm(before[45] - before[36])


@pytest.mark.parametrize("right", [-0.1, 0.1])
def test_a_face_looks_where_the_original_looks(astronaut, right):
    face = face_in(astronaut)
    original = aside(face, right)
    looked, = looking([replace(face, aligned=replace(face.aligned, image=as_bytes(original)))])
    before, after = (np.linalg.norm(apart(face, image, original).mean(0)) for image in (face.image, look(looked)))
    assert before > 0.06 and after < 0.6 * before


def test_a_gaze_that_is_right_stays(face):
    looked, = looking([face])
    assert np.abs(look(looked) - face.image).max() < 0.05


def test_both_eyes_move_alike(face):
    eyes = eyes_of(face)
    wanted = gaze(eyes) + [[0.15, 0], [0.05, 0]]
    moved = look(replace(face, gaze=Gaze(wanted, np.ones(2), eyes, np.ones(2))))
    alike = aside(face, 0.1)
    np.testing.assert_allclose(moved, alike, atol=1e-3)


def test_no_iris_leaves_its_eye(face):
    eyes = eyes_of(face)
    far = look(replace(face, gaze=Gaze(gaze(eyes) + [[0.9, 0], [0.9, 0]], np.ones(2), eyes, np.ones(2))))
    assert np.abs(far - face.image).max() > 0.1 and visibility(eyes_of(face, far)).min() > 0.5


def test_a_reflection_is_no_iris(astronaut):
    face = face_in(astronaut)
    eyes, shining = eyes_of(face), face.image.copy()
    for x, y, radius in eyes.irises:
        cv2.circle(shining, (round(x), round(y)), round(radius), (0.9, 0.8, 1.0), -1)
    filmed = replace(face, aligned=replace(face.aligned, image=as_bytes(cv2.GaussianBlur(shining, (0, 0), 1))))
    looked, = looking([filmed])
    assert looked.gaze.known.max() < 0.05 and looking([face])[0].gaze.known.min() == 1


class Ahead:
    """Draws one picture, whatever it is shown."""

    size = drawn = SIZE
    coverage = DEFAULT_COVERAGE

    def __init__(self, picture: np.ndarray):
        self.picture = picture

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, None]:
        return np.repeat(self.picture[None], len(faces), 0), None


def test_frames_of_a_film_look_where_the_original_looks(astronaut):
    """Six frames in which the eyes glance aside, and a network that draws them looking ahead."""
    face = face_in(astronaut)
    eyes = see_eyes([astronaut], [face.aligned.face.landmarks])[0]
    film = [np.clip(move_irises(astronaut.astype(np.float32), eyes, np.array([[right, 0]] * 2)), 0, 255).astype(np.uint8)
            for right in (0, 0, 0, 0.12, 0.12, 0.12)]
    faces = [replace(face.aligned.face, track=1)]
    compositor = Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [MASKERS.create("hull")], match_detail=False)
    frames = ((Frame(index, image), faces) for index, image in enumerate(film))
    follow = EyesFollow(ALIGNERS.create("dlib68", refeed=0))
    finished = [done.frame.with_patches(done.patches) for done in swap_frames(frames, [Role(Ahead(face.image), compositor)], follow)]
    places = [seen.irises[:, 0].mean() for seen in see_eyes(finished, [face.aligned.face.landmarks] * 6)]
    wanted = [seen.irises[:, 0].mean() for seen in see_eyes(film, [face.aligned.face.landmarks] * 6)]
    assert wanted[3] - wanted[2] > 1.5  # pixels
    np.testing.assert_allclose(places, wanted, atol=0.5 * (wanted[3] - wanted[2]))
    assert places[3] - places[2] > 0.5 * (wanted[3] - wanted[2]) and np.ptp(places[3:]) < 0.3


def test_shut_eyes_are_left_alone(shared):
    """Of a blink, whether it is drawn or filmed."""
    source = open_source(shared("videos/swap/a_ocasio_cortez.mp4"))
    opened, shut = (face_in(frame.image) for frame in source.at([120, 150]))
    assert visibility(eyes_of(opened)).min() == 1 and visibility(eyes_of(shut)).max() < 0.1
    for drawn, filmed in (opened, shut), (shut, opened):
        looked, = looking([replace(drawn, aligned=filmed.aligned)])
        assert np.abs(look(looked) - drawn.image).max() < 0.02


def test_gazes_of_true_footage_are_halfway_or_nearer(shared):
    """A frame is the drawn face, another one of the same film is the original."""
    source = open_source(shared("videos/swap/b_hill.mp4"))
    left, ahead, right = (face_in(frame.image) for frame in source.at([50, 90, 176]))
    for drawn, original in (ahead, left), (ahead, right), (left, ahead):
        looked, = looking([replace(drawn, aligned=original.aligned)])
        errors = [np.linalg.norm(gaze_of(drawn, image) - gaze_of(original, original.image)) for image in (drawn.image, look(looked))]
        assert errors[0] > 0.05 and errors[1] < 0.5 * errors[0]


def test_a_face_without_eyes_passes(face):
    flat = replace(face, image=np.full_like(face.image, 0.5))
    looked, = looking([flat])
    np.testing.assert_allclose(look(looked), 0.5, atol=1e-3)


def series(wanted: list[float], known: list[float] | None = None) -> list[Gaze]:
    eyes = Eyes(np.zeros((68, 2)), np.zeros((2, 3)))
    return [Gaze(np.array([[x, 0], [x, 0]]), np.full(2, share), eyes, np.ones(2))
            for x, share in zip(wanted, known or [1.0] * len(wanted))]


def steadied(gazes: list[Gaze]) -> list[Gaze]:
    return [steady(gaze, [(other - index, gazes[other]) for other in range(len(gazes))]) for index, gaze in enumerate(gazes)]


def test_gaze_is_steady_and_jumps_at_once():
    jitter = 0.005 * np.random.default_rng(1).standard_normal(40)
    jump = np.where(np.arange(40) < 20, -0.1, 0.1)
    places = np.array([gaze.wanted[0, 0] for gaze in steadied(series((jump + jitter).tolist()))])
    assert np.abs(places - jump).max() < 0.015
    assert np.abs(np.diff(places, 2))[:17].mean() < 0.4 * np.abs(np.diff(jitter, 2))[:17].mean()


def test_what_cannot_be_told_for_a_moment_fades_and_does_not_pop():
    known = [1.0] * 6 + [0.0] + [1.0] * 6
    shares = np.array([gaze.known[0] for gaze in steadied(series([0.1] * 13, known))])
    assert shares[6] == 0 and shares[0] == shares[-1] == 1
    assert (shares[3:6] < 1).all() and (np.diff(shares[2:7]) < 0).all()


def test_eyes_of_an_exemplar_are_those_that_look_the_same_way(face):
    """Of three pictures that differ in nothing but the irises; what eyes look like counts for nothing here."""
    points = transform_points(face.aligned.face.landmarks, face.aligned.matrix)
    shapes = np.repeat(((points + 0.5) / SIZE)[None], 3, 0)
    pictures = [as_bytes(aside(face, right)) for right in (-0.12, 0.0, 0.12)]
    bank = features_of(pictures, shapes)
    bank = replace(bank, eyes=np.repeat(bank.eyes[:1], 3, 0))
    person = Person.of(shapes)
    for place in range(3):
        costs = measure_costs(bank.at([place]), person, bank, person, np.zeros(3))
        assert costs.right_eye[0].argmin() == costs.left_eye[0].argmin() == place
    assert (np.diff(bank.gazes[:, 0]) > 0.03).all() and (bank.gazes[:, 2] > 0.5).all()
