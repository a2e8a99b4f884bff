"""Faces are followed through time, never across a cut, and stand still where the face does."""

from __future__ import annotations

import numpy as np
import pytest

from lib.alignments.smoothing import MOST, smoothed
from lib.alignments.tracks import LONGEST_GAP, cuts, gaps, link, look
from lib.faces.geometry import MEAN_FACE
from lib.media.endpoints.sample_clips import MovingCamera, admiral, astronaut
from lib.media.endpoints.source import open_source

CUTS = {  # seen by eye; two_actors has 60 flashes, and a cut that is a blend of two frames
    "swap/d_astley.mp4": {22, 93}, "people/two_actors_cuts_720p.mp4": {130, 205, 258}, "people/stage_and_audience.mp4": {20, 82, 211},
    "noface/face_gap.mp4": {25, 100}, "people/glasses_man.mp4": set(), "people/selfie_woman.mp4": set()}


@pytest.mark.parametrize("clip", CUTS)
def test_cuts_are_found_and_flashes_are_none(shared, clip):
    assert cuts((frame.index, look(frame.image)) for frame in open_source(shared(f"videos/{clip}"))) == CUTS[clip]


def test_a_cut_between_two_people_is_found_and_a_flash_is_not():
    frames = [frame.image for portrait in (astronaut(), admiral()) for frame in MovingCamera(portrait, seconds=0.8, side=256)]
    frames[7] = np.clip(frames[7].astype(int) + 120, 0, 255).astype(np.uint8)
    looks = [(index, look(image)) for index, image in enumerate(frames)]
    assert cuts(looks) == {20}
    assert cuts([]) == cuts(looks[:1]) == cuts(looks[:9]) == set()
    for first, last in (17, 40), (19, 22), (10, 22), (0, 21):  # near the ends, too
        assert cuts(looks[first:last]) == {20}


def box(x: float, y: float = 100.0, side: float = 80.0) -> np.ndarray:
    return np.array([x, y, x + side, y + side], np.float32)


def test_two_faces_that_pass_each_other_stay_two_tracks():
    tracks = link(((frame, [0, 1], np.stack([box(10 + 6 * frame), box(400 - 6 * frame, 130)])) for frame in range(60)), set())
    assert [track.faces for track in tracks] == [dict.fromkeys(range(60), 0), dict.fromkeys(range(60), 1)]


def test_order_in_a_frame_does_not_matter():
    there = [np.stack([box(10), box(300)][::1 if frame % 3 else -1]) for frame in range(12)]
    first, second = link(((frame, [2, 5], boxes) for frame, boxes in enumerate(there)), set())  # numbers 0, 1, 3, 4 are left out
    assert {there[frame][(2, 5).index(number)][0] for frame, number in first.faces.items()} == {300}
    assert len(first.faces) == len(second.faces) == 12


@pytest.mark.parametrize(("missing", "tracks"), [(1, 1), (LONGEST_GAP, 1), (LONGEST_GAP + 1, 2)])
def test_a_face_may_be_missed_for_a_while(missing, tracks):
    found = link(((frame, [0], box(10 + 2 * frame)[None]) for frame in range(40) if not 10 <= frame < 10 + missing), set())
    assert len(found) == tracks
    assert [gap for track in found for gap in gaps(track)] == ([(9, 10 + missing)] if tracks == 1 else [])


def test_no_track_crosses_a_cut():
    found = link(((frame, [0], box(100)[None]) for frame in range(20)), {8, 15})
    assert [track.frames for track in found] == [list(range(8)), list(range(8, 15)), list(range(15, 20))]


def shape(count: int) -> np.ndarray:
    """(count, 68, 2): a face of 100 pixels between the outer corners of the eyes that stands still."""
    points = np.zeros((68, 2))
    points[17:] = MEAN_FACE * 136
    points[:17] = np.column_stack([np.linspace(-10, 146, 17), 136 * np.sin(np.linspace(0.3, np.pi - 0.3, 17))])
    return np.tile(points + 200, (count, 1, 1))


def acceleration(landmarks: np.ndarray) -> float:
    return float(np.linalg.norm(landmarks[:-2] - 2 * landmarks[1:-1] + landmarks[2:], axis=2).mean())


def test_jitter_goes_and_the_face_stays():
    noise = np.random.default_rng(0).normal(0, 0.8, (60, 68, 2))
    steady = smoothed(shape(60) + noise)
    assert acceleration(steady) < acceleration(shape(60) + noise) / 3
    assert np.abs(steady - shape(60)).mean() < 0.6 * np.abs(noise).mean()


def test_a_head_that_moves_steadily_is_left_where_it_is():
    moving = shape(40) + np.arange(40)[:, None, None] * (3.0, 1.0)
    np.testing.assert_allclose(smoothed(moving), moving, atol=1e-6)


def test_a_mouth_that_opens_quickly_opens_as_far_and_as_soon():
    moving = shape(60)
    opening = 14 * np.sin(np.arange(60) * 2 * np.pi / 10).clip(0)  # open for a fifth of a second
    moving[:, 55:60, 1] += opening[:, None]
    moving[:, 65:68, 1] += opening[:, None]
    before, after = (points[:, 66, 1] - points[:, 62, 1] for points in (moving, smoothed(moving)))
    assert np.ptp(after) == pytest.approx(np.ptp(before), rel=0.05)
    shifts = [np.corrcoef(before[5:-5], np.roll(after, shift)[5:-5])[0, 1] for shift in (-1, 0, 1)]
    assert np.argmax(shifts) == 1


def test_what_jumps_is_no_jitter():
    jump = shape(40)
    jump[20:] += (30.0, 0.0)
    assert np.linalg.norm(smoothed(jump) - jump, axis=2).max() <= MOST * 100 * 1.02


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_short_tracks_are_smoothed_as_far_as_they_go(count):
    assert smoothed(shape(count)).shape == (count, 68, 2)
    np.testing.assert_allclose(smoothed(shape(count)), shape(count), atol=1e-6)


@pytest.mark.parametrize("clip", ["swap/a_ocasio_cortez.mp4", "people/studio_man.mp4"])
def test_real_talking_heads(shared, clip):
    from lib.plugin import ALIGNERS, DETECTORS

    detector, aligner = DETECTORS.create("hog", upsample=0), ALIGNERS.create("dlib68")
    raw = []
    for frame in open_source(shared(f"videos/{clip}")).frames(0, 80):
        box = detector.detect([frame.image])[0][0].box
        raw.append(aligner.align([frame.image], [box[None]])[0][0])
    raw = np.stack(raw)
    steady = smoothed(raw)
    assert acceleration(steady) < acceleration(raw) / 1.7
    before, after = (np.ptp(np.percentile(np.linalg.norm(points[:, 62] - points[:, 66], axis=1), (2, 98))) for points in (raw, steady))
    assert after == pytest.approx(before, rel=0.03)
