"""`translate` as its users run it, with models that learnt next to nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.faces.geometry import crop_matrix
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.media.pictures import picture_file
from lib.provenance.reading import provenance_of

SMALL = ["-t", "cyclegan", "-i", 2, "--precision", "float32", "--seed", 1, "--no-preview", "--snapshots", 1,
         *(part for name, value in {"size": 64, "width": 4, "discriminator-width": 4, "blocks": 1, "pool": 2}.items()
           for part in (f"--model.{name}", value))]


@pytest.fixture(scope="module")
def of_faces(faceswap, face_folders, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "model"
    faceswap("train", "-A", face_folders["a"], "-B", face_folders["b"], "-m", folder, *SMALL, "--progress-minutes", 0)
    return folder


@pytest.fixture(scope="module")
def photos(astronaut, hopper, tmp_path_factory) -> Path:
    """Five pictures of three shapes."""
    folder = tmp_path_factory.mktemp("photos")
    for name, image in {"square.png": astronaut, "tall.jpg": hopper, "wide.png": astronaut[100:400], "wide2.png": astronaut[150:450],
                        "small.png": astronaut[:100, :90]}.items():
        picture_file.write(folder / name, image)
    return folder


@pytest.fixture(scope="module")
def of_pictures(faceswap, astronaut, hopper, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, image in (("a", astronaut), ("b", hopper)):
        (folder / name).mkdir()
        for number in range(10):
            picture_file.write(folder / name / f"{number}.png", image[10 * number:10 * number + 300])
    faceswap("train", "-A", folder / "a", "-B", folder / "b", "-m", folder / "model", "--whole-pictures", *SMALL)
    return folder / "model"


@pytest.fixture
def translate(faceswap):
    def run(source, output, model, *more, code=0, **options) -> str:
        return faceswap("translate", "-i", source, "-o", output, "-m", model, *more, code=code, **options).stderr

    return run


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: picture_file.read(path).shape[1::-1] for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def test_pictures_of_any_shape_keep_it_in_the_size_of_training(translate, photos, of_pictures, tmp_path):
    said = translate(photos, tmp_path / "out", of_pictures)
    assert "Translated 5 pictures" in said
    assert sizes(tmp_path / "out") == {"square.png": (72, 72), "tall.jpg": (72, 84), "wide.png": (123, 72), "wide2.png": (123, 72),
                                       "small.png": (72, 80)}, "64 of 72 pixels are seen at a time, as 256 of 286"
    record = json.loads((tmp_path / "out.run.json").read_text())
    assert record["pictures"] == 5 and record["finished"] and not record["failures"]


def test_the_shorter_side_is_as_asked(translate, photos, of_pictures, tmp_path):
    translate(photos, tmp_path / "own", of_pictures, "--size", 0)
    assert sizes(tmp_path / "own") == sizes(photos)
    translate(photos / "wide.png", tmp_path / "one.png", of_pictures, "--size", 30)
    assert picture_file.read(tmp_path / "one.png").shape == (30, 51, 3)


def test_each_picture_is_what_the_network_makes_of_it_alone(translate, photos, of_pictures, tmp_path):
    """In batches, padded and cut off again."""
    from lib.training.saved.swapper import load_translator

    translate(photos, tmp_path, of_pictures, "--size", 0)
    network = load_translator(of_pictures)
    for name in "wide.png", "wide2.png", "small.png":
        image = picture_file.read(photos / name)
        height, width = image.shape[:2]
        padded = cv2.copyMakeBorder(image, 0, -height % 4, 0, -width % 4, cv2.BORDER_REFLECT_101)
        wanted = network.network.predict_on_batch(padded[None] / np.float32(255))[0, :height, :width]
        assert np.abs(picture_file.read(tmp_path / name) - np.clip(wanted, 0, 1) * 255).max() < 1.5


def test_the_way_and_the_save_can_be_chosen(translate, photos, of_pictures, tmp_path):
    made = {}
    for name, more in {"b": [], "a": ["-s"], "first": ["--save", 1], "last": ["--save", 2]}.items():
        translate(photos / "wide.png", tmp_path / f"{name}.png", of_pictures, *more)
        made[name] = picture_file.read(tmp_path / f"{name}.png").astype(int)
    assert (made["b"] == made["last"]).all() and (made["b"] != made["a"]).any() and (made["b"] != made["first"]).any()
    assert "There is no checkpoint '7'" in translate(photos, tmp_path / "out", of_pictures, "--save", 7, code=1)


def test_what_is_made_is_marked(translate, photos, of_pictures, tmp_path):
    translate(photos, tmp_path / "out", of_pictures)
    for name in "wide.png", "tall.jpg":
        found = provenance_of(tmp_path / "out" / name)
        assert found.state == "intact" and found.source_types == ("compositeWithTrainedAlgorithmicMedia",)
        assert "was translated from another by a computer" in found.statement
        assert any(one.startswith("face model model (inputTo, urn:sha256:") for one in found.ingredients)
    translate(photos, tmp_path / "plain", of_pictures, "--no-provenance")
    assert not provenance_of(tmp_path / "plain" / "wide.png").synthetic


def test_a_label_is_written_into_a_corner(translate, photos, of_pictures, tmp_path):
    for name, more in {"plain": [], "labelled": ["--label", "AI-generated"]}.items():
        translate(photos / "square.png", tmp_path / f"{name}.png", of_pictures, "--size", 200, *more)
    changed = (picture_file.read(tmp_path / "plain.png") != picture_file.read(tmp_path / "labelled.png")).any(-1)
    assert changed[150:, :100].any() and not changed[:150].any()


def test_a_bad_picture_is_named_and_the_others_are_made(translate, photos, of_pictures, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos" / "bad.png").write_bytes((photos / "wide.png").read_bytes()[:3000])
    for _ in range(2):  # and nothing is made twice
        said = translate(tmp_path / "photos", tmp_path / "out", of_pictures, code=3)
        assert "bad.png" in said.splitlines()[-1] and len(sizes(tmp_path / "out")) == 5
    assert "Translated 0 pictures" in said


def test_faces_stay_a_set(translate, faceswap, face_folders, of_faces, tmp_path):
    assert "Translated 12 faces" in translate(face_folders["a"], tmp_path / "out", of_faces)
    for before, after in zip(list_faces(face_folders["a"]), list_faces(tmp_path / "out"), strict=True):
        one, other = read_face(before), read_face(after)
        assert other.size == 64 and other.coverage == "full" and other.origin == one.origin and after.name == before.name
        np.testing.assert_array_equal(other.aligned.face.landmarks, one.aligned.face.landmarks)
        np.testing.assert_allclose(other.aligned.matrix, crop_matrix(one.aligned.face.landmarks, 64, "full"), atol=0.02)
        assert provenance_of(after).state == "intact"
    said = faceswap("evaluate", "--faces", tmp_path / "out").stdout
    assert "Somebody else" in said


def test_a_packed_set_and_a_single_face_become_the_same(translate, faceswap, face_folders, of_faces, tmp_path):
    faceswap("faces", "pack", "-i", face_folders["a"], "-o", tmp_path / "a.h5")
    first = list_faces(face_folders["a"])[0]
    translate(face_folders["a"], tmp_path / "folder", of_faces)
    translate(tmp_path / "a.h5", tmp_path / "packed", of_faces)
    translate(first, tmp_path / "one", of_faces)
    assert [path.name for path in list_faces(tmp_path / "one")] == [first.name]
    for path in list_faces(tmp_path / "folder"):
        for other in [tmp_path / "packed"] + [tmp_path / "one"] * (path.name == first.name):
            np.testing.assert_allclose(read_face(other / path.name).image.astype(int), read_face(path).image, atol=1)


def test_a_damaged_face_is_named_and_the_others_are_made(translate, face_folders, of_faces, tmp_path):
    shutil.copytree(face_folders["a"], tmp_path / "faces")
    damaged = list_faces(tmp_path / "faces")[3]
    damaged.write_bytes(damaged.read_bytes()[:-200])
    assert damaged.name in translate(tmp_path / "faces", tmp_path / "out", of_faces, code=3).splitlines()[-1]
    assert len(list_faces(tmp_path / "out")) == 11


def test_progress_is_told_in_json(translate, photos, of_pictures, tmp_path):
    lines = [json.loads(line) for line in translate(photos, tmp_path / "out", of_pictures, "--log", "json").splitlines()]
    told = [line for line in lines if line.get("progress") == "translate"]
    assert told[-1]["done"] == told[-1]["total"] == 5 and told[-1]["unit"] == "picture"


def test_convert_sets_translated_faces_into_a_video(faceswap, of_faces, of_pictures, clips, tmp_path):
    clip = shutil.copy(clips[0], tmp_path / "clip.mp4")
    for way in [], ["-s", "--save", 1]:
        said = faceswap("convert", "-i", clip, "-o", tmp_path / "out.mp4", "-m", of_faces, "-D", "hog", *way).stderr
        assert "Swapped 16 faces in 16 of 16 frames" in said
    refused = faceswap("convert", "-i", clip, "-o", tmp_path / "no.mp4", "-m", of_pictures, "-D", "hog", code=1).stderr
    assert "faceswap.py translate" in refused


def test_mistakes_are_told(translate, photos, face_folders, of_faces, of_pictures, tiny_swap, clips, own_plugins, tmp_path):
    out = tmp_path / "out"
    for words, code, *arguments in (
            ("does not exist", 1, tmp_path / "none", out, of_pictures),
            ("would be overwritten", 1, photos / "wide.png", photos, of_pictures),
            ("is the input", 1, photos, photos, of_pictures),
            ("holds the faces that are to be translated", 1, face_folders["a"], face_folders["a"], of_faces),
            ("is a video", 1, clips[0], out, of_pictures),
            ("There is no model folder", 1, photos, out, tmp_path / "none"),
            ("which swaps faces alone: faceswap.py convert", 1, photos, out, tiny_swap / "out.faceswap" / "model"),
            ("at least 16", 2, photos, out, of_pictures, "--size", 8),
            ("--label is written into whole pictures", 2, face_folders["a"], out, of_faces, "--label", "AI")):
        assert words in translate(*arguments, code=code, **own_plugins)
    assert not out.exists()


def test_whole_pictures_for_a_model_of_faces_are_warned_of(translate, photos, of_faces, tmp_path):
    assert "was trained on aligned faces" in translate(photos, tmp_path, of_faces)
    assert sizes(tmp_path)["wide.png"] == (109, 64)


def test_a_model_that_makes_pictures_out_of_nothing_is_pointed_to_generate(translate, photos, tmp_path):
    from dataclasses import asdict

    from lib.plugin import MODELS
    from lib.training.saved import model_folder

    model = MODELS.create("stylegan")
    (tmp_path / "model").mkdir()
    model_folder.write_options(tmp_path / "model", {"format": model_folder.FORMAT, "model": "stylegan", "options": asdict(model)})
    assert "faceswap.py generate" in translate(photos, tmp_path / "out", tmp_path / "model", code=1)


def test_translated_faces_get_the_detail_of_real_pictures(translate, face_folders, of_faces, tmp_path):
    for name, more in (("with", []), ("without", ["--no-exemplars"])):
        translate(face_folders["a"], tmp_path / name, of_faces, *more)
    pairs = [[read_face(path).image for path in (tmp_path / name / one.name for name in ("with", "without"))]
             for one in list_faces(tmp_path / "with")]
    assert pairs and all((first != second).any() for first, second in pairs)
