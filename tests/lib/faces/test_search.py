import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.faces.search import distinct, search, search_closer, smallest_found
from lib.plugin import DETECTORS
from lib.types import Detection

SMALL = 40  # pixels, side of the small faces in the large picture
PLACES = [(20, 30), (560, 380), (1010, 200), (1850, 1250), (1100, 1210), (30, 1000)]


@pytest.fixture(scope="module", params=["hog", "yunet"])
def detector(request):
    try:
        return DETECTORS.create(request.param)
    except FaceswapError as error:
        pytest.skip(f"its weights cannot be had: {error}")


@pytest.fixture(scope="module")
def large(astronaut, hopper) -> tuple[np.ndarray, list[np.ndarray]]:
    """(1400, 2000, 3) with faces of 40 pixels at PLACES and one of about 300, and where they are."""
    small = cv2.resize(astronaut[:300, 80:380], None, fx=SMALL / 91, fy=SMALL / 91, interpolation=cv2.INTER_AREA)
    picture = np.full((1400, 2000, 3), 120, np.uint8)
    boxes = []
    for left, top in PLACES:
        picture[top:top + len(small), left:left + len(small)] = small
        boxes.append(np.array([178 - 80, 75, 269 - 80, 166]) * SMALL / 91 + [left, top, left, top])
    big = cv2.resize(hopper[:480], None, fx=1.6, fy=1.6, interpolation=cv2.INTER_LINEAR)
    picture[400:400 + len(big), 1150:1150 + big.shape[1]] = big
    boxes.append(np.array([170, 145, 356, 331]) * 1.6 + [1150, 400, 1150, 400])
    return picture, boxes


def hits(found, box) -> int:
    middle = (box[:2] + box[2:]) / 2
    return sum(bool((np.abs((one.box[:2] + one.box[2:]) / 2 - middle) < (box[2] - box[0]) / 4).all()) for one in found)


class Watched:
    """A detector and the sizes of the pictures that it was shown."""

    def __init__(self, detector):
        self.search, self.smallest, self._detector, self.shown = detector.search, detector.smallest, detector, []

    def detect(self, images):
        self.shown += [image.shape[:2] for image in images]
        return self._detector.detect(images)


def test_small_faces_are_found_in_tiles_and_large_ones_once(detector, large):
    picture, boxes = large
    watched = Watched(detector)
    found = search(watched, [picture], SMALL)[0]
    assert [hits(found, box) for box in boxes] == [1] * len(boxes)
    assert len(found) == len(boxes)
    assert max(max(shape) for shape in watched.shown[1:]) <= detector.search  # the first is the whole, which the detector shrinks
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    sizes = sorted(one.box[2] - one.box[0] for one in found)
    assert sizes[0] == pytest.approx(SMALL, rel=0.2) and sizes[-1] == pytest.approx(300, rel=0.2)


def test_a_face_across_two_tiles_is_found_once(detector, astronaut):
    """At the scale of one, 1280 pixels would be two tiles without anything in common."""
    side = 1.3 * detector.smallest
    small = cv2.resize(astronaut[:300, 80:380], None, fx=side / 91, fy=side / 91, interpolation=cv2.INTER_AREA)
    left = round(640 - (144 * side / 91))  # the middle of the face lies on the border
    picture = np.full((640, 1280, 3), 120, np.uint8)
    picture[200:200 + len(small), left:left + len(small)] = small
    (face,), = search(detector, [picture], detector.smallest)
    assert abs(face.box[[0, 2]].mean() - 640) < 0.1 * side and abs(face.box[2] - face.box[0] - side) < 0.3 * side


def test_without_tiles_hog_misses_them(large):
    picture, boxes = large
    hog = DETECTORS.create("hog")
    assert smallest_found(hog, picture) > 2 * SMALL
    assert [hits(hog.detect([picture])[0], box) for box in boxes] == [0] * (len(boxes) - 1) + [1]


def test_large_faces_are_looked_for_in_a_shrunken_picture(detector, hopper):
    watched = Watched(detector)
    large = cv2.resize(hopper, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    (face,), = search(watched, [large], 200)
    (alone,), = detector.detect([large])
    shown, = watched.shown
    assert shown[0] < 640 and np.abs(face.box - alone.box).max() < 0.1 * (alone.box[2] - alone.box[0])


def test_a_detector_that_does_not_tell_looks_by_itself(astronaut):
    watched = Watched(DETECTORS.create("hog"))
    watched.smallest = 0.0
    assert len(search(watched, [astronaut], 20)[0]) == 1 and watched.shown == [(512, 512)]
    assert search_closer(watched, astronaut) == []


def test_a_closer_look_finds_faces_a_third_as_large(detector, astronaut):
    """Enlarged pixels tell no more, so only what the detector's own look shrank is found smaller than its smallest."""
    far = np.full((1200, 2000, 3), 120, np.uint8)
    side = round(smallest_found(detector, far) * 0.45)
    small = cv2.resize(astronaut[:300, 80:380], None, fx=side / 91, fy=side / 91, interpolation=cv2.INTER_AREA)
    far[700:700 + len(small), 900:900 + len(small)] = small
    assert detector.detect([far]) == [[]]
    (face,) = search_closer(detector, far)
    (portrait,), = detector.detect([astronaut])
    expected = (portrait.box - [80, 0, 80, 0]) * side / 91 + [900, 700, 900, 700]
    assert np.abs(face.box - expected).max() < 0.15 * side


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (3000, 2), (30, 41)])
def test_odd_sizes_do(detector, shape):
    assert search(detector, [np.full((*shape, 3), 90, np.uint8)], 12) == [[]]


def test_distinct_keeps_the_best_of_each_face():
    boxes = [(0, 0, 10, 10), (1, 0, 11, 10), (4, 2, 9, 7), (9, 0, 19, 10), (0, 0, 10, 10)]
    found = [Detection(np.array(box, np.float32), score) for box, score in zip(boxes, (0.7, 0.9, 0.95, 0.6, 0.8))]
    assert distinct(found) == [2, 3]  # the third lies within the others, the fourth touches them
    assert distinct([]) == []
