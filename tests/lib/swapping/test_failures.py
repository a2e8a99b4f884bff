"""A long run does not end at one frame, whichever part of the work fails: the frame stays as it was and says why."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from lib.faces.geometry import DEFAULT_COVERAGE
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS, Blender, Color, Masker
from lib.swapping.composite import Compositor, crop_face
from lib.swapping.exemplars.stage import Planned
from lib.swapping.eyes import EyesFollow
from lib.swapping.pipeline import Role, swap_frames
from lib.types import Face, Frame

COUNT, BAD = 11, 4  # frames; the one that fails


class Negative:
    size = drawn = 64
    coverage = DEFAULT_COVERAGE

    def __call__(self, faces):
        return 1 - faces, np.ones((*faces.shape[:3], 1), np.float32)


@dataclass
class NotANumber(Negative):
    """A network of which a picture or a mask has a place that is no number, where it is shown a red face."""

    where: str = "image"

    def __call__(self, faces):
        images, masks = super().__call__(faces)
        for number in np.flatnonzero(red(faces)):
            {"image": images, "mask": masks}[self.where][number, 20, 20] = np.nan
        return images, masks


class Choking(Negative):
    def __call__(self, faces):
        if red(faces).any():
            raise RuntimeError("out of memory\nwith details")
        return super().__call__(faces)


def red(faces: np.ndarray) -> np.ndarray:
    return (faces[..., 0].mean((1, 2)) > faces[..., 1].mean((1, 2)) + 0.3)


@pytest.fixture(scope="module")
def frames(astronaut) -> list[tuple[Frame, list[Face]]]:
    """COUNT frames with a face that is followed, one of which has a red face."""
    detection = DETECTORS.create("hog").detect([astronaut])[0][0]
    points = ALIGNERS.create("dlib68").align([astronaut], [detection.box[None]])[0][0]
    reddish = astronaut.copy()
    reddish[..., 1:] //= 4
    return [(Frame(index, reddish if index == BAD else astronaut), [Face(detection, points, track=1)])
            for index in range(COUNT)]


def compositor(**parts) -> Compositor:
    usual = {"color": COLORS.create("none"), "blender": BLENDERS.create("alpha"), "maskers": [MASKERS.create("hull")]}
    return Compositor(**usual | parts, match_detail=False)


def check(frames, role: Role, follow=None, bad=(BAD,), why: str = "") -> None:
    finished = list(swap_frames(frames, [role], follow))
    assert [done.frame.index for done in finished] == list(range(len(frames)))
    assert [done.frame.index for done in finished if done.failure] == list(bad)
    for done, (frame, _) in zip(finished, frames):
        same = (done.frame.with_patches(done.patches) == frame.image).all()
        assert same == (frame.index in bad) and done.swapped == (frame.index not in bad)
        assert why in done.failure or frame.index not in bad
        assert "\n" not in done.failure


@pytest.mark.parametrize("where", ["image", "mask"])
@pytest.mark.parametrize("blender", BLENDERS.names())
@pytest.mark.parametrize("color", COLORS.names())
def test_an_answer_that_is_not_made_of_numbers(frames, color, blender, where):
    role = Role(NotANumber(where), compositor(color=COLORS.create(color), blender=BLENDERS.create(blender)))
    check(frames, role, why="not made of numbers")


def test_the_eyelids_of_such_an_answer_are_not_looked_for(frames):
    check(frames, Role(NotANumber(), compositor()), EyesFollow(ALIGNERS.create("dlib68", refeed=0)))


def test_a_network_that_raises(frames):
    check(frames, Role(Choking(), compositor()), why="out of memory")


class RedFails:
    """Raises where it sees the red frame; `error` is what."""

    error: Exception

    def fail(self, picture: np.ndarray) -> None:
        if red(np.asarray(picture, np.float32)[None] / (255 if picture.max() > 1 else 1)).any():
            raise self.error


ERRORS = [np.linalg.LinAlgError("does not converge"), ZeroDivisionError(), cv2.error("!_src.empty()"), IndexError("7"),
          RuntimeError("")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("stage", ["choose", "mask", "colors", "recolor", "joint", "blend", "exemplars"])
def test_a_plugin_that_raises(frames, stage, error):
    class Failing(RedFails):
        pass

    Failing.error = error

    class Colors(Failing, Color):
        def measure(self, swapped, original, mask):
            if stage == "colors":
                self.fail(original)
            return np.float32([original[..., 0].mean() - original[..., 1].mean()])

        def recolor(self, swapped, measured, place):
            if stage == "recolor" and measured[0] > 0.25:
                raise error
            return swapped

    class Blends(Failing, Blender):
        measures = True

        def measure(self, face, original, mask):
            if stage == "joint":
                self.fail(original)

        def blend(self, region, face, mask):
            if stage == "blend":
                self.fail(region)
            return face

    class Masks(Failing, Masker):
        def mask(self, aligned):
            if stage == "mask":
                self.fail(aligned.image)
            return MASKERS.create("hull").mask(aligned)

    def choose(faces):
        for face in faces if stage == "choose" else ():
            Failing().fail(face.image)
        return faces

    def exemplars(index, face):
        if stage == "exemplars" and index == BAD:
            raise error
        return face

    untracked = [(frame, [replace(face, track=None) for face in faces]) for frame, faces in frames]
    parts = compositor(color=Colors(), blender=Blends(), maskers=[Masks()])
    check(untracked, Role(Negative(), parts, choose, exemplars=exemplars))


def test_eyelids_that_cannot_be_found(frames):
    class Lids:
        def __call__(self, faces):
            for face in faces:
                if red(face.aligned.image[None] / np.float32(255)).any():
                    raise ValueError("no eyes")
            return list(faces)

        def after_exemplars(self):
            return self

    for exemplars in None, lambda index, face: face:
        check(frames, Role(Negative(), compositor(), exemplars=exemplars), Lids(), why="no eyes")


def test_a_plugin_of_which_nothing_can_be_averaged(frames):
    """What it measures has another shape in one frame: those around it have nothing to average it with."""

    class Odd(Color):
        def measure(self, swapped, original, mask):
            return np.zeros(3 if red(original[None]).any() else 2, np.float32)

        def recolor(self, swapped, measured, place):
            return swapped

    finished = list(swap_frames(frames, [Role(Negative(), compositor(color=Odd()))]))
    assert len(finished) == COUNT and any(done.failure for done in finished)


def test_a_face_whose_exemplars_cannot_be_chosen(frames):
    """One face of a window of hundreds of frames, of whose picture nothing is there."""

    class Drawing:
        def plan(self, features, lengths):
            return [None] * sum(lengths)

    def crops(start, stop):
        for frame, faces in frames:
            aligned = [crop_face(frame, face, 64) for face in faces]
            yield frame, [replace(face, image=face.image[:0]) for face in aligned] if frame.index == BAD else aligned

    planned = Planned(Drawing(), crops)
    try:
        check(frames, Role(Negative(), compositor(), exemplars=planned))
    finally:
        planned.close()
