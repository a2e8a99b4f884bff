import json
import sys

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.faces.search import dlib_box, search_closer, shrunk
from lib.media.pictures import picture_file
from lib.plugin import DETECTORS

# the share of hand-counted faces that each must find; a new detector has to say its own here or reach the general one
RECALL = {"hog": 0.93}
GENERAL_RECALL = 0.98
SLOW = {"mmod": 9, "mtcnn": 3}  # tried on every ninth, third portrait alone; `bench detectors` tries all


@pytest.fixture(scope="module", params=DETECTORS.names())
def detector(request):
    try:
        return DETECTORS.create(request.param).resolve(None)
    except FaceswapError as error:
        pytest.skip(f"its weights or its package cannot be had: {error}")


def overlap(box: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two (4,) boxes."""
    shared = np.prod(np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0))
    return shared / (np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]) - shared)


def test_finds_the_face_of_a_portrait_once(detector, astronaut, hopper):
    found = detector.detect([astronaut, hopper])  # of two sizes in one call
    assert [len(faces) for faces in found] == [1, 1]
    for (face,), marked in zip(found, ([178, 72, 270, 164], [170, 158, 356, 344])):  # brows to chin
        assert face.box.shape == (4,) and face.box.dtype == np.float32 and 0 < face.score <= 1
        assert overlap(face.box, np.array(marked)) > 0.6


@pytest.mark.parametrize("scale", [0.5, 1.7, 4])
def test_boxes_are_in_pixels_of_the_picture_given(detector, astronaut, scale):
    (face,), = detector.detect([astronaut])
    if scale * (face.box[2] - face.box[0]) < detector.smallest:
        pytest.skip(f"its smallest face has {detector.smallest:g} pixels")
    (other,), = detector.detect([cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)])
    assert overlap(other.box / scale, face.box) > 0.75


def test_the_best_comes_first(detector, astronaut, hopper):
    small = cv2.resize(hopper, None, fx=0.45, fy=0.45, interpolation=cv2.INTER_AREA)
    both = np.vstack([astronaut, np.pad(small, ((0, 0), (0, 512 - small.shape[1]), (0, 0)))])
    scores = [face.score for face in detector.detect([both])[0]]
    assert len(scores) == 2 and scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 2), (17, 23), (40, 40)])
def test_nothing_is_found_in_little_or_nothing(detector, shape):
    assert detector.detect([np.full((*shape, 3), 120, np.uint8)]) == [[]]
    assert detector.detect([]) == []


def test_views_and_read_only_pictures_do(detector, astronaut):
    mirrored = astronaut[:, ::-1]
    mirrored.setflags(write=False)
    assert len(detector.detect([mirrored])[0]) == 1


def test_recall_of_hand_counted_faces(detector, shared):
    """As extract finds them: a picture without a face is looked at once more."""
    counts = json.loads(shared("photos/counts.json").read_text(encoding="utf-8"))["files"]
    name = DETECTORS.name_of(detector)
    chosen = [file for file in counts if file.startswith(("single/", "group/", "noface/"))]
    if name in SLOW:
        chosen = [file for file in chosen if file.startswith("single/")][::SLOW[name]]
    expected = found = extra = 0
    for file in chosen:
        image = picture_file.read(shared(f"photos/{file}"))
        faces = len(detector.detect([image])[0] or search_closer(detector, image))
        low, high = counts[file]["accept"]
        expected += low
        found += min(faces, low)
        extra += max(faces - high, 0)
    assert found / expected >= RECALL.get(name, GENERAL_RECALL)
    assert extra <= 0.02 * expected


def test_tells_its_smallest_face_rightly(detector, hopper):
    """It finds the face at that size, and not at less than half of it, or it could look at smaller pictures."""
    (face,), = detector.detect([hopper])
    assert detector.smallest and detector.search
    for share, expected in (1.1, 1), (0.45, 0):
        scale = share * detector.smallest / (face.box[2] - face.box[0])
        small = cv2.resize(hopper, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        assert len(detector.detect([small])[0]) == expected


def test_a_batch_gives_what_single_pictures_give(detector, astronaut, hopper):
    head = astronaut[20:240, 120:340]
    batch = [head, head[:, ::-1], np.full((220, 220, 3), 90, np.uint8), hopper[:400]]
    for together, picture in zip(detector.detect(batch), batch):
        alone, = detector.detect([picture])
        assert len(together) == len(alone)
        assert all(np.abs(one.box - other.box).max() < 0.5 for one, other in zip(together, alone))


def test_boxes_are_as_dlib_draws_them(detector, shared):
    """Squares from brows to chin around hand-marked faces; landmarks depend on it."""
    if DETECTORS.name_of(detector) == "mmod":
        pytest.skip("a second a picture: the error of the landmarks tells as much")
    images = json.loads(shared("annotated/annotations.json").read_text(encoding="utf-8"))["images"]
    overlaps = []
    for entry in images:
        found = None
        for face in entry["faces"]:
            points = np.array(face["landmarks_68"], float)
            box = dlib_box(np.stack([points[36:42].mean(0), points[42:48].mean(0)]), points[[48, 54]])
            if box[2] - box[0] >= max(1.1 * detector.smallest, 36):
                found = found or detector.detect([picture_file.read(shared(f"annotated/{entry['file']}"))])[0]
                overlaps.append(max((overlap(one.box, box) for one in found), default=0))
    assert len(overlaps) >= 8 and min(overlaps) > 0.5 and np.mean(overlaps) > 0.75


def test_hog_asks_five_points_about_weak_finds(astronaut):
    """The patch on the suit scores like a weak face."""
    hog = DETECTORS.create("hog", upsample=0, min_score=0.47)
    gray = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    boxes, margins, _ = hog._detector.run(gray, 0, -0.12)
    assert len(boxes) == 2 and margins[1] < 0.2
    assert len(hog.detect([astronaut])[0]) == 1


def test_mtcnn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    with pytest.raises(FaceswapError, match="pip install mtcnn"):
        DETECTORS.create("mtcnn")


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (361, 271), (90, 3000), (3000, 90)])
def test_shrunk_keeps_places(size):
    image = np.zeros((*size[::-1], 3), np.uint8)
    x, y = size[0] // 3, size[1] // 4
    cv2.circle(image, (x, y), max(min(size) // 30, 1), (255, 255, 255), -1)
    small, scale = shrunk(image, 320)
    assert max(small.shape[:2]) == 320
    weight = small[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    middle = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
    assert np.abs(middle * scale + (scale - 1) / 2 - [x, y]).max() < 0.4 * scale


def test_auto_takes_yunet_where_it_can_and_says_when_not(tmp_path, monkeypatch, caplog):
    auto = DETECTORS.create("auto")
    assert DETECTORS.name_of(auto.resolve("hog", search=320)) == "hog"  # what a source was begun with
    assert auto.resolve("hog", search=320).search == 320
    monkeypatch.setenv("FACESWAP_WEIGHTS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert DETECTORS.name_of(auto.resolve(None)) == "hog"
    assert "Using the detector hog" in caplog.text and "place it in" in caplog.text
