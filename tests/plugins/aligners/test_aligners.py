import json

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS

NOSE_TIP, CHIN, OUTER_EYES, MOUTH_CORNERS = 30, 8, (36, 45), (48, 54)


@pytest.fixture(scope="module", params=ALIGNERS.names())
def aligner(request):
    if request.param == "onnx":
        return ALIGNERS.create("onnx", network=request.getfixturevalue("openseeface"))
    return ALIGNERS.create(request.param)


@pytest.fixture(scope="module", params=[name for name in DETECTORS.names() if name != "auto"])
def detector(request):
    try:
        return DETECTORS.create(request.param)
    except FaceswapError as error:
        pytest.skip(f"its weights or its package cannot be had: {error}")


def test_points_lie_where_they_should(aligner, detector, astronaut):
    boxes = np.array([face.box for face in detector.detect([astronaut])[0]])
    landmarks, = aligner.align([astronaut], [boxes])[0]
    assert landmarks.shape == (68, 2) and landmarks.dtype == np.float32
    expected = {NOSE_TIP: (224, 124), CHIN: (222, 176), OUTER_EYES[0]: (196, 105), OUTER_EYES[1]: (255, 105),
                MOUTH_CORNERS[0]: (206, 142), MOUTH_CORNERS[1]: (244, 142)}
    for point, place in expected.items():
        assert np.linalg.norm(landmarks[point] - place) < 8, point


def test_no_boxes_no_landmarks(aligner, astronaut):
    assert aligner.align([astronaut], [np.zeros((0, 4))])[0].shape == (0, 68, 2)


def test_boxes_beyond_the_frame_do(aligner, astronaut):
    landmarks = aligner.align([astronaut], [np.array([[-40, -30, 60, 70], [480, 480, 620, 620], [100, 100, 100, 100]], np.float32)])[0]
    assert landmarks.shape == (3, 68, 2) and np.isfinite(landmarks).all()


def test_points_follow_a_mirrored_picture(aligner, hopper):
    box = DETECTORS.create("hog").detect([hopper])[0][0].box
    landmarks, = aligner.align([hopper], [box[None]])[0]
    width = hopper.shape[1]
    turned, = aligner.align([cv2.flip(hopper, 1)], [np.array([[width - 1 - box[2], box[1], width - 1 - box[0], box[3]]])])[0]
    eyes = np.linalg.norm(landmarks[OUTER_EYES[0]] - landmarks[OUTER_EYES[1]])
    assert np.linalg.norm(turned[NOSE_TIP] - [width - 1 - landmarks[NOSE_TIP, 0], landmarks[NOSE_TIP, 1]]) < 0.08 * eyes


@pytest.fixture(scope="module")
def searched():
    """Boxes by detector and picture: those of slow detectors are found once for all aligners."""
    return {}


def test_error_on_hand_marked_faces(aligner, detector, shared, searched):
    """Mean distance from the annotation as a share of that of the outer eye corners."""
    images = json.loads(shared("annotated/annotations.json").read_text(encoding="utf-8"))["images"]
    errors, by_people = [], []
    for entry in images:
        marked = [np.array(face["landmarks_68"], float) for face in entry["faces"] if face["box"][2] >= detector.smallest]
        if not marked:
            continue
        image = picture_file.read(shared(f"annotated/{entry['file']}"))
        key = type(detector), entry["file"]
        if key not in searched:
            searched[key] = np.array([face.box for face in detector.detect([image])[0]]).reshape(-1, 4)
        fits = aligner.align([image], [searched[key]])[0]
        for points in marked:
            eyes = np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]])
            errors.append(min(np.linalg.norm(fit - points, axis=1).mean() / eyes for fit in fits))
            by_people += errors[-1:] * (not entry["file"].startswith("dlib"))  # those are dlib's own points
    assert len(errors) >= (20 if detector.smallest < 40 else 10) and len(by_people) == 6
    assert np.mean(by_people) <= 0.05 and max(by_people) <= 0.1
    # the mesh sees the jaw of a turned head in space, where dlib has the outline of the picture
    is_mesh = isinstance(aligner, ALIGNERS.load("mesh"))
    assert np.mean(errors) <= (0.05 if isinstance(aligner, ALIGNERS.load("dlib68")) else 0.07)
    assert np.mean(np.array(errors) > 0.1) <= (0.13 if is_mesh else 0.05)


def test_further_fits_make_the_points_steadier(hopper):
    box = DETECTORS.create("hog").detect([hopper])[0][0].box
    random = np.random.default_rng(0)
    boxes = box + random.normal(0, 0.02 * (box[2] - box[0]), (24, 1)) + random.normal(0, 0.02 * (box[2] - box[0]), (24, 4))
    spread = [ALIGNERS.create("dlib68", refeed=refeed).align([hopper], [boxes])[0].std(0).mean() for refeed in (0, 8)]
    assert spread[1] < 0.7 * spread[0]
