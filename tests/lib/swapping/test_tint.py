from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.faces import geometry
from lib.faces.masks import hull
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS
from lib.swapping import tint
from lib.swapping.composite import Canvas, Compositor, crop_face, network_input
from lib.swapping.pipeline import Role, swap_frames
from lib.types import Face, Frame, SwappedFace

SEPIA = np.float32([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def find(image) -> Face:
    detection = DETECTORS.create("hog").detect([image])[0][0]
    return Face(detection, ALIGNERS.create("dlib68").align([image], [detection.box[None]])[0][0])


@pytest.fixture(scope="module")
def portrait(astronaut) -> tuple[np.ndarray, Face]:
    return astronaut, find(astronaut)


@pytest.fixture(scope="module")
def colourful(hopper) -> np.ndarray:
    """(128, 128, 3) float32: a face with pink lips, as a network draws it."""
    face = network_input(crop_face(Frame(0, hopper), find(hopper), 128), 128)
    grey = (face @ tint.WEIGHTS)[..., None]
    return np.clip(grey + 1.5 * (face - grey), 0, 1)


def saturated(image: np.ndarray, share: float) -> np.ndarray:
    grey = (image @ tint.WEIGHTS)[..., None]
    return np.rint(grey + np.float32(share) * (image - grey)).astype(np.uint8)


def sepia(image: np.ndarray) -> np.ndarray:
    return np.rint(0.74 * image @ SEPIA.T).astype(np.uint8)  # nothing is overexposed


def pasted(image: np.ndarray, face: Face, drawn: np.ndarray, color: str, blender: str = "alpha") -> np.ndarray:
    canvas = Canvas(Frame(0, image))
    mask = np.ones((*drawn.shape[:2], 1), np.float32)
    Compositor(COLORS.create(color), BLENDERS.create(blender), [MASKERS.create("hull")]).paste(
        canvas, SwappedFace(crop_face(canvas.frame, face, 128), drawn, mask))
    return canvas.frame.with_patches(canvas.patches)


def inside(face: Face, image: np.ndarray) -> np.ndarray:
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(face.landmarks).astype(np.int32)), 1)
    return mask > 0


def variety(image: np.ndarray, mask: np.ndarray) -> float:
    """How different the chroma of the pixels in `mask` is, in levels."""
    chroma = image[mask] - (image[mask] @ tint.WEIGHTS)[:, None]
    return float(np.linalg.norm(chroma - chroma.mean(0), axis=1).mean())


@pytest.mark.parametrize("blender", BLENDERS.names())
@pytest.mark.parametrize("color", COLORS.names())
def test_a_grey_picture_gets_a_grey_face(portrait, colourful, color, blender):
    image, face = portrait
    grey = saturated(image, 0)
    result = pasted(grey, face, colourful, color, blender)
    assert (result != grey).any(-1)[inside(face, image)].mean() > 0.5
    assert np.ptp(result.astype(int), axis=-1).max() <= 1


@pytest.mark.parametrize("color", COLORS.names())
def test_a_sepia_picture_gets_a_face_of_its_tint(portrait, colourful, color):
    image, face = portrait
    mask = inside(face, image)
    result = pasted(sepia(image), face, colourful, color)[mask].astype(np.float32)
    red, green, blue = result[(result.max(1) < 250) & (result.min(1) > 20)].T  # SEPIA has its rows in these proportions
    apart = np.maximum(np.abs(green - 0.888 * red), np.abs(blue - 0.692 * red))
    assert np.quantile(apart, 0.95) < 3 and apart.max() < 12


@pytest.mark.parametrize("color", COLORS.names())
def test_a_picture_with_next_to_no_colour_gets_a_face_with_as_little(portrait, colourful, color):
    image, face = portrait
    mask, pale = inside(face, image), saturated(image, 0.1)
    assert variety(pasted(pale, face, colourful, color), mask) < 1.3 * variety(pale, mask)


def test_ordinary_pictures_change_nothing(portrait, colourful, astronaut, hopper):
    for image in astronaut, hopper:
        face = find(image)
        aligned = crop_face(Frame(0, image), face, 128)
        points = geometry.transform_points(face.landmarks, geometry.upsampled(aligned.matrix, 128 / len(aligned.image)))
        measured = tint.measure(colourful, network_input(aligned, 128), hull(points, 128)[..., 0])
        assert not measured.any() and tint.apply(colourful, measured) is colourful


def test_the_more_colour_a_picture_has_the_more_its_face_gets_without_a_jump(portrait, colourful):
    image, face = portrait
    mask = inside(face, image)
    varieties = [variety(pasted(saturated(image, share), face, colourful, "none"), mask)
                 for share in np.arange(0, 0.5, 0.02)]
    steps = np.diff(varieties)
    assert steps.min() > -0.3 and varieties[-1] > 10
    assert steps.max() < 0.25 * varieties[-1]


def test_a_caption_over_a_grey_face_changes_nothing(portrait, colourful):
    image, face = portrait
    grey = saturated(image, 0)
    left, bottom = np.rint(face.landmarks[4]).astype(int).tolist()
    cv2.putText(grey, "Captain", (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 0), 1, cv2.LINE_AA)
    captioned = np.ptp(grey.astype(int), axis=-1) > 0
    result = pasted(grey, face, colourful, "reinhard")
    far = cv2.dilate(captioned.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert np.ptp(result.astype(int), axis=-1)[far & inside(face, image)].max() <= 2


def test_it_is_steady_where_footage_is_on_the_edge(portrait, colourful):
    """Frames of which every other one has a little less colour."""
    image, face = portrait
    mask = inside(face, image)
    pictures = [saturated(image, share) for share in (0.24, 0.34)]
    tracked = Face(face.detection, face.landmarks, track=1)

    class Drawn:
        size = drawn = 128
        coverage = geometry.DEFAULT_COVERAGE

        def __call__(self, faces):
            return np.stack([colourful] * len(faces)), None

    plain = Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [MASKERS.create("hull")], match_detail=False)
    role = Role(Drawn(), plain)

    def step(faces) -> float:
        done = swap_frames(((Frame(index, pictures[index % 2]), faces(index)) for index in range(16)), [role])
        varieties = [variety(finished.frame.with_patches(finished.patches), mask) for finished in done]
        return float(np.abs(np.diff(varieties))[4:-4].max())

    alone, followed = step(lambda index: [replace(tracked, track=None)]), step(lambda index: [tracked])
    assert alone > 1 and followed < alone / 4


def test_of_a_face_out_of_the_picture_nothing_is_known(colourful):
    assert tint.measure(colourful, colourful, np.zeros((128, 128), np.float32)) is None
