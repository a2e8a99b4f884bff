from dataclasses import replace

import numpy as np
import pytest

from lib.faces.masking import MaskedFace
from lib.swapping.steady import REACH, steadied
from lib.types import AlignedFace, Detection, Fit, Frame, SwappedFace

IMAGE = np.zeros((4, 4, 3), np.uint8)
DETECTION = Detection(np.zeros(4, np.float32), 1.0)


def face(colors, track=1) -> SwappedFace:
    points = np.zeros((68, 2), np.float32)
    aligned = AlignedFace(MaskedFace(DETECTION, points, {}, points, track), IMAGE, np.eye(2, 3))
    fit = Fit(None if colors is None else np.float32(colors))
    return SwappedFace(aligned, IMAGE / np.float32(255), np.ones((4, 4, 1), np.float32), fit)


def colors_of(faces: list[list[SwappedFace]]) -> list[list]:
    items = [(Frame(index, IMAGE), these, "") for index, these in enumerate(faces)]
    done = list(steadied(items))
    assert [frame.index for frame, *_ in done] == list(range(len(faces))), "each frame once, in order"
    return [[each.fit.colors for each in these] for _, these, _ in done]


@pytest.mark.parametrize("count", [0, 1, REACH, REACH + 1, 2 * REACH + 1, 40])
def test_what_does_not_change_stays(count):
    assert np.allclose([found for found, in colors_of([[face([2.0, 3.0])] for _ in range(count)])], [2.0, 3.0] if count else [])


def test_a_flicker_is_evened_out_without_a_delay():
    values = np.random.default_rng(0).normal(size=60)
    steady = np.array([found[0] for found, in colors_of([[face([value])] for value in values])])
    assert np.diff(steady).std() < 0.2 * np.diff(values).std()
    ramp = np.array([found[0] for found, in colors_of([[face([value])] for value in np.arange(30.0)])])
    np.testing.assert_allclose(ramp[REACH:-REACH], np.arange(30.0)[REACH:-REACH], atol=1e-4)


def test_tracks_are_apart_and_faces_without_one_keep_their_own():
    frames = [[face([0.0], 1), face([10.0], 2), face([value], None)] for value in range(20)]
    for number, (one, other, alone) in enumerate(colors_of(frames)):
        assert (one[0], other[0], alone[0]) == pytest.approx((0, 10, number))


def test_a_cut_is_kept():
    frames = [[face([0.0], 1)]] * 10 + [[face([10.0], 2)]] * 10
    assert [found[0] for found, in colors_of(frames)] == pytest.approx([0.0] * 10 + [10.0] * 10)


def test_a_face_knows_how_it_moves():
    def at(x: float) -> SwappedFace:
        still = face([0.0])
        points = np.full((68, 2), (x, 10), np.float32)
        return replace(still, aligned=replace(still.aligned, face=replace(still.aligned.face, landmarks=points)))

    done = list(steadied([(Frame(index, IMAGE), [at(3.0 * index)], "") for index in range(6)] + [(Frame(9, IMAGE), [at(0.0)], "")]))
    moved = [faces[0].fit.motion for _, faces, _ in done]
    assert all(motion == pytest.approx((3, 0)) for motion in moved[:6]) and moved[6] is None


def test_where_nothing_was_measured_those_around_stand_in():
    frames = [[face([1.0])], [face(None)], [face([1.0])], []] + [[face(None, 3)]]
    found = colors_of(frames)
    assert found[1][0] == pytest.approx(1) and found[3] == [] and found[4] == [None]
