"""Walks, directions, sheets, and the choice of new people: numbers alone."""

import numpy as np
import pytest

from lib.generating import directions, identities
from lib.generating.generator import z_of
from lib.generating.interpolation import loop
from lib.media.pictures import contact_sheet
from lib.plugin import Recognizer


class Plain(Recognizer):
    """Likeness is the cosine itself."""

    average, same, telling = np.zeros(3, np.float32), 0.57, 0.5

    def embed(self, faces):
        raise NotImplementedError


def test_a_seeds_z_does_not_depend_on_the_others():
    assert (z_of([3, 9], 8)[1] == z_of([9], 8)[0]).all() and not (z_of([3, 9], 8)[0] == z_of([9], 8)[0]).any()


def test_a_walk_meets_every_point_and_closes():
    points = np.random.default_rng(0).standard_normal((5, 4))
    way = loop(points, 500)
    assert np.allclose(way[::100], points)
    steps = np.linalg.norm(np.diff(way, axis=0, append=way[:1]), axis=1)
    turns = np.linalg.norm(np.diff(way, 2, axis=0), axis=1)
    assert steps.max() < 4 * steps.mean() and turns.max() < 0.1 * steps.max()  # nowhere a jump, nowhere a corner


def test_principal_directions_are_those_that_the_samples_were_made_of():
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.standard_normal((3, 3)))[0]
    found = directions.principal_directions(random.standard_normal((20_000, 3)) * [3, 2, 1] @ axes + 5)
    assert found.deviations == pytest.approx([3, 2, 1], rel=0.03)
    assert np.abs((found.vectors * axes).sum(1)) == pytest.approx(1, abs=0.01)
    assert (found.vectors[np.arange(3), np.abs(found.vectors).argmax(1)] > 0).all()


def test_an_edit_changes_its_layers_alone_and_by_so_many_deviations():
    found = directions.Directions(np.eye(3, dtype=np.float32), np.float32([3, 2, 1]))
    change = directions.edit_styles(np.ones((2, 4, 3), np.float32), found, 1, -1.5, slice(1, 3)) - 1
    assert (change[:, 1:3] == [0, -3, 0]).all() and not change[:, [0, 3]].any()


def test_new_people_are_unlike_the_known_and_each_other():
    known = np.float32([[1, 0, 0]])
    candidates = np.float32([[0.9, 0.4, 0], [0, 1, 0], [0, 0.98, 0.2], [0, 0, 1], [-0.05, -0.05, 0.05]])
    assert identities.choose_people(candidates, known, 5, Plain()) == [1, 3]  # the first is the known one, the third the second, the last says nothing


def test_varied_faces_are_the_farthest_from_each_other():
    assert identities.most_varied(np.array([[0.0], [0.1], [5.0], [2.4], [4.9]]), 3) == [0, 2, 3]


def test_a_grid_keeps_pixels_and_fills_up_with_white():
    tiles = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
    sheet = contact_sheet.grid(tiles, 2)
    assert (sheet[:4, 4:] == tiles[1]).all() and (sheet[4:, :4] == tiles[2]).all() and (sheet[4:, 4:] == 255).all()


def test_path_length_of_a_linear_map_is_the_mean_squared_length_of_its_steps():
    import keras

    from lib.generating.generator import Generator
    from lib.generating.measures import path_length

    styles, z = keras.Input((2, 3)), keras.Input((3,))
    pixels = keras.layers.Reshape((4, 4, 3))(keras.layers.Dense(48, use_bias=False)(keras.layers.Flatten()(styles)))
    generator = Generator("linear", keras.Model(z, z), keras.Model(styles, pixels), np.zeros(3, np.float32), 4, "whole")
    kernel = generator.synthesis.weights[0].numpy()
    both = (kernel[:3] + kernel[3:]) / 2  # of pictures in [0, 1]
    wanted = 2 * np.square(both).sum()  # the squared distance of two normal w along each axis is 2 on average
    assert path_length(generator, 200, lambda pictures: [pictures]) == pytest.approx(wanted, rel=0.3)
