"""`train` called from Python: progress is told, and a stop saves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.errors import FaceswapError, Stopped
from lib.jobs.train.run import TrainResult, train
from lib.jobs.train.settings import TrainSettings
from lib.plugin import MODELS
from lib.system.progress import Progress
from lib.training.saved import checkpoint

OWN_PLUGINS = Path(__file__).resolve().parents[2] / "own_plugins"


@pytest.fixture
def settings(face_folders, monkeypatch, tmp_path) -> TrainSettings:
    monkeypatch.setenv("FACESWAP_PLUGINS", str(OWN_PLUGINS))
    vars(MODELS).pop("_sources", None)  # they were listed without these
    yield TrainSettings(input_a=[face_folders["a"]], input_b=[face_folders["b"]], model_dir=tmp_path / "model", model="tiny",
                        precision="float32", seed=5, progress_minutes=0, exemplars=False)
    vars(MODELS).pop("_sources", None)


def test_progress_is_told_and_the_result_is_typed(settings):
    told: list[Progress] = []
    settings.iterations = 20
    result = train(settings, progress=told.append)
    assert told[-1] == Progress("train", 20, 20, "iteration")
    assert result == TrainResult(settings.model_dir, 20, result.seconds, interrupted=False, plateau=False, measures=None, measured_at=0,
                                 held_out=0, verdict=None)
    assert checkpoint.newest(settings.model_dir)[1].iteration == 20


def test_asked_to_stop_it_saves_first(settings):
    told: list[Progress] = []
    settings.save_minutes = 0.01
    with pytest.raises(Stopped):
        train(settings, progress=told.append, stop=lambda: [one.stage for one in told].count("train") == 2)
    told = [one for one in told if one.stage == "train"]
    stopped_at = told[-1].done
    assert stopped_at > told[0].done > 0 and told[-1].total is None
    assert checkpoint.newest(settings.model_dir)[1].iteration == stopped_at
    assert json.loads((settings.model_dir / "log.jsonl").read_text().splitlines()[-1])["iteration"] == stopped_at
    settings.iterations = stopped_at + 5
    assert train(settings).iteration == stopped_at + 5  # resumes


def test_mistakes_are_raised_to_the_caller(settings, tmp_path):
    settings.input_b = [tmp_path / "nobody"]
    with pytest.raises(FaceswapError, match="nobody does not exist"):
        train(settings)
