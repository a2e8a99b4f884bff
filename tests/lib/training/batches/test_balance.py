"""Faces are drawn so that poses come equally often."""

from __future__ import annotations

import numpy as np
import pytest

from lib.faces.pose import HEAD, POINTS, head_rotation, yaw_pitch_roll
from lib.facesets.face_file import crop_landmarks
from lib.facesets.face_set import read_faces
from lib.plugin import ALIGNERS, DETECTORS
from lib.training.batches import balance


def heads(angles: np.ndarray) -> np.ndarray:
    """(N, 68, 2): the head of `pose`, turned by yaw and pitch in degrees, seen from far away; other landmarks at its middle."""
    yaw, pitch = np.radians(angles).T
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    across = np.array([[np.cos(yaw), zero, -np.sin(yaw)], [zero, one, zero], [np.sin(yaw), zero, np.cos(yaw)]])
    along = np.array([[one, zero, zero], [zero, np.cos(pitch), np.sin(pitch)], [zero, -np.sin(pitch), np.cos(pitch)]])
    rotations = np.einsum("ijn,jkn->nik", across, along)
    landmarks = np.full((len(angles), 68, 2), 100.0)
    landmarks[:, POINTS] += 5 * (np.array(list(HEAD.values())) @ rotations.transpose(0, 2, 1))[..., :2]
    return landmarks


def test_the_pose_of_a_turned_head_is_found():
    angles = np.array([(yaw, pitch) for yaw in (-40, -15, 0, 25, 50) for pitch in (-20, 0, 15)], float)
    found = balance.poses(heads(angles))
    np.testing.assert_allclose(found, angles, atol=1)


def test_the_pose_of_real_faces_is_nearly_that_of_the_search(face_folders):
    landmarks = np.concatenate([crop_landmarks(read_faces(folder, 1)) for folder in face_folders.values()])
    searched = [yaw_pitch_roll(head_rotation(points))[:2] for points in landmarks]
    assert np.abs(balance.poses(landmarks) - searched).mean() < 4


def test_each_pose_is_drawn_equally_often():
    angles = np.repeat([(-30, 0), (0, 0), (30, 10)], [10, 40, 20], axis=0).astype(float)
    weights = balance.weights(heads(angles))
    assert weights.dtype == np.float64 and weights.shape == (70,)
    np.testing.assert_allclose([weights[:10].sum(), weights[10:50].sum(), weights[50:].sum()], 1 / 3)
    np.testing.assert_array_equal(weights, balance.weights(heads(angles)))


def test_a_single_odd_face_is_not_seen_all_the_time():
    weights = balance.weights(heads(np.repeat([(0, 0), (45, 0)], [1000, 1], axis=0).astype(float)))
    assert weights[-1] == pytest.approx(balance.MOST * weights[0]) and weights.sum() == pytest.approx(1)


def test_turned_faces_of_real_footage_weigh_more(shared):
    from lib.media.endpoints.source import open_source

    detector, aligner = DETECTORS.create("hog"), ALIGNERS.create("dlib68")
    frames = [frame.image for frame in open_source(shared("videos/swap/b_hill.mp4")).at(range(0, 200, 5))]
    boxes = detector.detect(frames)
    landmarks = np.stack([aligner.align([frame], [found[0].box[None]])[0][0] for frame, found in zip(frames, boxes) if found])
    poses, weights = balance.poses(landmarks), balance.weights(landmarks)
    turned = np.abs(poses[:, 0] - np.median(poses[:, 0])) > 15
    assert 0 < turned.sum() < len(poses) / 2 and weights[turned].mean() > 1.5 * weights[~turned].mean()


def test_landmarks_that_make_no_face_break_nothing():
    weights = balance.weights(np.concatenate([heads(np.zeros((5, 2))), np.zeros((1, 68, 2))]))
    assert np.isfinite(weights).all() and (weights > 0).all()
