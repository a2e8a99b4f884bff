"""Networks that take all of the memory, or never end, are told in a line."""

import _thread
import threading

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.onnx import onnx_network, runtime
from lib.onnx.onnx_network import Network

SIDE = 16
BLACK = [np.zeros((SIDE, SIDE, 3), np.uint8)]

pytest.importorskip("onnxruntime")


@pytest.fixture
def network(tmp_path, make_network):
    """`network(nodes, constants)` -> a Network of these nodes, from "pictures" to "answer"."""

    def make(nodes, constants, batch=1) -> Network:
        make_network(tmp_path / "x.onnx", nodes, [batch, 3, SIDE, SIDE], constants)
        (tmp_path / "x.toml").write_text(f'[network]\nfile = "x.onnx"\nsize = {SIDE}\n')
        return Network(tmp_path / "x.toml")

    return make


def summed(*nodes) -> list:
    """Nodes that make "large", whose sum is added to the pictures."""
    from onnx import helper

    return [
        *nodes,
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["pictures", "sum"], ["answer"]),
    ]


def endless():
    from onnx import TensorProto, helper

    values = {
        "number": (TensorProto.INT64, []),
        "go": (TensorProto.BOOL, []),
        "x": (TensorProto.FLOAT, None),
        "on": (TensorProto.BOOL, []),
        "y": (TensorProto.FLOAT, None),
    }
    given = {name: helper.make_tensor_value_info(name, *kind) for name, kind in values.items()}
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["x"], ["y"])],
        "body",
        [given[name] for name in ("number", "go", "x")],
        [given[name] for name in ("on", "y")],
    )
    return [helper.make_node("Loop", ["times", "true", "pictures"], ["answer"], body=body)]


FOREVER = {"times": np.int64(1 << 62), "true": np.bool_(True)}


def test_tensors_beyond_the_memory(network):
    from onnx import helper

    cases = {
        "ConstantOfShape": (
            summed(helper.make_node("ConstantOfShape", ["shape"], ["large"])),
            {"shape": np.array([1600, 1000, 1000], np.int64)},
        ),
        "Resize": (
            summed(helper.make_node("Resize", ["pictures", "", "scales"], ["large"], mode="nearest")),
            {"scales": np.array([1, 1, 1500, 1500], np.float32)},
        ),
    }
    for nodes, constants in cases.values():
        with pytest.raises(FaceswapError, match="takes more than 1.5 GB of memory"):
            network(nodes, constants)(BLACK)


def test_a_crowd_that_does_not_fit_is_looked_at_a_few_at_a_time(network):
    from onnx import helper

    nodes = summed(helper.make_node("Resize", ["pictures", "", "scales"], ["large"], mode="nearest"))
    made = network(nodes, {"scales": np.array([1, 1, 300, 300], np.float32)}, batch="N")  # 276 MB each
    assert made(BLACK * 12).shape == (12, 3, SIDE, SIDE) and made._most < 12


def test_constants_that_take_for_ever_are_found_before_they_are_computed_here(network, monkeypatch):
    from onnx import helper

    monkeypatch.setattr(runtime, "LOADING", 1.0)
    nodes = summed(
        helper.make_node("Expand", ["one", "shape"], ["wide"]), helper.make_node("MatMul", ["wide", "wide"], ["large"])
    )
    with pytest.raises(FaceswapError, match="too much time or memory to load"):
        network(nodes, {"one": np.ones(1, np.float32), "shape": np.array([9000, 9000], np.int64)})


def test_a_loop_without_an_end_has_a_limit(network, monkeypatch):
    monkeypatch.setattr(onnx_network, "LOOPING", 0.2)
    with pytest.raises(FaceswapError, match="takes more than 0.2 seconds"):
        network(endless(), FOREVER)(BLACK)


def test_ctrl_c_ends_a_network(network):
    made = network(endless(), FOREVER)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        made(BLACK)
    timer.join()


def test_a_batch_beyond_the_memory(network):
    from onnx import helper

    with pytest.raises(FaceswapError, match="pictures at once"):
        network([helper.make_node("Identity", ["pictures"], ["answer"])], {}, batch=1 << 40)


def test_a_file_name_of_any_length(tmp_path):
    (tmp_path / "x.toml").write_text(f'[network]\nfile = "{"x" * 5000}"\nsize = 16\n')
    with pytest.raises(FaceswapError, match=r"file in \[network\] names"):
        Network(tmp_path / "x.toml")


@pytest.mark.parametrize(
    "text, words",
    [
        ("a" + ".a" * 100_000 + " = 1", "dots"),
        ("size = 1" + "0" * 400, "64 bits"),
        ("size = " + "[" * 9999, "deep"),
        ("scale = 1" + "0" * 400 + ".0", "scale"),
    ],
    ids=lambda value: value[:8],
)
def test_a_description_that_goes_beyond_the_limits(tmp_path, text, words):
    (tmp_path / "x.toml").write_text(f'[network]\nfile = "x.onnx"\n{text}\n' + "size = 16\n" * ("size" not in text))
    with pytest.raises(FaceswapError, match=words):
        Network(tmp_path / "x.toml")
