import numpy as np

from lib.faces.geometry import crop, transform_points
from lib.faces.masks import hull
from lib.plugin import ALIGNERS, DETECTORS, MASKERS
from lib.types import Face


def _landmarks(image: np.ndarray) -> tuple[np.ndarray, object]:
    found = DETECTORS.create("hog").detect([image])[0][0]
    aligned = crop(image, Face(found, ALIGNERS.create("dlib68").align(image, found.box[None])[0]))
    return transform_points(aligned.face.landmarks, aligned.matrix), aligned


def test_hull_covers_the_landmarks_and_the_brows_in_whole(astronaut):
    landmarks, _ = _landmarks(astronaut)
    mask = hull(landmarks, 256)
    assert mask.shape == (256, 256, 1) and mask.dtype == np.float32 and mask.min() == 0 and mask.max() == 1
    x, y = np.rint(landmarks[17:]).astype(int).T
    assert (mask[y, x] > 0.4).all()
    brows, eyes = landmarks[17:27].mean(0), landmarks[36:48].mean(0)
    x, y = np.rint(brows + 0.3 * (brows - eyes)).astype(int)  # the upper edge of the hairs
    assert mask[y, x] == 1
    assert mask[:20].sum() == 0 and mask[:, :5].sum() == 0  # neither hair nor background


def test_hull_scales_with_the_crop(astronaut):
    landmarks, _ = _landmarks(astronaut)
    small = hull((landmarks + 0.5) / 2 - 0.5, 128)
    assert abs(small.mean() - hull(landmarks, 256).mean()) < 0.005


def test_every_masker_returns_a_mask_of_the_crop(astronaut):
    _, aligned = _landmarks(astronaut)
    for name in MASKERS.names():
        mask = MASKERS.create(name).mask(aligned)
        assert mask.shape == (256, 256, 1) and mask.dtype == np.float32
        assert mask[128, 128] == 1 and mask[0, 0] == 0
