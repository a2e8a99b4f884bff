"""Plugins are found by file name: ours, the user's own, and those of installed packages."""

from __future__ import annotations

import os

import pytest

from lib.errors import FaceswapError, UsageError
from lib.plugin import REGISTRIES
from lib.registry import Registry

DETECTOR = '''
from dataclasses import dataclass
from lib.options import option
from lib.plugin import DETECTORS, Detector

@DETECTORS.register
@dataclass
class Whole(Detector):
    """Takes the whole picture for a face."""

    margin: float = option(0.1, "Share left out at each side.", low=0.0, high=0.4)

    def detect(self, images):
        return [[(self.margin, image)] for image in images]
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """`own("name", source)` puts a detector into the user's folder and returns a registry that sees it."""
    (tmp_path / "detectors").mkdir()
    monkeypatch.setenv("FACESWAP_PLUGINS", str(tmp_path))

    def write(name: str, source: str) -> Registry:
        (tmp_path / "detectors" / f"{name}.py").write_text(source)
        registry = Registry("detectors", "plugins.detectors")
        registry._classes = REGISTRIES["detectors"]._classes  # where the decorator puts them
        return registry

    return write


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_plugin_is_declared_under_its_file_name_with_a_summary(kind):
    registry = REGISTRIES[kind]
    for name in registry.names():
        declared = registry.declaration(name)
        assert declared.summary.endswith("."), f"{kind}/{name}.py: the docstring's first line is a sentence"
        assert len(declared.summary) < 200
        for item in declared.options:
            assert item.help, f"{kind}/{name}.py: option {item.name} has no help"


def test_unknown_name_is_answered_with_the_list_and_the_nearest():
    with pytest.raises(UsageError, match="There is no detector 'yunnet'. Did you mean 'yunet'.* There are: .*hog.*yunet"):
        REGISTRIES["detectors"].create("yunnet")


def test_options_are_checked_when_a_plugin_is_made():
    with pytest.raises(UsageError, match="--detector.upsample must be at least 0"):
        REGISTRIES["detectors"].create("hog", upsample=-1)


def test_a_plugin_of_the_users_own_works_like_ours(own):
    registry = own("whole", DETECTOR)
    assert "whole" in registry.names() and "hog" in registry.names()
    assert registry.declaration("whole").summary == "Takes the whole picture for a face."
    assert registry.create("whole", margin=0.3).detect(["picture"]) == [[(0.3, "picture")]]


def test_a_plugin_of_the_users_own_replaces_ours_of_the_same_name(own):
    assert own("hog", DETECTOR).declaration("hog").name == "Whole"


def test_listing_does_not_run_the_plugin(own):
    registry = own("loud", "raise SystemExit('imported')\n" + DETECTOR)
    assert "loud" in registry.names()
    assert registry.declaration("loud").options[0].name == "margin"


@pytest.mark.parametrize("source, answer", [
    ("import a_module_that_is_not_there\n" + DETECTOR, "No module named 'a_module_that_is_not_there'"),
    (DETECTOR + "\nprint(undefined)\n", r"broken.py, line \d+\) cannot be loaded: NameError: name 'undefined'"),
])
def test_a_broken_plugin_of_the_users_own_is_told_in_one_line(own, source, answer):
    with pytest.raises(FaceswapError, match=answer):
        own("broken", source).create("broken")


def test_a_file_without_a_plugin_is_told(own):
    with pytest.raises(FaceswapError, match="empty.py registers no detector: decorate its class with @DETECTORS.register"):
        own("empty", "x = 1\n").declaration("empty")


def test_a_file_that_is_not_python_is_told(own):
    with pytest.raises(FaceswapError, match="Cannot read .*odd.py"):
        own("odd", "def :\n").declaration("odd")


def test_a_folder_that_does_not_exist_is_told(monkeypatch):
    monkeypatch.setenv("FACESWAP_PLUGINS", "/nowhere/at/all")
    with pytest.raises(UsageError, match="FACESWAP_PLUGINS names /nowhere/at/all, which is not a folder"):
        Registry("detectors", "plugins.detectors").names()


def test_entry_points_of_installed_packages_are_plugins(tmp_path, monkeypatch):
    package = tmp_path / "faces_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "whole.py").write_text(DETECTOR)
    info = tmp_path / "faces_of_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faces-of-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[faceswap.detectors]\nwhole = faces_of_mine.whole\ngone = faces_of_mine.gone\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry("detectors", "plugins.detectors")
    registry._classes = REGISTRIES["detectors"]._classes
    assert "whole" in registry.names()
    assert "gone" not in registry.names()  # a broken package does not take all commands with it
    assert registry.create("whole", margin=0.2).margin == 0.2


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
@pytest.mark.parametrize("name, place", [("open_file", "detectors/open_file.py"), ("open_kind", "detectors"), ("open_root", ".")])
def test_code_that_anybody_may_replace_is_warned_of_in_a_line(own, tmp_path, caplog, name, place):  # each is imported once in a process
    registry = own(name, DETECTOR)
    (tmp_path / place).chmod(0o777)
    registry.load(name)
    warned, = caplog.records
    assert f"may write to {tmp_path / place}," in warned.getMessage() and "chmod o-w" in warned.getMessage()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_plugin_folder_of_the_user_s_or_a_group_s_is_not_warned_of(own, tmp_path, caplog):
    registry = own("shared", DETECTOR)
    for place in (tmp_path, tmp_path / "detectors", tmp_path / "detectors" / "shared.py"):
        place.chmod(0o775)
    registry.load("shared")
    assert not caplog.records
