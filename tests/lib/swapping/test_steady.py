from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.swapping.failure import Staged
from lib.swapping.steady import REACH, average_mask, reduce_flicker, steadied
from lib.types import AlignedFace, Detection, Face, Fit, Frame, SwappedFace

IMAGE = np.zeros((4, 4, 3), np.uint8)
DETECTION = Detection(np.zeros(4, np.float32), 1.0)


def face(colors, track=1) -> SwappedFace:
    points = np.zeros((68, 2), np.float32)
    aligned = AlignedFace(Face(DETECTION, points, track=track), IMAGE, np.eye(2, 3))
    fit = Fit(None if colors is None else np.float32(colors))
    return SwappedFace(aligned, IMAGE / np.float32(255), np.ones((4, 4, 1), np.float32), fit)


def colors_of(faces: list[list[SwappedFace]]) -> list[list]:
    items = [Staged(Frame(index, IMAGE), these) for index, these in enumerate(faces)]
    done = list(steadied(items))
    assert [staged.frame.index for staged in done] == list(range(len(faces))), "each frame once, in order"
    return [[each.fit.colors for each in staged.faces] for staged in done]


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

    done = list(steadied([Staged(Frame(index, IMAGE), [at(3.0 * index)]) for index in range(6)] + [Staged(Frame(9, IMAGE), [at(0.0)])]))
    moved = [staged.faces[0].fit.motion for staged in done]
    assert all(motion == pytest.approx((3, 0)) for motion in moved[:6]) and moved[6] is None


def test_where_nothing_was_measured_those_around_stand_in():
    frames = [[face([1.0])], [face(None)], [face([1.0])], []] + [[face(None, 3)]]
    found = colors_of(frames)
    assert found[1][0] == pytest.approx(1) and found[3] == [] and found[4] == [None]


def masked(values: list[np.ndarray]) -> list[SwappedFace]:
    """A face whose mask is each of these in turn, steadied."""
    items = [Staged(Frame(index, IMAGE), [replace(face([0.0]), mask=np.float32(value))]) for index, value in enumerate(values)]
    return [staged.faces[0] for staged in steadied(items)]


def test_a_mask_that_flickers_is_evened_out_and_one_that_changes_is_not():
    noise = 0.7 + 0.05 * np.random.default_rng(0).standard_normal((40, 8, 8, 1))
    evened = np.stack([average_mask(one) for one in masked(list(noise))])
    assert np.abs(np.diff(evened, axis=0)).mean() < 0.5 * np.abs(np.diff(noise, axis=0)).mean()
    assert abs(evened.mean() - 0.7) < 0.005
    hand = np.ones((9, 8, 8, 1))
    hand[4:6, :, 3:5] = 0  # in front of the face, in two frames
    np.testing.assert_array_equal(np.stack([average_mask(one) for one in masked(list(hand))]), hand)


def test_frames_beside_are_those_of_the_same_track_and_model():
    one, other, none = face([0.0], 1), face([0.0], 2), face([0.0], None)
    items = [Staged(Frame(index, IMAGE), [one, other, replace(one, role=1), none]) for index in (0, 1, 2, 3, 7)]
    done = [staged.faces for staged in steadied(items)]
    for number, later in enumerate([(1, 2), (-1, 1, 2), (-2, -1, 1), (-2, -1), ()]):
        for faces, (track, role) in zip(done[number][:3], [(1, 0), (2, 0), (1, 1)]):
            assert tuple(distance for distance, _ in faces.near) == later
            assert all((near.aligned.face.track, near.role, near.near) == (track, role, ()) for _, near in faces.near)
        assert done[number][3].near == ()


@pytest.fixture(scope="module")
def moving(astronaut) -> list[SwappedFace]:
    """Crops of a face whose lower half moves down, as where a mouth opens, and the same, grainy, for what was drawn."""
    random, faces = np.random.default_rng(0), []
    for index in range(6):
        below = np.clip(np.arange(128)[:, None] - 64.0, 0, 16) / 16 * np.float32([0, 0.8 * index])
        rows, columns = np.indices((128, 128), np.float32)
        crop = cv2.remap(astronaut[40:168, 160:288], columns, np.float32(rows - below[:, 1:]), cv2.INTER_CUBIC)
        drawn = np.float32(crop / 255 + 0.04 * random.standard_normal(crop.shape))
        aligned = replace(face([0.0]).aligned, image=crop)
        faces.append(replace(face([0.0]), aligned=aligned, image=drawn, mask=np.ones((128, 128, 1), np.float32)))
    return [staged.faces[0] for staged in steadied(Staged(Frame(index, IMAGE), [one]) for index, one in enumerate(faces))]


def test_what_is_drawn_is_filtered_along_the_motion(moving):
    clean = [one.aligned.image / np.float32(255) for one in moving]
    inside = slice(8, 120), slice(8, 120)
    error = [np.abs(one.image - true)[inside].mean() for one, true in zip(moving, clean)]
    left = [np.abs(reduce_flicker(one, 1.0) - true)[inside].mean() for one, true in zip(moving, clean)]
    assert max(left[1:-1]) < 0.7 * min(error)  # of three pictures 0.58, were their motion known
    plain = [np.abs(np.mean([one.image, *(near.image for later, near in one.near if abs(later) == 1)], 0) - true)[inside].mean()
             for one, true in zip(moving, clean)]
    assert np.mean(left[1:-1]) < np.mean(plain[1:-1]), "better than as if nothing moved"
    np.testing.assert_array_equal(reduce_flicker(moving[2], 0.0), moving[2].image)


def test_where_the_original_is_another_in_the_next_frame_nothing_is_taken_from_it(moving, hopper):
    stranger = cv2.resize(hopper[150:406, 130:386], (128, 128), interpolation=cv2.INTER_AREA)
    other = replace(moving[3], aligned=replace(moving[3].aligned, image=stranger), image=np.zeros((128, 128, 3), np.float32))
    between = replace(moving[2], near=((-1, other), (1, other)))
    assert np.abs(reduce_flicker(between, 1.0) - moving[2].image).mean() < 0.02
