"""The line-up: pictures to be told real or swapped by eye."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.evaluation import lineup
from lib.media.endpoints.sample_clips import MovingCamera, astronaut
from lib.media.pictures import picture_file
from lib.types import Detection, Face, Frame

LANDMARKS = np.random.default_rng(0).uniform(90, 170, (68, 2)).astype(np.float32)


class Dark(MovingCamera):
    """The same clip, swapped: every frame darker."""

    def frames(self, start=0, stop=None):
        for frame in super().frames(start, stop):
            yield Frame(frame.index, frame.image // 4, time=frame.time)


@pytest.fixture(scope="module")
def clips():
    return [kind(astronaut(), seconds=1.2, side=256) for kind in (MovingCamera, Dark)]


def faces_of(index: int) -> list[Face]:
    return [Face(Detection(np.float32([80, 80, 180, 180]), 1.0), LANDMARKS)]


def test_half_of_twenty_pictures_are_swapped_and_the_key_lies_apart(clips, tmp_path):
    made = lineup.write(tmp_path / "test", *clips, faces_of, range(30), seed=3)
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == [f"{number:02d}.png" for number in range(1, 21)]
    rows = json.loads(made.key.read_text())
    assert made.key.parent == tmp_path and sum(row["swapped"] for row in rows) == 10
    means = {row["swapped"]: [] for row in rows}
    for row in rows:
        means[row["swapped"]].append(picture_file.read(tmp_path / "test" / row["picture"]).mean())
    assert max(means[True]) < min(means[False]), "the key says which are which"
    assert len({row["frame"] for row in rows}) == 20


def test_a_seed_draws_the_same_lots(clips, tmp_path):
    first, second, other = (json.loads(lineup.write(tmp_path / str(number), *clips, faces_of, range(30), seed).key.read_text())
                            for number, seed in enumerate((3, 3, 4)))
    assert first == second != other


def test_a_folder_that_is_there_is_left_alone(clips, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "01.png").write_text("mine")
    with pytest.raises(FaceswapError, match="--line-up"):
        lineup.write(tmp_path / "mine", *clips, faces_of, range(30))
    assert (tmp_path / "mine" / "01.png").read_text() == "mine"


def test_too_few_frames_are_told(tmp_path):
    with pytest.raises(FaceswapError, match="5 frames; a line-up takes 20"):
        lineup.write(tmp_path / "test", SimpleNamespace(path="a.mp4"), None, faces_of, range(5))
