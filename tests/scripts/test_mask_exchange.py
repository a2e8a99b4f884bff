"""`faceswap.py mask export` and `mask import`: masks that are painted elsewhere, and what else then knows them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.alignments.store import AlignmentStore
from lib.facesets.folder import list_faces
from lib.jobs.mask import MaskSettings, mask
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file

FRAMES = 16


@pytest.fixture(scope="module")
def extracted(clips, faceswap, tmp_path_factory) -> Path:
    """A folder with clip.mp4, its alignments, with masks by hull, and its faces."""
    folder = tmp_path_factory.mktemp("extracted")
    shutil.copy(clips[0], folder / "clip.mp4")
    faceswap("extract", "-i", folder / "clip.mp4", "-D", "hog", "-o", folder / "faces")
    return folder


@pytest.fixture
def clip(extracted, tmp_path) -> Path:
    """A copy of it, whose faces still say where they were from."""
    return Path(shutil.copytree(extracted, tmp_path / "here")) / "clip.mp4"


def run(clip: Path, **settings):
    return mask(MaskSettings(input=clip, **settings))


def masks(clip: Path, name: str) -> dict[int, np.ndarray]:
    """The masks called `name` by frame."""
    with AlignmentStore.open(Path(f"{clip}.alignments.db"), read_only=True) as store:
        return {index: face.masks[name] for index in range(FRAMES) for face in store.faces(index) if name in face.masks}


def paint(path: Path, rows=slice(0, 128)) -> np.ndarray:
    """Paints over a part of a mask, as a paint program would, and returns what it shows, (S, S)."""
    picture = np.array(Image.open(path))
    picture[rows] = 0
    Image.fromarray(picture).save(path)
    return picture / np.float32(255)


@pytest.mark.parametrize("size", [128, 256, 512])
def test_masks_come_back_as_they_went(clip, tmp_path, size):
    assert run(clip, action="export", masker=["hull"], output=tmp_path / "paint", size=size).faces == FRAMES
    assert run(clip, action="import", output=tmp_path / "paint", name="hand").faces == FRAMES
    before, after = masks(clip, "hull"), masks(clip, "hand")
    assert before.keys() == after.keys() and max(np.abs(before[index] - after[index]).max() for index in before) < 1.01 / 255


def test_pictures_and_masks_lie_side_by_side_and_sort(clip, tmp_path):
    done = run(clip, action="export", masker=["extended"], output=tmp_path / "paint", count=3, frames="5-")
    assert (done.faces, done.kept, done.unread) == (3, 0, ())
    names = sorted(path.name for path in (tmp_path / "paint").iterdir())
    assert names == [f"clip_0000{frame:02d}_0{mask}.png" for frame in (4, 10, 15) for mask in ("", "_mask")]
    face, mask = (picture_file.read(tmp_path / "paint" / f"clip_000010_0{kind}.png") for kind in ("", "_mask"))
    assert face.shape == mask.shape == (256, 256, 3) and set(np.unique(mask)) >= {0, 255}
    assert np.abs(face.astype(int) - picture_file.read(clip.parent / "faces" / "clip_000010_0.png")).max() == 0
    assert [path.name for path in list_faces(tmp_path / "paint")] == names[::2]  # a face set, whose masks are no faces


def test_without_a_masker_the_mask_is_white(clip, tmp_path):
    run(clip, action="export", output=tmp_path / "paint", count=2)
    assert picture_file.read(tmp_path / "paint" / "clip_000000_0_mask.png").min() == 255


def test_what_was_painted_is_neither_written_over_nor_made_anew(clip, faceswap, skin_network, tmp_path):
    folder = tmp_path / "paint"
    run(clip, action="export", masker=["hull"], output=folder, count=4)
    painted = paint(folder / "clip_000000_0_mask.png")
    again = run(clip, action="export", masker=["extended"], output=folder, count=4)
    assert (again.faces, again.kept) == (4, 4) and np.array_equal(painted, np.array(Image.open(folder / "clip_000000_0_mask.png")) / np.float32(255))
    run(clip, action="import", output=folder, name="onnx")
    before = masks(clip, "onnx")
    assert list(before) == [0, 5, 10, 15]
    done = faceswap("mask", "-i", clip, "-M", "onnx", "--masker.network", skin_network)
    after = masks(clip, "onnx")
    assert "Made masks of 12 faces in 12 frames." in done.stderr and len(after) == FRAMES
    assert all(np.array_equal(before[index], after[index]) for index in before)


def test_painted_masks_replace_those_of_the_same_faces_alone(clip, tmp_path):
    run(clip, action="export", masker=["hull"], output=tmp_path / "paint")
    run(clip, action="import", output=tmp_path / "paint", name="hand")
    for path in list_faces(tmp_path / "paint")[2:]:
        path.with_name(f"{path.stem}_mask.png").unlink()
    painted = paint(tmp_path / "paint" / "clip_000001_0_mask.png")
    assert run(clip, action="import", output=tmp_path / "paint", name="hand").faces == 2
    before, after = masks(clip, "hull"), masks(clip, "hand")
    assert np.abs(after[1][..., 0] - cv2.resize(painted, (128, 128), interpolation=cv2.INTER_AREA)).max() < 1.01 / 255
    assert all(np.array_equal(before[index], after[index]) for index in before if index != 1)


def test_wrong_files_get_a_line_each_and_the_rest_is_imported(clip, faceswap, tmp_path):
    folder = tmp_path / "paint"
    run(clip, action="export", masker=["hull"], output=folder, count=6)  # 0, 3, 6, 9, 12, 15
    Image.new("L", (200, 100)).save(folder / "clip_000003_0_mask.png")
    (folder / "clip_000006_0_mask.png").write_bytes(b"nothing")
    Image.new("L", (64, 64)).save(folder / "clip_000003_7_mask.png")
    Image.open(folder / "clip_000009_0.png").save(folder / "clip_000009_0_mask.png")
    (folder / "clip_000012_0_mask.png").unlink()
    (folder / "clip_000012_0_mask.xcf").write_bytes(b"gimp xcf v011")
    (folder / "notes.txt").write_text("not a mask")
    done = faceswap("mask", "import", "-i", clip, "-o", folder, "--name", "hand", code=3)
    assert "Imported masks of 2 faces as hand." in done.stderr and list(masks(clip, "hand")) == [0, 15]
    lines = [line for line in done.stderr.splitlines() if "Left out" in line]
    assert len(lines) == 5
    for line, words in zip(lines, ("clip_000003_0_mask.png has 200x100 pixels", "clip_000003_7.png is no face of clip.mp4",
                                   "clip_000006_0_mask.png", "clip_000009_0_mask.png is in colours", "clip_000012_0_mask.xcf")):
        assert words in line


def test_a_picture_saved_without_its_metadata_is_known_by_its_name(clip, tmp_path):
    folder = tmp_path / "paint"
    run(clip, action="export", masker=["hull"], output=folder, count=3)
    first, second, third = list_faces(folder)
    Image.fromarray(np.array(Image.open(first))).save(first)
    second.unlink()
    third.rename(third.with_name("renamed.png"))
    third.with_name(f"{third.stem}_mask.png").rename(third.with_name("renamed_mask.png"))
    assert run(clip, action="import", output=folder, name="hand").faces == 3
    assert all(np.abs(mask - masks(clip, "hull")[index]).max() < 1.01 / 255 for index, mask in masks(clip, "hand").items())


def test_masks_of_faces_found_anew_are_refused(clip, faceswap, tmp_path):
    run(clip, action="export", masker=["hull"], output=tmp_path / "paint", count=2)
    Path(f"{clip}.alignments.db").unlink()
    faceswap("extract", "-i", clip, "-D", "hog", "-A", "dlib68", "--aligner.refeed", 0)
    assert len(run(clip, action="import", output=tmp_path / "paint", name="hand").left_out) == 2


@pytest.mark.parametrize("coverage, size", [("whole", 256), ("head", 300), ("full", 200)])
def test_masks_beside_a_face_set(clip, faceswap, tmp_path, coverage, size):
    faces = tmp_path / "other"
    faceswap("extract", "-i", clip, "-D", "hog", "-o", faces, "--coverage", coverage, "--size", size)
    (faces / "sorted").mkdir()
    shutil.move(faces / "clip_000003_0.png", faces / "sorted" / "x.png")
    before = list_faces(faces)
    assert run(clip, action="export", masker=["hull"], faces=faces).faces == FRAMES
    assert picture_file.read(faces / "sorted" / "x_mask.png").shape == (size, size, 3) and list_faces(faces) == before
    assert run(clip, action="import", output=faces, name="hand").faces == FRAMES
    hull, hand = masks(clip, "hull"), masks(clip, "hand")
    most = max(((hull[index] > 0.5) != (hand[index] > 0.5)).mean() for index in hull)
    assert most == 0 if coverage == "whole" else most < 0.006
    # masks are no faces, wherever faces are read
    faceswap("faces", "pack", "-i", faces, "-o", tmp_path / "faces.h5")
    assert "all 16 faces are there" in faceswap("alignments", "remove", "-i", clip, "-f", faces, code=1).stderr


def test_polygons_go_out_and_come_back(clip, faceswap, tmp_path):
    path = tmp_path / "hull.json"
    assert run(clip, action="export", masker=["hull"], output=path, count=4).faces == 4
    entries = json.loads(path.read_text())
    assert [(entry["frame"], entry["number"], len(entry["polygons"])) for entry in entries] == [(frame, 0, 1) for frame in (1, 6, 11, 16)]
    lips = [[100, 100], [140, 100], [140, 140]]
    entries[0]["polygons"].append({"kind": "cover", "points": lips})
    entries += [{"frame": 3, "number": 5, "polygons": entries[1]["polygons"]}, {"frame": 4, "number": 0, "polygons": [{"kind": "hand"}]}, 7]
    path.write_text(json.dumps(entries))
    done = faceswap("mask", "import", "-i", clip, "-o", path, "--name", "drawn", code=3)
    assert "Imported masks of 4 faces as drawn." in done.stderr
    assert [line.partition(": entry ")[2][:25] for line in done.stderr.splitlines() if "Left out" in line] == [
        "5: frame 3 has no face wi", "6: polygon 1 must have th", "7: a face must have \"fram"]
    hull, drawn = masks(clip, "hull"), masks(clip, "drawn")
    assert list(drawn) == [0, 5, 10, 15] and all(np.abs(hull[index] - drawn[index]).mean() < 0.004 for index in (5, 10, 15))
    assert drawn[0].sum() < hull[0].sum() - 50
    assert run(clip, action="import", output=path, name="drawn").faces == 4
    with pytest.raises(Exception, match="exists already, and is not overwritten"):
        run(clip, action="export", masker=["hull"], output=path)


def test_polygons_of_pictures_go_by_their_names(faceswap, tmp_path, astronaut, hopper):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, image in (("a.png", astronaut), ("b.png", hopper)):
        picture_file.write(folder / name, image)
    faceswap("extract", "-i", folder, "-D", "hog")
    run(folder, action="export", masker=["hull"], output=tmp_path / "x.json")
    entries = json.loads((tmp_path / "x.json").read_text())
    assert [entry["name"] for entry in entries] == ["a.png", "b.png"]
    entries[1]["frame"] = 77  # the name counts: pictures were taken away
    (tmp_path / "x.json").write_text(json.dumps(entries))
    run(folder, action="import", output=tmp_path / "x.json", name="drawn")
    assert sorted(masks(folder, "drawn")) == [0, 1]


def test_polygons_of_labelme_beside_the_pictures(clip, tmp_path):
    """A cover over the lower half of the picture; the mask beside it is not looked at."""
    run(clip, action="export", masker=["hull"], output=tmp_path / "paint", count=2)
    (tmp_path / "paint" / "clip_000000_0.json").write_text(json.dumps({
        "imageWidth": 256, "imageHeight": 256, "imagePath": "clip_000000_0.png",
        "shapes": [{"label": "hand", "shape_type": "polygon", "points": [[0, 128], [256, 128], [256, 256], [0, 256]]}]}))
    assert run(clip, action="import", output=tmp_path / "paint", name="hand").faces == 2
    drawn = masks(clip, "hand")[0]
    assert drawn[:63].min() == 1 and drawn[65:].max() == 0


def test_imported_masks_are_merged_drawn_and_reported(clip, faceswap, tmp_path):
    run(clip, action="export", masker=["hull"], output=tmp_path / "paint", count=2)
    paint(tmp_path / "paint" / "clip_000000_0_mask.png")
    run(clip, action="import", output=tmp_path / "paint", name="hand")
    store = Path(f"{clip}.alignments.db")
    assert "hand (2 faces)" in faceswap("alignments", "report", "-i", clip).stdout
    faceswap("alignments", "draw", "-i", clip, "-o", tmp_path / "drawn", "--masks")
    faceswap("mask", "-i", clip, "-M", "hand", "hull", "-o", tmp_path / "look", "--overlay", 2)
    assert picture_file.read(tmp_path / "look" / "000001_0.png").shape[1] == 3 * 256
    faceswap("alignments", "merge", "-p", store, "-o", tmp_path / "all.db", "-i", clip)
    with AlignmentStore.open(tmp_path / "all.db", read_only=True) as merged, AlignmentStore.open(store, read_only=True) as first:
        assert merged.state.painted == first.state.painted and list(merged.state.painted) == ["hand"]
        assert np.array_equal(merged.faces(0)[0].masks["hand"], first.faces(0)[0].masks["hand"])


def points_of(clip: Path, index: int) -> np.ndarray:
    with AlignmentStore.open(Path(f"{clip}.alignments.db"), read_only=True) as store:
        return store.faces(index)[0].fitted.landmarks


@pytest.fixture
def covered(clip, tmp_path) -> Path:
    """The clip with a mask `occlusion` of its first frame: the mouth is covered."""
    mouth = cv2.convexHull(points_of(clip, 0)[48:60]).reshape(-1, 2)
    mouth = mouth.mean(0) + 1.3 * (mouth - mouth.mean(0))
    (tmp_path / "x.json").write_text(json.dumps([{"frame": 1, "number": 0, "polygons": [{"kind": "cover", "points": mouth.tolist()}]}]))
    run(clip, action="import", output=tmp_path / "x.json", name="occlusion")
    run(clip, action="import", output=tmp_path / "x.json", name="hand")
    return clip


def test_convert_leaves_what_is_in_front(covered, faceswap, own_plugins, tiny_swap, tmp_path):
    """Of itself where the store says so; not with -M hull; with any name that is asked for. Faces without such a mask are whole."""
    changed = {}
    for name in (None, "hull", "hull*hand", "hand", "occlusion", "predicted*hull*occlusion"):
        output = tmp_path / f"out{len(changed)}.mkv"
        faceswap("convert", "-i", covered, "-o", output, "-m", tiny_swap / "out.faceswap" / "model", "-w", "video", "--writer.codec", "ffv1",
                 *(["-M", name] if name else []), "-c", "none", "--no-match-detail", "--feather", 0, "--frames", "1,8", **own_plugins)
        pairs = zip(open_source(covered), open_source(output), strict=True)
        changed[name] = [np.abs(old.image.astype(int) - new.image).max(2) > 8 for old, new in pairs]
    mouth = tuple(points_of(covered, 0)[48:60].mean(0).round().astype(int)[::-1])
    nose = tuple(points_of(covered, 0)[30].round().astype(int)[::-1])
    assert {name: bool(frames[0][mouth]) for name, frames in changed.items()} == {
        None: False, "hull": True, "hull*hand": False, "hand": False, "occlusion": False, "predicted*hull*occlusion": False}
    assert all(frames[0][nose] for frames in changed.values())
    for name, frames in changed.items():  # without a mask: the hull
        assert np.array_equal(frames[7], changed["hull"][7]), name


def test_train_takes_imported_masks(covered, faceswap, own_plugins, face_folders, tmp_path):
    faces = tmp_path / "faces"
    faceswap("extract", "-i", covered, "-D", "hog", "-o", faces)
    line = ["train", "-A", faces, "-B", tmp_path / "b", "-m", tmp_path / "model", "-t", "tiny", "-i", 1]
    other = Path(shutil.copy(covered, tmp_path / "other.mp4"))
    faceswap("extract", "-i", other, "-D", "hog", "-o", tmp_path / "b")
    assert "Done at iteration 1" in faceswap(*line, "-M", "hull*hand", **own_plugins).stderr
    refused = faceswap(*line, "-M", "hull*hat", code=2, **own_plugins).stderr
    assert "there is no mask 'hat'. Did you mean 'hand'?" in refused


@pytest.mark.parametrize("arguments, code, answer", [
    (["export"], 2, "mask export needs one of -o/--output"),
    (["export", "-o", "x", "-f", "y"], 2, "mask export needs one of -o/--output"),
    (["export", "-o", "x", "--name", "hand"], 2, "--name belongs to mask import, not to mask export"),
    (["export", "-o", "x", "--overlay", "3"], 2, "--overlay belongs to mask, not to mask export"),
    (["export", "-o", "x.json", "--size", "256"], 2, "--size is for new pictures"),
    (["export", "-o", "x", "-M", "hat"], 2, "There is no masker 'hat'"),
    (["export", "-o", "x", "--frames", "0"], 2, "--frames must be ranges of frames counted from 1"),
    (["export", "-f", "nowhere"], 1, "nowhere holds no faces from extract"),
    (["import", "-o", "x"], 2, "mask import needs -o/--output, the folder or .json file with the masks, and --name"),
    (["import", "-o", "nowhere", "--name", "hand"], 1, "nowhere does not exist"),
    (["import", "-o", ".", "--name", "a*b"], 2, "--name must be a word"),
    (["import", "-o", ".", "--name", "auto"], 2, "--name must be a word"),
    (["import", "-o", ".", "--name", "hull"], 2, "masks of the masker hull follow from the landmarks"),
    (["import", "-M", "hull", "-o", ".", "--name", "x"], 2, "-M/--masker belongs to mask or mask export, not to mask import"),
    (["-M", "hull", "--count", "3"], 2, "--count belongs to mask export, not to mask"),
])
def test_mistakes_are_answered_in_a_line(faceswap, clip, arguments, code, answer):
    done = faceswap("mask", *arguments[:1 if arguments[0][0] != "-" else 0], "-i", clip,
                    *arguments[1 if arguments[0][0] != "-" else 0:], code=code)
    assert answer in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("text, answer", [
    ("[", "is no valid JSON"), ("{}", "is no list of faces"), ("[" * 100 + "]" * 100, "deep")])
def test_json_that_is_none_is_told(faceswap, clip, tmp_path, text, answer):
    (tmp_path / "x.json").write_text(text)
    done = faceswap("mask", "import", "-i", clip, "-o", tmp_path / "x.json", "--name", "hand", code=1)
    assert answer in done.stderr and done.stderr.count("\n") == 1


def test_a_folder_without_masks_is_told(faceswap, clip):
    done = faceswap("mask", "import", "-i", clip, "-o", clip.parent / "faces", "--name", "hand", code=1)
    assert "holds no masks. Their files are called like those of the faces, with _mask added" in done.stderr
