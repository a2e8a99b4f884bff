import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError, UsageError
from lib.faces.finding import find_faces, parse_rotate, turned
from lib.faces.geometry import transform_points
from lib.plugin import ALIGNERS, DETECTORS


@pytest.fixture(scope="module", params=["hog", "yunet"])
def detector(request):
    try:
        return DETECTORS.create(request.param)
    except FaceswapError as error:
        pytest.skip(f"its weights cannot be had: {error}")


@pytest.fixture(scope="module")
def aligner():
    return ALIGNERS.create("dlib68")


def error(landmarks, expected) -> float:
    return np.linalg.norm(landmarks - expected, axis=1).mean() / np.linalg.norm(expected[36] - expected[45])


@pytest.mark.parametrize("text, angles", [(None, None), ("on", (90, 180, 270)), ("off", ()), ("90", (90, 180, 270)), ("180", (180,)),
                                          ("120", (120, 240)), ("90,270", (90, 270)), ("-90, 90", (90, 270)), ("0 30,390", (30,))])
def test_angles(text, angles):
    assert parse_rotate(text) == angles


@pytest.mark.parametrize("text", ["", "yes", "0", "4", "200", "90,x", "-90", "4.5"])
def test_other_angles_are_refused(text):
    with pytest.raises(UsageError, match="--rotate needs on, off, a step"):
        parse_rotate(text)


def test_a_right_angle_moves_pixels_alone(hopper):
    for angle, times in (90, 3), (180, 2), (270, 1):
        assert np.array_equal(turned(hopper, angle)[0], np.rot90(hopper, times))


@pytest.mark.parametrize("angle", [17, 45, 100, 200, 300])
def test_turned_keeps_the_whole_picture_and_places(angle):
    image = np.zeros((120, 300, 3), np.uint8)
    places = np.array([[6.0, 5], [290, 8], [200, 110]])
    for x, y in places.astype(int):
        cv2.circle(image, (int(x), int(y)), 4, (255, 255, 255), -1)
    picture, matrix = turned(image, angle)
    assert picture.mean() * picture.size == pytest.approx(image.mean() * image.size, rel=0.03)
    for x, y in np.rint(transform_points(places, matrix)).astype(int):
        assert picture[y, x, 0] == 255
    right = transform_points(np.array([[0.0, 0], [1, 0]]), matrix)
    assert np.degrees(np.arctan2(*(right[1] - right[0])[::-1])) % 360 == pytest.approx(angle)  # y points down: clockwise


@pytest.mark.parametrize("angle", [90, 135, 180, 270])
def test_lying_faces_get_their_landmarks(detector, aligner, astronaut, hopper, angle):
    for portrait in astronaut, hopper:
        (upright,), = find_faces([portrait], detector, aligner)
        lying, matrix = turned(portrait, angle)
        (face,), = find_faces([lying], detector, aligner, angles=parse_rotate("45"))
        expected = transform_points(upright.landmarks, matrix)
        assert error(face.landmarks, expected) < 0.05
        middle = transform_points((upright.detection.box[:2] + upright.detection.box[2:])[None] / 2, matrix)[0]
        assert np.abs((face.detection.box[:2] + face.detection.box[2:]) / 2 - middle).max() < 0.12 * np.ptp(upright.detection.box[::2])


def test_without_rotation_they_do_not(detector, aligner, hopper):
    (upright,), = find_faces([hopper], detector, aligner)
    lying, matrix = turned(hopper, 180)
    expected = transform_points(upright.landmarks, matrix)
    assert all(error(face.landmarks, expected) > 0.3 for face in find_faces([lying], detector, aligner)[0])


def test_people_at_several_angles_in_frames_of_several_sizes(detector, aligner, astronaut, hopper):
    head = cv2.resize(turned(hopper[:500], 180)[0], (525, 512), interpolation=cv2.INTER_AREA)
    both = np.hstack([np.rot90(astronaut), head])
    rows = find_faces([both, astronaut, np.full((90, 200, 3), 99, np.uint8)], detector, aligner, angles=(90, 180, 270))
    assert [len(row) for row in rows[1:]] == [1, 0]
    lying = [face for face in rows[0] if face.detection.box[0] < 512]
    upside_down = [face for face in rows[0] if face.detection.box[0] > 512]
    # turned left, the eyes are to the left of the mouth; upside down, below it
    assert len(lying) == 1 and lying[0].landmarks[36:48, 0].mean() < lying[0].landmarks[48:, 0].mean() - 20
    assert len(upside_down) == 1 and upside_down[0].landmarks[36:48, 1].mean() > upside_down[0].landmarks[48:, 1].mean() + 20


def test_upright_faces_stay_as_they_are(detector, aligner, astronaut, monkeypatch):
    (plain,), = find_faces([astronaut], detector, aligner)
    shown = []
    detect = detector.detect
    monkeypatch.setattr(detector, "detect", lambda images: shown.append(len(images)) or detect(images))
    (face,), = find_faces([astronaut], detector, aligner, angles=(90, 180, 270))
    assert sum(shown) == 1  # nothing was turned
    assert np.array_equal(face.landmarks, plain.landmarks) and np.array_equal(face.detection.box, plain.detection.box)


def test_only_a_second_look_finds_what_is_far_off(aligner, astronaut):
    far = np.full((900, 1800, 3), 120, np.uint8)
    far[300:428, 700:828] = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)  # a face of 23 pixels
    hog = DETECTORS.create("hog", search=1024)
    assert find_faces([far], hog, aligner) == [[]]
    (face,), = find_faces([far], hog, aligner, look_again=True)
    assert 730 < face.landmarks[30, 0] < 780 and 310 < face.landmarks[30, 1] < 350


def test_a_face_larger_than_its_picture_is_found_from_farther_away(aligner, hopper):
    """What shows no face at the usual size: cut out from brows to chin, 1500 pixels high."""
    try:
        yunet = DETECTORS.create("yunet")
    except FaceswapError as error:
        pytest.skip(f"its weights cannot be had: {error}")
    left, top, right, bottom = yunet.detect([hopper])[0][0].box
    margin = (right - left) / 12
    left, top, right, bottom = np.rint([left + margin, top + margin, right - margin, bottom - margin]).astype(int)
    tight = cv2.resize(hopper[top:bottom, left:right], (1500, 1500), interpolation=cv2.INTER_CUBIC)
    assert find_faces([tight], yunet, aligner) == [[]]
    (face,), = find_faces([tight], yunet, aligner, look_again=True)
    assert face.detection.box[2] - face.detection.box[0] > 1400
    there = find_faces([hopper], yunet, aligner)[0][0].landmarks
    there = (there - [left, top] + 0.5) * 1500 / (right - left) - 0.5
    assert np.linalg.norm(face.landmarks[36:] - there[36:], axis=1).mean() < 60  # eyes and mouth


def test_smaller_faces_have_no_landmarks(detector, aligner, astronaut):
    assert len(find_faces([astronaut], detector, aligner, min_face=70)[0]) == 1  # about 91 pixels
    for options in {}, {"angles": (90,), "look_again": True}:
        (face,), = find_faces([astronaut], detector, aligner, min_face=120, **options)
        assert len(face.landmarks) == 0
