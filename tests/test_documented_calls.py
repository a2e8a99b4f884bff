"""The examples of docs/api.md run as they stand, one after the other, on two short clips of portraits.

Two small models of the tests stand in for those of the examples, under their names: plugins of a user's own come first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.media.pictures import picture_file

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = re.compile(r"^## (.*?)$|^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
STAND_INS = {"compact": "little", "eigenfaces": "eigenfaces"}  # what is asked for, and what is there in its place
LONGEST = 10  # lines of an example


def examples() -> list[tuple[str, str]]:
    """Heading and code of each."""
    heading, pairs = "", []
    for match in EXAMPLE.finditer((ROOT / "docs" / "api.md").read_text(encoding="utf-8")):
        heading = match[1] or heading
        if match[2]:
            pairs.append((heading, match[2]))
    return pairs


@pytest.fixture(scope="module")
def project(clips, face_folders, tmp_path_factory, astronaut, hopper, faceswap) -> Path:
    """A folder with all that the examples name."""
    folder = tmp_path_factory.mktemp("project")
    for name, clip in zip("ab", clips):
        shutil.copy(clip, folder / f"{name}.mp4")
    (folder / "plugins" / "models").mkdir(parents=True)
    for name, stand_in in STAND_INS.items():
        shutil.copy(ROOT / "tests" / "own_plugins" / "models" / f"{stand_in}.py", folder / "plugins" / "models" / f"{name}.py")
    (folder / "photos").mkdir()
    for name, picture in (("a", astronaut), ("b", hopper)):
        picture_file.write(folder / "photos" / f"{name}.png", picture[::4, ::4].copy())
    _train_cyclegan(folder, faceswap)
    _write_generator(folder, face_folders)
    return folder


def _train_cyclegan(folder: Path, faceswap) -> None:
    """The folder "cyclegan", a model that learnt next to nothing of pictures."""
    for name in "ab":
        (folder / f"kind_{name}").mkdir()
        picture = picture_file.read(folder / "photos" / f"{name}.png")
        for number in range(10):
            picture_file.write(folder / f"kind_{name}" / f"{number}.png", picture[2 * number:2 * number + 100].copy())
    small = {"size": 64, "width": 4, "discriminator-width": 4, "blocks": 1, "pool": 2}
    faceswap("train", "-A", folder / "kind_a", "-B", folder / "kind_b", "-m", folder / "cyclegan", "--whole-pictures", "-t", "cyclegan",
             "-i", 1, "--precision", "float32", *(part for name, value in small.items() for part in (f"--model.{name}", value)))


def _write_generator(folder: Path, face_folders: dict[str, Path]) -> None:
    """The folder "nobody", a generator that needs no training: it draws sums of principal components."""
    from lib.training.saved import checkpoint, model_folder
    from tests.own_plugins.models.eigenfaces import Eigenfaces

    networks = Eigenfaces().networks()
    (folder / "nobody").mkdir()
    model_folder.write_options(folder / "nobody", {"format": 1, "model": "eigenfaces", "options": {"latent": 6},
                                                 "faces": {"a": {"folders": [str(path) for path in face_folders.values()]}}})
    checkpoint.save(folder / "nobody", networks, {}, {}, checkpoint.State(7, 1.0))


@pytest.fixture(scope="module")
def output(project) -> str:
    """What the examples print, run in one process."""
    code = "\n".join(f"print('== {heading}')\n{code}" for heading, code in examples())
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True,
                          env=os.environ | {"FACESWAP_PLUGINS": str(project / "plugins"), "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_they_run(output, project):
    for heading, _ in examples():
        assert f"== {heading}\n" in output
    for name in ("out.mp4", "swapped.mp4", "report/report.html", "model/saves"):
        assert (project / name).exists(), name


@pytest.mark.parametrize("heading, code", examples(), ids=[heading for heading, _ in examples()])
def test_they_are_short(heading, code):
    assert len(code.splitlines()) <= LONGEST
