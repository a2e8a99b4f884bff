"""Swapped faces are sharpened until they look as sharp as the frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.swapping.detail import WANTED, matched


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
    found = matched(soft, original, inside)
    assert sharpness(found, original, inside) == pytest.approx(WANTED, abs=0.01)
    assert np.abs(found - original / 255)[inside].mean() < np.abs(soft - original / 255)[inside].mean(), "nearer to what it was"
    np.testing.assert_allclose(found.mean((0, 1)), soft.mean((0, 1)), atol=2e-3)


def test_a_very_soft_face_is_not_blown_up(original, inside):
    soft = cv2.GaussianBlur(original.astype(np.float32) / 255, (0, 0), 2)
    found = matched(soft, original, inside)
    assert sharpness(soft, original, inside) < sharpness(found, original, inside) < 0.1
    assert np.abs(found - original / 255)[inside].mean() < np.abs(soft - original / 255)[inside].mean()


@pytest.mark.parametrize("sigma", [0.45, 0.7, 1, 1.5, 2, 3])
def test_however_soft_a_face_was_it_comes_nearer_to_what_it_was_and_gets_no_halo(original, inside, sigma):
    soft = cv2.GaussianBlur(original.astype(np.float32) / 255, (0, 0), sigma)
    found = matched(soft, original, inside)
    assert np.abs(found - original / 255)[inside].mean() < np.abs(soft - original / 255)[inside].mean()
    nearby = np.ones((5, 5))
    assert (found <= cv2.dilate(soft, nearby)).all() and (found >= cv2.erode(soft, nearby)).all()


def test_a_sharp_face_stays_as_it_is(original, inside):
    sharp = original.astype(np.float32) / 255
    assert matched(sharp, cv2.GaussianBlur(original, (0, 0), 1), inside) is sharp
    assert matched(sharp, original, np.zeros_like(inside)) is sharp


def test_a_plain_face_has_no_detail_to_raise(original, inside):
    plain = np.full(original.shape, 0.5, np.float32)
    np.testing.assert_array_equal(matched(plain, original, inside), plain)
