"""A recognizer of a user's own, with 512 numbers: every command asks it, and no embedding of another is taken for its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lib.alignments.store import AlignmentStore, default_store
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file

WIDE = ("--recognizer", "wide")


@pytest.fixture
def couple(clips, tmp_path) -> Path:
    """A folder of one picture with two people, beside a photo of the one on the left."""
    left, right = (next(iter(open_source(path))).image for path in clips)
    picture_file.write(tmp_path / "left.png", left)
    (tmp_path / "couple").mkdir()
    picture_file.write(tmp_path / "couple" / "couple.png", np.hstack([left, right]))
    return tmp_path / "couple"


def numbers(folder: Path, recognizer: str) -> list[int]:
    with AlignmentStore.open(default_store(folder), read_only=True) as store:
        return [len(embedding) for _, _, embedding in store.embeddings(recognizer)]


def test_extract_embeds_anew_with_another_recognizer(couple, faceswap, own_plugins):
    for recognizer, other, count in ("dlib_resnet", "wide", 128), ("wide", "dlib_resnet", 512), ("dlib_resnet", "wide", 128):
        said = faceswap("extract", "-i", couple, "-D", "hog", "--people", "--recognizer", recognizer, **own_plugins).stderr
        assert "2 people" in said and numbers(couple, recognizer) == [count] * 2 and not numbers(couple, other)
    said = faceswap("extract", "-i", couple, "-D", "hog", "-f", couple.parent / "left.png", *WIDE, **own_plugins).stderr
    assert "Found 1 face" in said and numbers(couple, "wide") == [512] * 2


def test_sort_asks_it(face_folders, faceswap, own_plugins, tmp_path):
    (tmp_path / "faces").mkdir()
    for identity in "ab":
        for path in sorted(face_folders[identity].glob("*.png"))[:3]:
            (tmp_path / "faces" / f"{identity}_{path.name}").write_bytes(path.read_bytes())
    faceswap("sort", "-i", tmp_path / "faces", "-o", tmp_path / "sorted", "--by", "identity", "--group", 2, *WIDE, **own_plugins)
    groups = [{file.name.partition("_")[2][:1] for file in folder.iterdir()} for folder in (tmp_path / "sorted").iterdir()]
    assert len(groups) == 2 and all(len(list(folder.iterdir())) == 3 for folder in (tmp_path / "sorted").iterdir())


def test_a_model_knows_which_recognizer_describes_its_people(couple, face_folders, clips, faceswap, own_plugins, tmp_path):
    model = tmp_path / "model"

    def trained(*more) -> list[int]:
        faceswap("train", "-A", face_folders["a"], "-B", face_folders["b"], "-t", "tiny", "-m", model, *more, **own_plugins)
        return [len(mean) for mean in json.loads((model / "identities.json").read_text()).values()]

    assert trained("-i", 1, *WIDE) == [512] * 2 and trained("-i", 2) == [512] * 2
    for arguments in ("--faces", "nearest-a"), ("-f", couple.parent / "left.png", *WIDE):
        faceswap("convert", "-i", couple, "-o", tmp_path / "out", "-m", model, "-D", "hog", *arguments, **own_plugins)
        changed = (picture_file.read(tmp_path / "out" / "couple.png") != picture_file.read(couple / "couple.png")).any(-1)
        assert changed[:, :256].any() and not changed[:, 256:].any()
    assert numbers(couple, "wide") == [512] * 2
    assert trained("-i", 3, "--recognizer", "dlib_resnet") == [128] * 2
