"""`convert` and its preview as calls from Python: stopped by the caller, resumed, with typed results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lib.errors import Stopped, UsageError
from lib.jobs.convert.job import convert
from lib.jobs.convert.preview import preview
from lib.jobs.convert.settings import ConvertSettings
from lib.media.pictures import picture_file
from lib.plugin import MODELS
from lib.system.progress import Progress


@pytest.fixture
def settings(tiny_swap, clips, own_plugins, monkeypatch, tmp_path) -> ConvertSettings:
    for name, value in own_plugins.items():
        monkeypatch.setenv(name, value)
    vars(MODELS).pop("_sources", None)  # they were listed without these
    clip = Path(shutil.copy(clips[0], tmp_path / "clip.mp4"))
    yield ConvertSettings(input=clip, output=tmp_path / "out", writer="images", detector="hog",
                          model_dir=tiny_swap / "out.faceswap" / "model")
    vars(MODELS).pop("_sources", None)


def test_a_stopped_call_keeps_its_frames_for_the_next(settings):
    reports: list[Progress] = []

    def converted() -> list[Progress]:
        return [report for report in reports if report.stage == "convert"]

    with pytest.raises(Stopped):
        convert(settings, progress=reports.append, stop=lambda: len(converted()) == 5)
    result = convert(settings)
    assert result.frames + result.reused == 16 and result.reused >= 4 and not result.failures
    assert result.frames_swapped == result.frames and len(list(settings.output.glob("*.png"))) == 16
    again = convert(settings)
    assert again.complete_before and again.frames == 0 and again.reused == 16


def test_a_preview_is_a_call_of_its_own(settings):
    settings.preview = 2
    with pytest.raises(UsageError, match="call `preview`"):
        convert(settings)
    result = preview(settings)
    assert result.frames == 2 and picture_file.read(result.sheet).shape[1] == 2 * 320
