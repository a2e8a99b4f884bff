from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.alignments.masking import MaskedFace
from lib.alignments.store import AlignmentStore, StoredFace
from lib.faces.geometry import DEFAULT_COVERAGE
from lib.faces.masks import extended
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS
from lib.swapping.composite import Compositor
from lib.swapping.depth import Depth
from lib.swapping.pipeline import Role, swap_frames
from lib.types import Detection, Face, Frame


class Negative:
    size = drawn = 64
    coverage = DEFAULT_COVERAGE

    def __call__(self, faces):
        return 1 - faces, None


PLAIN = Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [MASKERS.create("hull")], match_detail=False)
ROLE = Role(Negative(), PLAIN)


def find(image) -> Face:
    detection = DETECTORS.create("hog").detect([image])[0][0]
    return Face(detection, ALIGNERS.create("dlib68").align([image], [detection.box[None]])[0][0])


def moved(face: Face, scale: float, shift: tuple[float, float]) -> Face:
    box = (face.detection.box.reshape(2, 2) * scale + shift).ravel().astype(np.float32)
    return Face(Detection(box, face.detection.score), (face.landmarks * scale + shift).astype(np.float32))


def whole(face: Face, shape) -> np.ndarray:
    """(H, W) bool: the face and its forehead."""
    return extended(face.landmarks, max(shape))[:shape[0], :shape[1], 0] > 0.5


@pytest.fixture(scope="module")
def scene(astronaut, hopper) -> tuple[np.ndarray, Face, Face]:
    """The admiral, and before his cheek the astronaut, who is larger: image, near face, far face."""
    far, near = find(hopper), find(astronaut)
    image = np.full((760, 960, 3), 128, np.uint8)
    image[40:640, 40:552] = hopper[:600]
    far = moved(far, 1.0, (40, 40))
    larger = cv2.resize(astronaut, None, fx=2.5, fy=2.5)
    middle = far.landmarks[13] + (60, 40)  # his left cheek
    left, top = np.rint(middle - 2.5 * near.landmarks.mean(0)).astype(int)
    placed = moved(near, 2.5, (left, top))
    mask = whole(placed, image.shape)
    rows, columns = np.where(mask)
    image[rows, columns] = larger[rows - top, columns - left]
    overlap = mask & whole(far, image.shape)
    assert overlap.sum() > 0.1 * whole(far, image.shape).sum()
    return image, placed, far


def swapped(image, faces, role=ROLE, depth=None, count=1) -> list[np.ndarray]:
    done = swap_frames(((Frame(index, image), faces) for index in range(count)), [role], depth=depth)
    return [finished.frame.with_patches(finished.patches) for finished in done]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("blender", BLENDERS.names())
def test_the_face_in_front_stays_in_front(scene, blender, turned):
    image, near, far = scene
    role = replace(ROLE, compositor=replace(ROLE.compositor, blender=BLENDERS.create(blender)))
    alone, = swapped(image, [near], role)
    both, = swapped(image, [far, near] if turned else [near, far], role)
    front = whole(near, image.shape)
    assert np.abs(both[front].astype(int) - alone[front]).mean() < 1
    behind = whole(far, image.shape) & ~cv2.dilate(front.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
    assert (both[behind] != image[behind]).any(-1).mean() > 0.4


def test_nothing_is_drawn_over_a_face_in_front_that_is_not_swapped(scene):
    image, near, far = scene
    role = replace(ROLE, takes=lambda index, face: face is far)
    result, = swapped(image, [near, far], role)
    front = cv2.erode(whole(near, image.shape).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert (result[front] == image[front]).all() and (result != image).any()


def test_a_face_that_was_left_out_still_stands_in_front(scene):
    image, near, far = scene
    left_out = Face(near.detection, near.landmarks, left_out=True)
    result, = swapped(image, [left_out, far])
    front = cv2.erode(whole(near, image.shape).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert (result[front] == image[front]).all() and (result != image).any()


def test_faces_that_are_apart_do_not_know_of_each_other(scene):
    image, near, far = scene
    away = moved(near, 0.3, (600, 450))
    both, alone = (swapped(image, faces)[0] for faces in ([far, away], [far]))
    here = whole(far, image.shape)
    assert (both[here] == alone[here]).all()


def test_a_face_that_was_found_twice_does_not_hide_itself(scene):
    image, near, _ = scene
    again = moved(near, 1.03, (-8, -6))
    assert Depth().in_front_of(near, [near, again]) == ()


def test_the_order_of_two_tracks_does_not_flip(scene, tmp_path):
    """The one behind looks larger in every third frame: he bends forward, or the detector is not sure."""
    image, near, far = scene
    larger = replace(far, detection=moved(far, 1.3, (0, 0)).detection)
    frames = [[StoredFace(replace(near, track=1)), StoredFace(replace(far if index % 3 else larger, track=2))] for index in range(9)]
    with AlignmentStore.open(tmp_path / "two.db") as store:
        for index, faces in enumerate(frames):
            store.add(index, "", index / 25, faces)
        depth = Depth.of(store)
        met = [list(map(MaskedFace.of, store.faces(index))) for index in range(9)]
    for one, other in met:
        near, far = sorted((one, other), key=lambda face: face.track)
        assert depth.in_front_of(far, [near, far]) == (near,) and depth.in_front_of(near, [near, far]) == ()
    flips = [bool(Depth().in_front_of(far, [near, far]))
             for near, far in (sorted(faces, key=lambda face: face.track) for faces in met)]
    assert any(flips) and not all(flips)
