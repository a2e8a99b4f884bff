"""Masks that a store has, laid over other crops than those on which they were made."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.masking import Everything, MaskedFace, StoredMask, masks_of_files, usable
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError
from lib.faces.geometry import crop
from lib.facesets.face_file import read_face
from lib.facesets.folder import FaceFolder, list_faces
from lib.jobs.shared.compositing import maskers_of
from lib.media.endpoints.source import open_source
from lib.plugin import ALIGNERS, DETECTORS, MASKERS


@pytest.fixture(scope="module")
def clip(clips, tmp_path_factory) -> Path:
    """A clip, searched, with masks `hull` a little larger than by default, and its faces in the folder "faces" beside it."""
    path = Path(shutil.copy(clips[0], tmp_path_factory.mktemp("masked") / "clip.mp4"))
    with AlignmentStore.open(default_store(path)) as store:
        extract_faces(open_source(path), store, ExtractionSetup(lambda: DETECTORS.create("hog"), lambda: ALIGNERS.create("dlib68"),
                sink=FaceFolder(path.with_name("faces")), maskers=[MASKERS.create("hull", dilation=0.1)], coverage="head"))
    return path


@pytest.mark.parametrize("size, coverage", [(256, "whole"), (300, "full"), (512, "head"), (64, "half")])
def test_a_stored_mask_lies_where_its_masker_would_put_it(clip, size, coverage):
    masker = MASKERS.create("hull", dilation=0.1)
    with AlignmentStore.open(default_store(clip), read_only=True) as store:
        for frame in open_source(clip).frames(0, 3):
            stored, = store.faces(frame.index)
            assert stored.raw is not None, "the landmarks are smoothed, the masks lie by those before"
            laid = StoredMask("hull").mask(crop(frame.image, MaskedFace.of(stored), size, coverage))
            own = masker.mask(crop(frame.image, stored.fitted, size, coverage))
            assert laid.shape == own.shape == (size, size, 1) and laid.dtype == np.float32
            assert ((laid > 0.5) != (own > 0.5)).mean() < 0.02 and 0.1 < own.mean()


def test_masks_of_landmarks_alone_are_made_anew_unless_they_were_made_otherwise(clip, tmp_path):
    with AlignmentStore.open(default_store(clip), read_only=True) as store:
        assert usable("hull", store) == StoredMask("hull")
        assert usable("extended", store) == MASKERS.create("extended") and usable("hull", None) == MASKERS.create("hull")
    with AlignmentStore.open(tmp_path / "other.db") as store:
        store.update_settings({"maskers": {"hull": MASKERS.create("hull").made_with(), "onnx": {"network": "x.toml"}}})
        assert usable("hull", store) == MASKERS.create("hull") and usable("onnx", store) == StoredMask("onnx")


@pytest.mark.parametrize("mask, maskers, predicted", [
    ("auto", ["hull"], True), ("predicted*hull", ["hull"], True), ("predicted", [], True), ("hull", ["hull"], False),
    ("auto*extended", ["extended", "hull"], True)])
def test_what_convert_makes_of_the_names_of_masks(mask, maskers, predicted):
    assert maskers_of(mask) == ([MASKERS.create(name) for name in maskers], predicted)


def test_imported_masks_may_be_missing(tmp_path):
    hull = MASKERS.create("hull")
    with AlignmentStore.open(tmp_path / "x.db") as store:
        store.add_painted("hand", [(0, 0, np.ones((128, 128, 1), np.float32))])
        store.add_painted("occlusion", [(0, 0, np.ones((128, 128, 1), np.float32))])
    hand, occlusion = StoredMask("hand", Everything()), StoredMask("occlusion", Everything())
    assert maskers_of("hull*hand", tmp_path / "x.db") == ([hull, hand], False)
    assert maskers_of("hand", tmp_path / "x.db") == ([StoredMask("hand", hull)], False)
    assert maskers_of("occlusion", tmp_path / "x.db") == ([occlusion, hull], False)
    assert maskers_of("auto", tmp_path / "x.db") == ([hull, occlusion], True)
    assert maskers_of("predicted*hull", tmp_path / "x.db") == ([hull], True)
    assert occlusion.tells_covers and not hand.tells_covers
    with pytest.raises(FaceswapError, match="there is no mask 'hat'. Did you mean 'hand'"):
        maskers_of("hull*hat", tmp_path / "x.db")


def test_face_pictures_find_their_masks(clip):
    files = [read_face(path) for path in list_faces(clip.with_name("faces"))]
    masks = masks_of_files(files, "hull", None)
    for file, mask in zip(files, masks, strict=True):
        own = MASKERS.create("hull", dilation=0.1).mask(file.aligned)[..., 0]
        assert mask.shape == file.image.shape[:2] and ((mask > 0.5) != (own > 0.5)).mean() < 0.01
    moved = [replace(file, origin=replace(file.origin, source="/elsewhere/clip.mp4")) for file in files]
    assert np.array_equal(masks_of_files(moved, "hull", default_store(clip)), masks)
    with pytest.raises(FaceswapError, match="There is no alignments file /elsewhere/clip.mp4.alignments.db"):
        masks_of_files(moved, "hull", None)
    with pytest.raises(FaceswapError, match="no mask extended of 16 of the 16 faces from clip.mp4. Run faceswap.py mask -i"):
        masks_of_files(files, "extended", None)
    other = replace(files[3], origin=files[4].origin)  # another face than the one that is there
    with pytest.raises(FaceswapError, match="no mask hull of 1 of the 1 faces"):
        masks_of_files([other], "hull", None)
