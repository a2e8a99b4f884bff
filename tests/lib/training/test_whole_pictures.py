"""Whole pictures as training sees them."""

from __future__ import annotations

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.media.pictures import picture_file
from lib.training.batches.augmentation import NONE, Augmentation
from lib.training.batches.whole_pictures import Pictures, read_squares


@pytest.fixture
def folder(astronaut, hopper, tmp_path):
    """A square, a tall, and a wide picture, and what is none."""
    picture_file.write(tmp_path / "a.png", astronaut)
    picture_file.write(tmp_path / "b.jpg", hopper)
    picture_file.write(tmp_path / "c.png", astronaut[100:400])
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


def test_squares_are_the_middle_and_a_little_larger_than_what_is_seen(folder):
    squares = read_squares(folder, 64)
    assert [square.shape for square in squares] == [(72, 72, 3)] * 3, "64 of 72 as 256 of 286"
    wide = picture_file.read(folder / "c.png")
    np.testing.assert_allclose(squares[2].mean((0, 1)), wide[:, 106:406].mean((0, 1)), atol=2)


def test_without_augmentation_the_middle_is_seen_as_it_is(folder):
    squares = read_squares(folder, 64)
    seen = Pictures(squares, 64).batch(range(3), NONE, np.random.default_rng(0))
    for square, picture, target in zip(squares, seen.input, seen.target, strict=True):
        np.testing.assert_array_equal(picture, square[4:68, 4:68])
        np.testing.assert_array_equal(target, picture)


def test_augmentation_moves_the_window_about():
    across = np.broadcast_to(3 * np.arange(72, dtype=np.uint8), (72, 72))
    square = np.stack([across, across.T, across * 0], -1)  # says where each of its pixels is
    seen = Pictures([square], 64).batch([0] * 50, Augmentation(shift=4 / 64), np.random.default_rng(0)).target / 3
    left, top = seen[..., 0] - np.arange(64), seen[..., 1] - np.arange(64)[:, None]
    assert left.std((1, 2)).max() < 0.5 and top.std((1, 2)).max() < 0.5, "shifted, and no more"
    for moved in (left.mean((1, 2)), top.mean((1, 2))):
        assert 0 <= moved.min() < 1 and 7 < moved.max() <= 8, "from edge to edge, and not beyond"


@pytest.mark.parametrize("name, words", [("none", "none is no folder. --whole-pictures"), ("damaged", "x.png")])
def test_what_cannot_be_read_is_told(name, words, tmp_path):
    if name == "damaged":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n none")
    with pytest.raises(FaceswapError, match=words):
        read_squares(tmp_path / name, 64)
