"""Swapped faces are sharpened until they look as sharp as the frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.swapping.detail import TARGET_SHARE, add_motion_blur, add_noise, as_floats, match_sharpness


@pytest.fixture(scope="module")
def original(astronaut) -> np.ndarray:
    return np.ascontiguousarray(astronaut[40:296, 96:352])


@pytest.fixture(scope="module")
def inside(original) -> np.ndarray:
    mask = np.zeros(original.shape[:2], np.uint8)
    cv2.ellipse(mask, (128, 100), (60, 80), 0, 0, 360, 1, -1)
    return mask > 0


def sharpness(picture: np.ndarray, original: np.ndarray, inside: np.ndarray) -> float:
    gray = [cv2.cvtColor(one.astype(np.float32), cv2.COLOR_RGB2GRAY) for one in (picture, original / 255)]
    one, other = (cv2.Laplacian(each, cv2.CV_32F)[inside].var() for each in gray)
    return float(one / other)


@pytest.mark.parametrize("sigma", [0.45, 0.5, 0.55])
def test_a_soft_face_becomes_as_sharp_as_wanted(original, inside, sigma):
    soft = cv2.GaussianBlur(original.astype(np.float32) / 255, (0, 0), sigma)
    assert sharpness(soft, original, inside) < 0.7
    found = match_sharpness(soft, original, inside)
    assert sharpness(found, original, inside) == pytest.approx(TARGET_SHARE, abs=0.01)
    assert np.abs(found - original / 255)[inside].mean() < np.abs(soft - original / 255)[inside].mean(), "nearer to what it was"
    np.testing.assert_allclose(found.mean((0, 1)), soft.mean((0, 1)), atol=2e-3)


def test_a_very_soft_face_is_not_blown_up(original, inside):
    soft = cv2.GaussianBlur(original.astype(np.float32) / 255, (0, 0), 2)
    found = match_sharpness(soft, original, inside)
    assert sharpness(soft, original, inside) < sharpness(found, original, inside) < 0.1
    assert np.abs(found - original / 255)[inside].mean() < np.abs(soft - original / 255)[inside].mean()


@pytest.mark.parametrize("sigma", [0.45, 0.7, 1, 1.5, 2, 3])
def test_however_soft_a_face_was_it_comes_nearer_to_what_it_was_and_gets_no_halo(original, inside, sigma):
    soft = cv2.GaussianBlur(original.astype(np.float32) / 255, (0, 0), sigma)
    found = match_sharpness(soft, original, inside)
    assert np.abs(found - original / 255)[inside].mean() < np.abs(soft - original / 255)[inside].mean()
    nearby = np.ones((5, 5))
    assert (found <= cv2.dilate(soft, nearby)).all() and (found >= cv2.erode(soft, nearby)).all()


def test_a_sharp_face_stays_as_it_is(original, inside):
    sharp = original.astype(np.float32) / 255
    assert match_sharpness(sharp, cv2.GaussianBlur(original, (0, 0), 1), inside) is sharp
    assert match_sharpness(sharp, original, np.zeros_like(inside)) is sharp


def test_a_plain_face_has_no_detail_to_raise(original, inside):
    plain = np.full(original.shape, 0.5, np.float32)
    np.testing.assert_array_equal(match_sharpness(plain, original, inside), plain)


def in_bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def grain_of(picture: np.ndarray, inside: np.ndarray) -> float:
    """Standard deviation of what a median of 5 x 5 takes away, where the skin is smooth."""
    grey = cv2.cvtColor(np.clip(picture * 255, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    rest = grey.astype(float) - cv2.medianBlur(grey, 5)
    return float(np.median(np.abs(rest[inside])))


@pytest.mark.parametrize("sigma", [4, 8, 15])
def test_noise_of_the_frame_is_given_to_the_face(original, inside, sigma):
    clean = as_floats(original)
    noisy = clean + np.random.default_rng(5).normal(0, sigma / 255, (*inside.shape, 1)).astype(np.float32)
    soft = cv2.GaussianBlur(clean, (0, 0), 1.5)
    found = add_noise(soft, in_bytes(noisy), inside, seed=7)
    added = found - soft
    assert added.std() * 255 == pytest.approx(sigma, rel=0.35) and abs(added.mean()) < 1e-3
    assert grain_of(found, inside) == pytest.approx(grain_of(noisy, inside), rel=0.35)
    assert (add_noise(soft, in_bytes(noisy), inside, seed=7) == found).all() and (add_noise(soft, in_bytes(noisy), inside, seed=8) != found).any()


def test_noise_of_a_face_larger_than_the_sheet_it_is_taken_from(original):
    large = cv2.resize(original, (1200, 1500))
    noise = np.random.default_rng(5).normal(0, 8, (*large.shape[:2], 1))
    added = add_noise(as_floats(large), np.clip(np.rint(large + noise), 0, 255).astype(np.uint8), np.ones(large.shape[:2], bool), seed=7)
    added = (added - as_floats(large))[..., 0] * 255
    assert added.shape == large.shape[:2] and added[1050:, 1050:].std() == pytest.approx(added[:400, :400].std(), rel=0.05)
    assert added.std() == pytest.approx(8, rel=0.35)
    for axis in (0, 1):  # neighbours have nothing to do with each other
        assert abs(np.mean(added * np.roll(added, 1, axis))) < 0.02 * added.var()


def test_noise_is_not_given_twice(original, inside):
    noisy = as_floats(original) + np.random.default_rng(5).normal(0, 0.03, (*inside.shape, 1)).astype(np.float32)
    assert add_noise(noisy, in_bytes(noisy), inside, 1) is noisy
    assert add_noise(noisy, in_bytes(cv2.GaussianBlur(noisy, (0, 0), 1)), inside, 1) is noisy
    assert add_noise(noisy, in_bytes(noisy), np.zeros_like(inside), 1) is noisy


@pytest.mark.parametrize("motion", [(20.0, 0.0), (-8.0, 14.0), (0.0, 12.0)])
def test_a_face_that_moves_is_smeared_as_the_frame_is(original, inside, motion):
    face, motion = as_floats(original), np.array(motion)
    steps = np.linspace(-0.25, 0.25, 21)  # the shutter is open half of the time
    filmed = np.mean([cv2.warpAffine(face, np.array([[1, 0, x], [0, 1, y]]), inside.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
                      for x, y in steps[:, None] * motion], axis=0).astype(np.float32)
    found = add_motion_blur(face, in_bytes(filmed), inside, motion)
    assert np.abs(found - filmed)[inside].mean() < 0.35 * np.abs(face - filmed)[inside].mean()


def test_what_is_sharp_in_the_frame_or_hardly_moves_is_not_smeared(original, inside):
    face = as_floats(original)
    assert add_motion_blur(face, original, inside, np.array([20.0, 0.0])) is face
    assert add_motion_blur(face, in_bytes(cv2.GaussianBlur(face, (0, 0), 2)), inside, np.array([3.0, 0.0])) is face
    by_another, by_this = (np.abs(add_motion_blur(face, in_bytes(cv2.blur(face, size)), inside, np.array([20.0, 0.0])) - face).mean()
                           for size in ((1, 11), (11, 1)))
    assert by_another < 0.8 * by_this
