"""Adaptive augmentation of what a discriminator sees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.nn import backend
from lib.training.model import ada

import keras  # isort: skip
from keras import ops  # isort: skip

NAMES = (*ada.SWITCHES, *ada.UNIFORM, *ada.NORMAL)
NEVER = dict.fromkeys(ada.SWITCHES, 1.0) | dict.fromkeys(ada.UNIFORM, 0.0) | dict.fromkeys(ada.NORMAL, 0.0)
SIDE = 32


@pytest.fixture(scope="module", autouse=True)
def float32():
    backend.set_up("float32", 1)


@pytest.fixture(scope="module")
def picture(astronaut) -> np.ndarray:
    """(SIDE, SIDE, 3) RGB in [-1, 1]: a face, smooth enough for linear interpolation."""
    face = cv2.GaussianBlur(astronaut[20:220, 120:320], (0, 0), 6)
    return cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 127.5 - 1


@pytest.fixture(scope="module")
def pictures(picture) -> np.ndarray:
    return np.stack([picture, picture[::-1], picture.transpose(1, 0, 2), -picture])


def augmented(pictures: np.ndarray, draws: np.ndarray, strength: float) -> np.ndarray:
    return ops.convert_to_numpy(ada.augmented(*map(ops.convert_to_tensor, (pictures, draws, strength))))


def only(picture: np.ndarray, switch: str, **drawn: float) -> np.ndarray:
    """The picture with one change alone."""
    row = NEVER | {switch: 0.0} | {name.replace("_", " "): value for name, value in drawn.items()}
    return augmented(picture[None], np.float32([[row[name] for name in NAMES]]), 0.5)[0]


def test_without_strength_pictures_are_exactly_what_they_were(pictures):
    for seed in range(8):
        np.testing.assert_array_equal(augmented(pictures, ada.chance(4, np.random.default_rng(seed)), 0.0), pictures)


def test_at_full_strength_every_picture_is_another(pictures):
    changed = augmented(pictures, ada.chance(4, np.random.default_rng(0)), 1.0)
    assert changed.shape == pictures.shape and np.isfinite(changed).all()
    assert np.abs(changed - pictures).mean((1, 2, 3)).min() > 0.05


def test_each_change_is_made_as_often_as_the_strength_says():
    draws = ada.chance(20_000, np.random.default_rng(0))
    places = [NAMES.index(name) for name in ada.SWITCHES]
    np.testing.assert_allclose((draws[:, places] < 0.3).mean(0), np.full(len(places), 0.3), atol=0.015)


def test_the_same_numbers_make_the_same_pictures(pictures):
    draws = [ada.chance(4, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    one, again, other = (augmented(pictures, each, 1.0) for each in draws)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 0.05


@pytest.mark.parametrize("switch, drawn, wanted", [
    ("flip", {"mirrored": 0.1}, lambda picture: picture[:, ::-1]),
    ("flip", {"mirrored": 0.9}, lambda picture: picture),
    ("quarter", {"quarters": 0.6}, lambda picture: picture[::-1, ::-1]),
    ("brightness", {"brighter": 1.0}, lambda picture: picture + 0.2),
    ("contrast", {"harder": 2.0}, lambda picture: picture * 2),
    ("negative", {"inverted": 0.1}, lambda picture: picture - 2 * picture.mean(-1, keepdims=True)),
    ("hue", {"tint": 0.5 + 1 / 3}, lambda picture: np.roll(picture, 1, -1)),
    ("saturation", {"richer": -40.0}, lambda picture: np.repeat(picture.mean(-1, keepdims=True), 3, -1))],
    ids=lambda value: value if isinstance(value, str) else "")
def test_one_change_is_what_its_name_says(picture, switch, drawn, wanted):
    np.testing.assert_allclose(only(picture, switch, **drawn), wanted(picture), atol=1e-4)


@pytest.mark.parametrize("quarters", [0.3, 0.8])
def test_a_quarter_turn_is_one(picture, quarters):
    turned = only(picture, "quarter", quarters=quarters)
    assert min(np.abs(turned - np.rot90(picture, times)).max() for times in (1, 3)) < 1e-4


def test_a_shift_is_by_whole_pixels_and_shows_the_mirror_image_at_the_border(picture):
    moved = only(picture, "shift", right=1.0, down=0.5)  # by an eighth of the side to the right
    np.testing.assert_allclose(moved[:, 4:], picture[:, :-4], atol=1e-6)
    np.testing.assert_allclose(moved[:, :4], picture[:, 4:0:-1], atol=1e-6)


@pytest.mark.parametrize("switch, drawn, matrix", [
    ("scale", {"larger": 2.0}, np.diag([2 ** 0.4, 2 ** 0.4])),
    ("stretch", {"longer": 2.0}, np.diag([2 ** 0.4, 2 ** -0.4])),
    ("turn", {"angle": 0.6}, None), ("turn again", {"other_angle": 0.6}, None)], ids=lambda value: value if isinstance(value, str) else "")
def test_pictures_are_moved_as_opencv_moves_them(picture, switch, drawn, matrix):
    middle = np.full(2, (SIDE - 1) / 2)
    angle = 0.2 * np.pi
    ways = [matrix] if matrix is not None else [np.array([[np.cos(angle), -sign * np.sin(angle)], [sign * np.sin(angle), np.cos(angle)]])
                                                for sign in (1, -1)]
    moved = only(picture, switch, **drawn)
    inner = (slice(8, 24), slice(8, 24))  # of what neither sees beyond the border
    apart = []
    for way in ways:
        shown = cv2.warpAffine(picture, np.column_stack([way, middle - way @ middle]), (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        apart.append(np.abs(shown - moved)[inner].max())
    assert min(apart) < 0.02


def test_the_gradient_reaches_the_pictures(pictures):
    """As the changes of colour and places are linear, the slope along a direction is the difference."""
    draws, direction = ada.chance(4, np.random.default_rng(1)), np.random.default_rng(2).standard_normal(pictures.shape, np.float32)
    weights = np.random.default_rng(3).standard_normal(pictures.shape, np.float32)
    slope = backend.gradient(lambda given: ops.sum(ada.augmented(given, ops.convert_to_tensor(draws), ops.convert_to_tensor(1.0)) * weights,
                                                   (1, 2, 3)), ops.convert_to_tensor(pictures))
    change = ((augmented(pictures + direction, draws, 1.0) - augmented(pictures, draws, 1.0)) * weights).sum()
    assert float(np.sum(ops.convert_to_numpy(slope) * direction)) == pytest.approx(float(change), rel=1e-3)


def test_the_strength_grows_while_the_discriminator_knows_the_pictures_and_falls_to_nothing_after():
    strength, sign = (keras.Variable(0.0, trainable=False) for _ in range(2))
    rows = []
    for now in [0.9] * 12 + [0.1] * 40:
        ada.adapt(strength, sign, now, 0.6, 16, 16 * 20)
        rows.append(float(strength))
    assert rows[0] == 0 and np.all(np.diff(rows[4:12]) > 0)
    assert np.diff(rows[4:12]) == pytest.approx(1 / 20, rel=1e-4), "in so many pictures from nothing to all"
    assert min(rows) == 0 and rows[-1] == 0
    for _ in range(60):
        ada.adapt(strength, sign, 1.0, 0.6, 16, 16 * 20)
    assert float(strength) == 1
