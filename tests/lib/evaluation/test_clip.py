"""What is measured worsens where a clip is worsened, and only there."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.evaluation.clip import ClipScores, evaluate
from lib.evaluation.frames import Kit
from lib.evaluation.people import mean_embedding
from lib.faces.masks import hull
from lib.faces.pose import angle_between, head_rotation, yaw_pitch_roll
from lib.media.base import FrameSource
from lib.media.source import open_source
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS
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
        found.append([Face(detection, kit.aligner.align(image, detection.box[None])[0])])
    return found


@pytest.fixture(scope="module")
def people(shared) -> dict[str, np.ndarray]:
    kit = make_kit()
    return {name: mean_embedding(shared(f"videos/swap/{clip}"), kit.detector, kit.aligner, kit.recognizer)
            for name, clip in (("a", "a_ocasio_cortez.mp4"), ("b", "b_hill.mp4"), ("gallery/c", "c_streamer.mp4"))}


@pytest.fixture(scope="module")
def scored(images, faces, people) -> Callable[[list[np.ndarray]], dict[str, float]]:
    def run(changed: list[np.ndarray]) -> dict[str, float]:
        clip = evaluate(Kept(images), Kept(changed), lambda index: faces[index], make_kit, people)
        return {key: total.value for key, total in clip.totals.items()}

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
    for key in "eyes_follow", "mouth_follow", "sharpness", "flicker":
        assert itself[key] == pytest.approx(1, abs=1e-3), key
    assert itself["outside_psnr"] == 99 and itself["swapped"] == 0 and itself["found"] == 100
    assert itself["distance_a"] < 0.35 and itself["distance_b"] > 0.6 and itself["retrieved"] == 0


def test_a_blurred_face_is_less_sharp(scored, images, faces, itself):
    scores = scored(changed(images, faces, lambda image: cv2.GaussianBlur(image, (0, 0), 3)))
    assert scores["sharpness"] < 0.3 and scores["flicker"] < 0.95
    assert scores["outside_psnr"] == 99 and scores["pose_error"] < 4
    assert abs(scores["skin_difference"] - itself["skin_difference"]) < 1
    assert scores["mouth_follow"] > 0.9


def test_a_face_shifted_by_three_pixels_has_its_landmarks_there(scored, images, faces, itself):
    scores = scored(changed(images, faces, lambda image: np.roll(image, 3, axis=1)))
    eyes = np.mean([np.linalg.norm(face.landmarks[36:42].mean(0) - face.landmarks[42:48].mean(0)) for (face,) in faces])
    assert scores["landmark_error"] == pytest.approx(300 / eyes, rel=0.45)
    assert scores["seam"] > 0.3
    assert scores["sharpness"] == pytest.approx(1, abs=0.15) and scores["outside_psnr"] == 99
    assert abs(scores["skin_difference"] - itself["skin_difference"]) < 1


def test_a_recoloured_face_has_another_colour_than_its_surroundings(scored, images, faces, itself):
    scores = scored(changed(images, faces, lambda image: np.clip(image * np.array((1.0, 0.85, 1.15)), 0, 255)))
    assert scores["skin_difference"] > itself["skin_difference"] + 3
    assert scores["seam"] > 0.1 and scores["swapped"] == 100
    assert scores["sharpness"] == pytest.approx(1, abs=0.3) and scores["landmark_error"] < 1.5 and scores["outside_psnr"] == 99


def test_a_face_frozen_every_third_frame_flickers(scored, images, faces, itself):
    frozen = [images[index - 1] if index % 3 == 2 else image for index, image in enumerate(images)]
    scores = scored([np.where(inside(image, face) > 0, other, image).astype(np.uint8)
                     for image, other, (face,) in zip(images, frozen, faces)])
    assert scores["flicker"] > 1.1
    assert scores["sharpness"] == pytest.approx(1, abs=0.1) and scores["outside_psnr"] == 99
    assert abs(scores["skin_difference"] - itself["skin_difference"]) < 1


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
    landmarks, = kit.aligner.align(turned, face.detection.box[None])
    before, after = head_rotation(face.landmarks), head_rotation(landmarks)
    assert yaw_pitch_roll(after)[2] - yaw_pitch_roll(before)[2] == pytest.approx(degrees, abs=1)
    assert angle_between(before, after) == pytest.approx(abs(degrees), abs=2)


def test_clips_that_do_not_fit_are_told(images, faces):
    with pytest.raises(FaceswapError, match="short has 5 frames, long has more"):
        evaluate(Kept(images[:8], "long"), Kept(images[:5], "short"), lambda index: faces[index], make_kit, {})
    with pytest.raises(FaceswapError, match="Frame 0 is 512x512 in a and 256x256 in b"):
        evaluate(Kept(images[:3], "a"), Kept([image[::2, ::2] for image in images[:3]], "b"), lambda index: faces[index], make_kit, {})


def test_without_faces_nothing_is_measured(images):
    clip = evaluate(Kept(images[:4]), Kept(images[:4]), lambda index: [], make_kit, {})
    assert isinstance(clip, ClipScores) and clip.totals == {} and clip.frame_count == 4
