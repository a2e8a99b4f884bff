"""The plugins of docs/plugins.md, as they stand there, work in the commands that they are for."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from lib.media.pictures import picture_file
from lib.plugin import REGISTRIES

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXAMPLES = dict(EXAMPLE.findall((ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")))
LONGEST = 40  # lines of an example, imports and blank ones included
COUNT = 10  # pictures of each person: fewer are refused


@pytest.fixture(scope="module")
def documented(make_network, tmp_path_factory) -> dict[str, str]:
    """What to give to `faceswap(...)` so that it finds them."""
    folder = tmp_path_factory.mktemp("documented")
    for name, code in EXAMPLES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code, encoding="utf-8")
    _write_network(make_network, folder / "recognizers" / "arcface.onnx")
    return {"FACESWAP_PLUGINS": str(folder)}


def _write_network(make_network, path: Path) -> None:
    """Stands in for an ArcFace network: 512 numbers, means of blocks of the picture through fixed weights."""
    from onnx import helper

    nodes = [helper.make_node("AveragePool", ["pictures"], ["pooled"], kernel_shape=[14, 14], strides=[14, 14]),
             helper.make_node("Flatten", ["pooled"], ["flat"]),
             helper.make_node("MatMul", ["flat", "weights"], ["answer"])]
    weights = np.random.default_rng(1).standard_normal((3 * 8 * 8, 512)).astype(np.float32)
    make_network(path, nodes, [1, 3, 112, 112], {"weights": weights})


@pytest.fixture(scope="module")
def portraits(tmp_path_factory, astronaut, hopper) -> Path:
    folder = tmp_path_factory.mktemp("portraits")
    for name, picture in (("a", astronaut), ("b", hopper)):
        (folder / name).mkdir()
        for shift in range(COUNT):
            picture_file.write(folder / name / f"{shift}.png", np.roll(picture, 3 * shift, axis=1))
    return folder


@pytest.fixture(scope="module")
def extracted(portraits, faceswap, documented) -> Path:
    for name in "ab":
        faceswap("extract", "-i", portraits / name, "-o", portraits / f"faces_{name}", "-D", "mirrored", "-A", "bright",
                 "-M", "ellipse", "--people", "--recognizer", "arcface", **documented)
    return portraits


def test_there_is_one_of_each_kind():
    assert {name.partition("/")[0] for name in EXAMPLES} == set(REGISTRIES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_they_are_short(name):
    assert len(EXAMPLES[name].splitlines()) <= LONGEST


@pytest.mark.parametrize("name", EXAMPLES)
def test_they_are_listed_with_their_options(faceswap, documented, name):
    kind, _, file = name.partition("/")
    shown = faceswap("plugins", kind, Path(file).stem, **documented).stdout
    assert re.search(r'"""(.*?)\W*"""', EXAMPLES[name], re.DOTALL)[1].split("\n")[0][:40] in shown


def test_extract_uses_them(extracted):
    for name in "ab":
        assert len(list((extracted / f"faces_{name}").glob("*.png"))) == COUNT


def test_the_augmentation_is_equal_on_host_and_device(documented, astronaut):
    spec = importlib.util.spec_from_file_location("documented_grey", Path(documented["FACESWAP_PLUGINS"]) / "augmentations" / "grey.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    grey = module.Grey(strength=1.0)
    pictures = np.stack([astronaut[:64, 200:264], astronaut[300:364, 100:164]])
    share = grey.draw("share", len(pictures), 64, np.random.default_rng(1))
    host = [grey.on_host(picture, {"share": row}) for picture, row in zip(pictures, share)]
    device = np.asarray(grey.on_device(pictures.astype(np.float32), {"share": share}))
    assert np.abs(device - host).max() <= 1 and (np.stack(host) != pictures).any()


def test_train_and_convert_use_them(extracted, faceswap, documented, tmp_path):
    faceswap("train", "-A", extracted / "faces_a", "-B", extracted / "faces_b", "-m", tmp_path / "model", "-i", 3, "-t", "small",
             "--loss", "robust=1", "--augmentation", "grey", "--augmentation.strength", 0.7, "--optimizer", "momentum", "--schedule", "triangle", "--progress-minutes", 0, "--recognizer", "arcface", **documented)
    faceswap("convert", "-i", extracted / "a", "-o", tmp_path / "out", "-m", tmp_path / "model", "-c", "warm", "-b", "sharp",
             "-M", "ellipse", "-w", "before_after", "--no-provenance", **documented)
    pictures = [picture_file.read(path) for path in sorted((tmp_path / "out").glob("*.png"))]
    assert len(pictures) == COUNT
    for picture in pictures:
        before, after = np.split(picture, 2, axis=1)
        assert before.shape == after.shape and (before != after).any()
