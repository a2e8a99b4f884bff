"""Networks of users: fed as their description says, or refused in a line that names file and key."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.onnx.onnx_network import Network

ROOT = Path(__file__).resolve().parents[3]
SIDE = 16


@pytest.fixture
def network(tmp_path, make_network):
    """`network("size = 16\\n...", batch)` -> a Network that answers with the pictures that it was fed."""
    from onnx import helper

    def make(keys: str = f"size = {SIDE}", batch: int | None = None, shape: tuple = (3, SIDE, SIDE)) -> Network:
        make_network(tmp_path / "same.onnx", [helper.make_node("Identity", ["pictures"], ["answer"])], [batch, *shape], {})
        path = tmp_path / "same.toml"
        path.write_text(f'[network]\nfile = "same.onnx"\n{keys}\n')
        return Network(path)

    return make


@pytest.fixture
def pictures(astronaut) -> list[np.ndarray]:
    return [np.ascontiguousarray(astronaut[start:start + SIDE, 200:200 + SIDE]) for start in range(100, 170, 10)]


def test_pictures_come_as_rgb_from_0_to_1_by_default(network, pictures):
    assert np.allclose(network()(pictures), np.stack(pictures).transpose(0, 3, 1, 2) / 255, atol=1e-6)


def test_color_layout_scale_mean_and_deviation(network, pictures):
    fed = network(f'size = {SIDE}\nlayout = "nhwc"\ncolor = "bgr"\nscale = 1.0\nmean = [10, 20, 30]\nstd = [1, 2.5, 4]',
                  shape=(SIDE, SIDE, 3))(pictures)
    assert np.allclose(fed, (np.stack(pictures)[..., ::-1].astype(float) - (10, 20, 30)) / (1, 2.5, 4), atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_a_network_of_fixed_batch_gets_as_many_as_it_takes(network, pictures, batch):
    assert np.array_equal(network(batch=batch)(pictures), network()(pictures))


def test_a_crowd_goes_in_calls_of_bounded_size(tmp_path, make_network, pictures):
    """The network answers each picture with how many came with it."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Shape", ["pictures"], ["count"], start=0, end=1),
             helper.make_node("Cast", ["count"], ["number"], to=TensorProto.FLOAT),
             helper.make_node("ReduceMean", ["pictures"], ["means"], axes=[1, 2, 3]),
             helper.make_node("Mul", ["means", "zero"], ["nothing"]),
             helper.make_node("Add", ["nothing", "number"], ["answer"])]
    make_network(tmp_path / "count.onnx", nodes, [None, 3, SIDE, SIDE], {"zero": np.float32(0)})
    (tmp_path / "count.toml").write_text(f'[network]\nfile = "count.onnx"\nsize = {SIDE}\n')
    assert Network(tmp_path / "count.toml")(pictures * 6).ravel().tolist() == [16] * 32 + [10] * 10


def test_threads_may_share_a_network(network, pictures):
    shared = network()
    expected = shared(pictures)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(answer, expected) for answer in pool.map(lambda _: shared(pictures), range(16)))


def test_a_change_of_description_or_network_changes_the_digest(network):
    one, other = network().digest(), network(f"size = {SIDE}\nscale = 1.0").digest()
    again, batch = network().digest(), network(batch=2).digest()
    assert one == again and len({one, other, batch}) == 3


@pytest.mark.parametrize("keys, answer", [
    ("", r"\[network\] lacks size"),
    ("size = 4", r"size in \[network\] must be .* from 8 to 4096, not 4"),
    ("size = 16.0", "size in .* not 16.0"),
    ("size = true", "size in .* not True"),
    ("size = 32", r"size and layout in \[network\] make pictures of shape \(N, 3, 32, 32\), but .*same.onnx takes \(batch, 3, 16, 16\)"),
    ('size = 16\nlayout = "nhwc"', r"make pictures of shape \(N, 16, 16, 3\), but"),
    ('size = 16\ncolor = "rbg"', r"color in \[network\] must be one of rgb, bgr, not 'rbg'"),
    ("size = 16\nmean = [1, 2]", r"mean in \[network\] must be three numbers"),
    ("size = 16\nstd = [1, 0, 1]", r"std in \[network\] must be three numbers over 0"),
    ("size = 16\nscale = nan", r"scale in \[network\] must be a number"),
    ("size = 16\noutput = 1", r"output in \[network\] is 1, but the network has: 0 \(answer\)"),
    ('size = 16\noutput = "ansser"', r"output in \[network\] is 'ansser', but the network has: 0 \(answer\)"),
    ("size = 16\nsized = 16", r"there is no 'sized' in \[network\]. Did you mean 'size'"),
    ("size = = 16", "is not valid TOML"),
])
def test_what_does_not_fit_names_file_and_key(network, keys, answer):
    with pytest.raises(FaceswapError, match=answer) as caught:
        network(keys, batch="batch")
    assert "same.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_not_there_or_no_networks(tmp_path, make_network):
    path = tmp_path / "x.toml"
    with pytest.raises(FaceswapError, match="There is no file .*x.toml"):
        Network(path)
    path.write_text("[mask]\nface = [1]\n")
    with pytest.raises(FaceswapError, match=r"x.toml has no table \[network\]"):
        Network(path)
    path.write_text('[network]\nfile = "x.onnx"\nsize = 16\n')
    with pytest.raises(FaceswapError, match=r"x.toml: file in \[network\] names .*x.onnx, which does not exist"):
        Network(path)
    (tmp_path / "x.onnx").write_bytes(b"\x80\x04\x95 no network")
    with pytest.raises(FaceswapError, match="x.onnx is not a network that onnxruntime can load"):
        Network(path)
    with pytest.raises(FaceswapError, match="is not valid TOML.*Name the TOML file that describes it"):
        Network(tmp_path / "x.onnx")


def test_without_onnxruntime_it_says_what_to_install(tmp_path):
    """A module of that name which cannot be imported stands before it."""
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('No module named onnxruntime')\n")
    (tmp_path / "x.onnx").write_bytes(b"x")
    (tmp_path / "x.toml").write_text('[network]\nfile = "x.onnx"\nsize = 16\n')
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\nfrom pathlib import Path\nfrom lib.onnx.onnx_network import Network\n" \
           f"Network(Path({str(tmp_path / 'x.toml')!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "FaceswapError: ONNX networks need the package onnxruntime" in done.stderr and "pip install onnxruntime" in done.stderr
