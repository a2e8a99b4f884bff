"""Swapped faces are drawn anew by a network of a user's own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.swapping.enhance import Enhanced, Enhancer


@pytest.fixture(scope="module")
def described(make_network, tmp_path_factory):
    """`described(values, color, layout, channels)`: the TOML file of a network that draws 64 pixels as 128, and red half as bright."""
    from onnx import helper

    def make(values: str = "unit", color: str = "rgb", channels: int = 3, table: str = "picture") -> Path:
        folder = tmp_path_factory.mktemp("clear")
        low, high = {"unit": (0, 1), "signed": (-1, 1), "bytes": (0, 255)}[values]
        factor = np.ones((1, channels, 1, 1), np.float32)
        factor[0, 0 if color == "rgb" else 2] = 0.5
        nodes = [helper.make_node("Resize", ["pictures", "", "scales"], ["large"], mode="nearest"),
                 helper.make_node("Mul", ["large" if channels == 3 else "one", "factor"], ["darker"]),
                 helper.make_node("Mul", ["darker", "range"], ["ranged"]), helper.make_node("Add", ["ranged", "low"], ["answer"])]
        if channels == 1:
            nodes.insert(1, helper.make_node("ReduceMean", ["large"], ["one"], axes=[1]))
        constants = {"scales": np.float32([1, 1, 2, 2]), "factor": factor, "range": np.float32([high - low]), "low": np.float32([low])}
        make_network(folder / "clear.onnx", nodes, [None, 3, 64, 64], constants)
        described = f'[network]\nfile = "clear.onnx"\nsize = 64\ncolor = "{color}"\n\n[{table}]\nvalues = "{values}"\n'
        (folder / "clear.toml").write_text(described)
        return folder / "clear.toml"

    return make


@pytest.fixture(scope="module")
def faces(astronaut, hopper) -> np.ndarray:
    return np.stack([cv2.resize(image[60:220, 170:330], (64, 64), interpolation=cv2.INTER_AREA) for image in (astronaut, hopper)]
                    ) / np.float32(255)


@pytest.mark.parametrize("values, color", [("unit", "rgb"), ("signed", "rgb"), ("bytes", "bgr")])
def test_what_the_network_answers_is_taken_as_described(described, faces, values, color):
    enhancer = Enhancer(described(values, color))
    assert enhancer.drawn == 128
    for given in (faces, faces.repeat(2, 1).repeat(2, 2)):  # it sees 64 pixels, whatever is drawn
        drawn = enhancer(given)
        assert drawn.shape == (2, 128, 128, 3) and drawn.dtype == np.float32
        np.testing.assert_allclose(drawn, (faces * np.float32([0.5, 1, 1])).repeat(2, 1).repeat(2, 2), atol=0.004)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_a_swapped_face_is_drawn_anew_as_strongly_as_is_wished(described, faces, strength):
    class Model:
        size, drawn, coverage = 32, 64, "whole"

        def __call__(self, given):
            return faces[:len(given)], np.full((len(given), 64, 64, 1), 0.7, np.float32)

    enhanced = Enhanced(Model(), Enhancer(described()), strength)
    assert (enhanced.size, enhanced.drawn, enhanced.coverage) == (32, 128, "whole")
    images, masks = enhanced(np.zeros((2, 32, 32, 3), np.float32))
    assert images.shape == (2, 128, 128, 3) and masks.shape == (2, 128, 128, 1) and masks.min() == pytest.approx(0.7)
    means = faces.mean((1, 2))
    np.testing.assert_allclose(images.mean((1, 2)), means * np.float32([1 - strength / 2, 1, 1]), atol=0.006)


@pytest.mark.parametrize("options, words", [({"channels": 1}, "a square picture in three colours, but the network's output has the shape"),
                                            ({"table": "pictures"}, r"has no table \[picture\]")])
def test_a_network_for_something_else_is_refused(described, options, words):
    with pytest.raises(FaceswapError, match=words):
        Enhancer(described(**options))
