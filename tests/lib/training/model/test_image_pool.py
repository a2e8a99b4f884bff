"""The pool of pictures of before, on every backend that is installed."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from lib.nn import backend
from lib.training.model import image_pool

from tests.backends import answer_of  # isort: skip

LENGTH, SIZE = 10, 4


def pictures_of(numbers) -> np.ndarray:
    """One for each number up to 255, which it shows in every pixel."""
    return np.broadcast_to(np.float32(numbers)[:, None, None, None] / 127.5 - 1, (len(numbers), SIZE, SIZE, 3))


def numbers_of(pictures) -> list[int]:
    values = (np.asarray(pictures) + 1) * 127.5
    assert np.ptp(values, (1, 2, 3)).max() < 1e-3, "a picture is whole"
    return np.rint(values[:, 0, 0, 0]).astype(int).tolist()


def shown(batch: int, count: int, seed: int = 0) -> list[list[int]]:
    """What the pool gives for pictures 1, 2, 3 ... `count`, so many at a time."""
    from keras import ops

    images, random, found = image_pool.ImagePool(LENGTH, SIZE, "pool"), np.random.default_rng(seed), []
    for first in range(1, count + 1, batch):
        given = pictures_of(range(first, first + batch))
        found.append(numbers_of(ops.convert_to_numpy(images.exchanged(ops.convert_to_tensor(given), *image_pool.chance(LENGTH, batch, random)))))
    return found


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_until_it_is_full_all_come_back(batch):
    given = [number for numbers in shown(batch, 32) for number in numbers]
    assert given[:LENGTH] == list(range(1, LENGTH + 1))
    assert given != list(range(1, 33))


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_then_half_are_of_before_and_none_was_not_put_in(batch):
    later = [(number, first) for number, first in zip(np.ravel(shown(batch, 240)), range(1, 241)) if first > LENGTH + batch]
    assert all(1 <= number <= first for number, first in later)
    old = np.mean([number < first - first % batch if batch > 1 else number < first for number, first in later])
    assert 0.4 < old < 0.6, "of 224 or more, chance alone makes 0.1 of difference one time in 400"


def test_a_picture_lasts_about_twice_as_many_iterations_as_the_pool_is_long():
    ages = [first - number for first, (number,) in enumerate(shown(1, 250), 1) if number < first]
    assert LENGTH < np.mean(ages) < 3 * LENGTH


def test_two_that_draw_one_place_leave_a_picture_that_was_put_in():
    """In a batch that fills the pool, too."""
    images = image_pool.ImagePool(3, SIZE, "pool")
    everyone = np.ones(4, bool)
    assert numbers_of(images.exchanged(pictures_of([1, 2]), everyone[:2], np.int32([0, 1]))) == [1, 2]
    assert numbers_of(images.exchanged(pictures_of([3, 4, 5, 6]), everyone, np.int32([2, 2, 0, 0]))) == [3, 4, 1, 1]
    held = images.pictures.numpy()[:, 0, 0, 0].tolist()
    assert held[1:] == [2, 3] and held[0] in (5, 6)


def test_saved_and_loaded_it_goes_on(tmp_path):
    images, again = (image_pool.ImagePool(LENGTH, SIZE, "pool") for _ in range(2))
    images.exchanged(pictures_of(range(1, 8)), *image_pool.chance(LENGTH, 7, np.random.default_rng(0)))
    images.save_weights(tmp_path / "pool.weights.h5")
    again.load_weights(tmp_path / "pool.weights.h5")
    assert int(again.filled) == 7
    for each in (images, again):
        assert numbers_of(each.exchanged(pictures_of([8, 9, 10, 11]), np.ones(4, bool), np.int32([0, 0, 0, 5]))) == [8, 9, 10, 6]


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_other_backends_show_the_same(name):
    assert answer_of(__file__, name, {}) == [shown(batch, 48) for batch in (1, 4, 16)]


if __name__ == "__main__":
    backend.set_up("float32", 1)
    assert json.loads(sys.argv[1]) == {}
    print(json.dumps([shown(batch, 48) for batch in (1, 4, 16)]))
