"""The aligner onnx: how networks of each kind are read, with small ones that are made here and OpenSeeFace's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.plugin import ALIGNERS, DETECTORS

SIDE = 64


@pytest.fixture
def describe(tmp_path, make_network):
    """`describe(nodes, "[landmarks] ...", constants)` -> the TOML file of a network made of `nodes`."""

    def make(nodes: list, landmarks: str, constants: dict | None = None, batch: int | None = None):
        make_network(tmp_path / "made.onnx", nodes, [batch, 3, SIDE, SIDE], constants or {})
        path = tmp_path / "made.toml"
        path.write_text(f'[network]\nfile = "made.onnx"\nsize = {SIDE}\n\n[landmarks]\n{landmarks}\n')
        return path

    return make


def points_of(count: int) -> str:
    """The network's points by turns."""
    return f"points = {[number % count for number in range(68)]}"


@pytest.fixture
def red_and_green():
    """A node that answers a picture with how red and how green it is: the place of one point."""
    from onnx import helper

    return [helper.make_node("ReduceMean", ["pictures"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("Slice", ["means", "from", "to", "axis"], ["answer"])], {
                "from": np.int64([0]), "to": np.int64([2]), "axis": np.int64([1])}


@pytest.mark.parametrize("unit, place", [("share", (0.2, 0.6)), ("centred", (0.6, 0.8)), ("pixels", (0.7 / SIDE, 1.1 / SIDE))])
def test_coordinates_in_each_unit_reach_the_frame(describe, red_and_green, unit, place):
    nodes, constants = red_and_green
    network = describe(nodes, f'crop = 2.0\nshift = [0.5, -0.25]\nkind = "xy"\nunit = "{unit}"\n{points_of(1)}', constants)
    image = np.empty((200, 300, 3), np.uint8)
    image[:] = (51, 153, 0)  # 0.2 and 0.6
    landmarks, = ALIGNERS.create("onnx", network=network).align([image], [np.float32([[100, 60, 140, 100]])])[0]
    # the network sees a square of 80 pixels around (140, 70), whose area begins half a pixel before the first pixel's centre
    assert np.abs(landmarks - (np.array(place) * 80 + (100, 30))).max() < 0.6
    assert np.ptp(landmarks, axis=0).max() == 0


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_heat_maps_are_found_to_a_fraction_of_a_cell(tmp_path, make_network, layout):
    """The colour channels, averaged over 4 x 4 pixels, are the heat maps: three spots in the picture are three points."""
    from onnx import helper

    nodes = [helper.make_node("AveragePool", ["first"], ["last"], kernel_shape=[4, 4], strides=[4, 4])]
    last = layout == "nhwc"
    nodes.insert(0, helper.make_node("Transpose", ["pictures"], ["first"], perm=[0, 3, 1, 2] if last else [0, 1, 2, 3]))
    nodes.append(helper.make_node("Transpose", ["last"], ["answer"], perm=[0, 2, 3, 1] if last else [0, 1, 2, 3]))
    make_network(tmp_path / "spots.onnx", nodes, [None, SIDE, SIDE, 3] if last else [None, 3, SIDE, SIDE], {})
    (tmp_path / "spots.toml").write_text(f'[network]\nfile = "spots.onnx"\nsize = {SIDE}\nlayout = "{layout}"\n\n[landmarks]\ncrop = 1.5\n'
                                         f'kind = "heatmaps"\n{points_of(3)}\n')
    spots = np.array([(90.0, 70.0), (121.0, 64.5), (103.3, 95.7)])
    y, x = np.mgrid[:160, :200]
    image = np.stack([255 * np.exp(-0.5 * ((x - left) ** 2 + (y - top) ** 2) / 64) for left, top in spots], axis=2).astype(np.uint8)
    landmarks, = ALIGNERS.create("onnx", network=tmp_path / "spots.toml").align([image], [np.float32([[80, 55, 130, 105]])])[0]
    assert np.abs(landmarks[:3] - spots).max() < 0.35  # a cell is 4.7 pixels of the frame


def test_all_boxes_of_a_picture_at_once_give_what_each_gives(openseeface, astronaut, hopper):
    image = np.hstack([astronaut, hopper[:512]])
    boxes = np.array([found.box for found in DETECTORS.create("hog").detect([image])[0]])
    assert len(boxes) == 2
    aligner = ALIGNERS.create("onnx", network=openseeface)
    together = aligner.align([image], [boxes])[0]
    assert np.abs(together - np.concatenate([aligner.align([image], [box[None]])[0] for box in boxes])).max() < 0.01
    assert np.array_equal(dataclasses.replace(aligner).align([image], [boxes])[0], together)  # as each thread gets its own


@pytest.mark.parametrize("landmarks, answer", [
    ('crop = 1.0\nkind = "heatmaps"', r"kind in \[landmarks\] is 'heatmaps', but its output has the shape \(N, 2\)"),
    ('crop = 1.0\nkind = "xy"', r"points in \[landmarks\] is missing: the network gives 1 points, not 68"),
    (f'crop = 1.0\nkind = "xy"\n{points_of(2)}', "points in .* names point 1, but the network gives 1, counted from 0"),
    ('crop = 1.0\nkind = "xy"\npoints = [1, 2]', "points in .* must be 68 entries"),
    (f'crop = 0\nkind = "xy"\n{points_of(1)}', "crop in .* must be .* a number over 0, not 0"),
    (f'kind = "xy"\n{points_of(1)}', r"\[landmarks\] lacks crop"),
    (f'crop = 1.0\nkind = "yx"\n{points_of(1)}', "kind in .* must be one of xy, heatmaps, heatmaps-offsets, not 'yx'"),
    (f'crop = 1.0\nkind = "xy"\nunits = "share"\n{points_of(1)}', r"there is no 'units' in \[landmarks\]. Did you mean 'unit'"),
])
def test_a_description_that_does_not_fit_names_file_and_key(describe, red_and_green, landmarks, answer):
    nodes, constants = red_and_green
    network = describe(nodes, landmarks, constants)
    with pytest.raises(FaceswapError, match=answer) as caught:
        ALIGNERS.create("onnx", network=network)
    assert str(network) in str(caught.value) and "\n" not in str(caught.value)
