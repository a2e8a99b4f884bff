"""What is measured worsens where a clip is worsened, and only there."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.evaluation.clip import ClipScores, evaluate_clip
from lib.evaluation.frames import Kit
from lib.faces.gaze import visibility
from lib.faces.masks import hull
from lib.faces.pose import angle_between, head_rotation, yaw_pitch_roll
from lib.facesets.references import mean_embedding
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.mesh.irises import see_eyes
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS
from lib.swapping.gaze import move_irises
from lib.types import Face, Frame

FRAMES = 40


class Kept(FrameSource):
    """Frames that lie in memory."""

    def __init__(self, images: list[np.ndarray], name: str = "kept"):
        self.path, self.size, self.rate, self.count = Path(name), images[0].shape[1::-1], Fraction(25), len(images)
        self._images = images

    def __iter__(self):
        return self.frames()

    def frames(self, start=0, stop=None):
        return (Frame(start + number, image, time=(start + number) / 25) for number, image in enumerate(self._images[start:stop]))


def make_kit() -> Kit:
    return Kit(DETECTORS.create("hog"), ALIGNERS.create("dlib68"), RECOGNIZERS.create("dlib_resnet"))


@pytest.fixture(scope="module")
def images(shared) -> list[np.ndarray]:
    return [frame.image for frame in open_source(shared("videos/swap/a_ocasio_cortez.mp4")).frames(0, FRAMES)]


@pytest.fixture(scope="module")
def faces(images) -> list[list[Face]]:
    kit = make_kit()
    found = []
    for image in images:
        detection = kit.detector.detect([image])[0][0]
        found.append([Face(detection, kit.aligner.align([image], [detection.box[None]])[0][0])])
    return found


@pytest.fixture(scope="module")
def people(shared) -> dict[str, np.ndarray]:
    kit = make_kit()
    return {name: mean_embedding(shared(f"videos/swap/{clip}"), kit.detector, kit.aligner, kit.recognizer)
            for name, clip in (("a", "a_ocasio_cortez.mp4"), ("b", "b_hill.mp4"), ("gallery/c", "c_streamer.mp4"))}


@pytest.fixture(scope="module")
def scored(images, faces, people) -> Callable[[list[np.ndarray]], dict[str, float]]:
    def run(changed: list[np.ndarray]) -> dict[str, float]:
        clip = evaluate_clip(Kept(images), Kept(changed), lambda index: faces[index], make_kit, people)
        scores = {key: total.value for key, total in clip.totals.items()}
        skin = clip.totals["skin_difference"]
        return scores | {"skin_difference": skin.value - skin.original}  # of the same frames

    return run


@pytest.fixture(scope="module")
def itself(scored, images) -> dict[str, float]:
    return scored(images)


def inside(image: np.ndarray, face: Face) -> np.ndarray:
    """(H, W, 1) float32 mask of the face in its frame."""
    side = max(image.shape[:2])
    return hull(face.landmarks, side)[:image.shape[0], :image.shape[1]]


def changed(images, faces, change: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """`change` of each frame, within the face alone."""
    result = []
    for image, (face,) in zip(images, faces):
        mask = inside(image, face)
        result.append(np.clip(np.rint(image + mask * (change(image).astype(np.float32) - image)), 0, 255).astype(np.uint8))
    return result


def test_a_clip_is_perfect_against_itself(itself):
    for key in "pose_error", "landmark_error", "eyes_error", "mouth_error", "gaze_error", "seam":
        assert itself[key] == pytest.approx(0, abs=1e-3), key
    for key in "eyes_follow", "mouth_follow", "gaze_follows", "gaze_height_follows", "brows_follow", "sharpness", "detail", "flicker":
        assert itself[key] == pytest.approx(1, abs=1e-3), key
    assert itself["outside_psnr"] == 99 and itself["swapped"] == 0 and itself["found"] == 100
    assert itself["distance_a"] < 0.35 and itself["distance_b"] > 0.6 and itself["retrieved"] == 0


# What each change makes worse, by at least so much of its unit; every other measure must stay within NOISE
WORSENS = {
    "blurred": {"sharpness": -0.7, "flicker": -0.2, "detail": -0.4},
    "looking aside": {"gaze_error": 6},
    "shifted": {"landmark_error": 1.8, "eyes_error": 1.8, "mouth_error": 1.8, "seam": 0.4},
    "recoloured": {"skin_difference": 5, "sharpness": -0.1},  # a Laplacian of darker green is smaller
    "frozen": {"flicker": 0.8, "jitter": 1.5, "eyes_follow": -0.03, "mouth_follow": -0.04, "gaze_error": 0.5, "pose_error": 1, "seam": 0.3,
               "landmark_error": 1.5, "eyes_error": 1.5, "mouth_error": 1.5, "swapped": 20},  # of the frozen frames alone
}
NOISE = {"distance_b": 0.04, "cosine_b": 0.02, "distance_a": 0.06, "cosine_a": 0.01, "retrieved": 0, "pose_error": 1, "landmark_error": 1.5,
         "eyes_error": 1.5, "mouth_error": 1.5, "eyes_follow": 0.04, "mouth_follow": 0.02, "gaze_error": 2, "outside_psnr": 0, "seam": 0.25,
         "skin_difference": 0.5, "sharpness": 0.06, "flicker": 0.03, "jitter": 0.2, "swapped": 100, "found": 0,
         "detail": 0.1, "gaze_follows": 0.3, "gaze_height_follows": 0.3, "brow_error": 3, "brows_follow": 0.1}


def altered(name: str, images, faces) -> list[np.ndarray]:
    """The clip with its faces changed."""
    if name == "frozen":
        frozen = [images[index - 1] if index % 3 == 2 else image for index, image in enumerate(images)]
        return [np.where(inside(image, face) > 0, other, image).astype(np.uint8) for image, other, (face,) in zip(images, frozen, faces)]
    if name == "looking aside":
        eyes = see_eyes(images, [face.landmarks for (face,) in faces])
        aside = [move_irises(image.astype(np.float32), both, visibility(both)[:, None] * [0.1, 0]) for image, both in zip(images, eyes)]
        return [np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in aside]
    return changed(images, faces, {"blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 3),
                                   "shifted": lambda image: np.roll(image, 3, axis=1),
                                   "recoloured": lambda image: np.clip(image * np.array((1.0, 0.85, 1.15)), 0, 255)}[name])


@pytest.mark.parametrize("name", WORSENS)
def test_a_change_worsens_what_it_should_and_nothing_else(name, scored, images, faces, itself):
    scores = scored(altered(name, images, faces))
    assert scores.keys() == itself.keys() == NOISE.keys()
    for key, before in itself.items():
        apart = scores[key] - before
        if key in WORSENS[name]:
            assert apart * np.sign(WORSENS[name][key]) > abs(WORSENS[name][key]), key
        else:
            assert abs(apart) <= NOISE[key], key


def test_a_shift_of_three_pixels_measures_three_pixels(scored, images, faces):
    eyes = np.mean([np.linalg.norm(face.landmarks[36:42].mean(0) - face.landmarks[42:48].mean(0)) for (face,) in faces])
    error = scored(altered("shifted", images, faces))["landmark_error"]
    assert error == pytest.approx(300 / eyes, rel=0.45)  # the jaw's landmarks look at what was not shifted, too


def test_noise_outside_the_face_is_not_exact(scored, images, faces):
    noise = np.random.default_rng(0).normal(0, 5, images[0].shape)
    noisy = [np.where(inside(image, face) > 0, image, np.clip(image + noise, 0, 255)).astype(np.uint8)
             for image, (face,) in zip(images, faces)]
    scores = scored(noisy)
    assert 32 < scores["outside_psnr"] < 37  # 20 log10(255 / 5) = 34.2
    assert scores["swapped"] == 0


@pytest.mark.parametrize("degrees", [-15, 8, 20])
def test_the_pose_error_is_that_of_a_turned_picture(images, faces, degrees):
    kit, image, (face,) = make_kit(), images[0], faces[0]
    middle = face.landmarks.mean(0)
    turn = cv2.getRotationMatrix2D(tuple(map(float, middle)), -degrees, 1)  # OpenCV counts the other way
    turned = cv2.warpAffine(image, turn, image.shape[1::-1], flags=cv2.INTER_CUBIC)
    landmarks, = kit.aligner.align([turned], [face.detection.box[None]])[0]
    before, after = head_rotation(face.landmarks), head_rotation(landmarks)
    assert yaw_pitch_roll(after)[2] - yaw_pitch_roll(before)[2] == pytest.approx(degrees, abs=1)
    assert angle_between(before, after) == pytest.approx(abs(degrees), abs=2)


def test_clips_that_do_not_fit_are_told(images, faces):
    with pytest.raises(FaceswapError, match="short has 5 frames, long has more"):
        evaluate_clip(Kept(images[:8], "long"), Kept(images[:5], "short"), lambda index: faces[index], make_kit, {})
    with pytest.raises(FaceswapError, match="Frame 1 is 512x512 in a and 256x256 in b"):
        evaluate_clip(Kept(images[:3], "a"), Kept([image[::2, ::2] for image in images[:3]], "b"), lambda index: faces[index], make_kit, {})


def test_without_faces_nothing_is_measured(images):
    clip = evaluate_clip(Kept(images[:4]), Kept(images[:4]), lambda index: [], make_kit, {})
    assert isinstance(clip, ClipScores) and clip.totals == {} and clip.frame_count == 4
