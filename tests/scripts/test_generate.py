"""What generate draws, writes, marks, and says. The model draws sums of real faces' principal components, and needs no training."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.provenance.reading import INTACT, UNMARKED, provenance_of

SIZE, TILE, LINE = 64, 96, 24


@pytest.fixture(scope="module")
def model(face_folders, tmp_path_factory) -> Path:
    """A model folder."""
    from lib.training.saved import checkpoint, model_folder
    from tests.own_plugins.models.eigenfaces import Eigenfaces

    folder = tmp_path_factory.mktemp("eigenfaces") / "model"
    eigenfaces = Eigenfaces()
    networks = eigenfaces.networks()
    files = [read_face(path).image for identity in "ab" for path in list_faces(face_folders[identity])]
    eigenfaces.fit(networks["synthesis"], np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for image in files]))
    folder.mkdir()
    taught = {"a": {"folders": [str(face_folders[identity]) for identity in "ab"]}}
    model_folder.write_options(folder, {"format": 1, "model": "eigenfaces", "options": {"latent": 6}, "faces": taught})
    checkpoint.save(folder, networks, {}, {}, checkpoint.State(7, 1.0))
    return folder


@pytest.fixture(scope="module")
def generate(model, faceswap, own_plugins):
    def run(output, *more, code=0, model=model):
        return faceswap("generate", "-m", model, "-o", output, *more, code=code, **own_plugins)

    return run


@pytest.fixture(scope="module")
def drawn(generate, tmp_path_factory) -> Path:
    """Seeds 0 to 5 and their sheet."""
    folder = tmp_path_factory.mktemp("drawn")
    generate(folder, "--seeds", "0-3,4,5", "--grid", "3x2")
    return folder


def test_a_picture_of_each_seed_and_a_sheet(drawn):
    assert sorted(path.name for path in drawn.iterdir()) == ["grid.png", *(f"seed000{seed}.png" for seed in range(6))]
    sheet = picture_file.read(drawn / "grid.png")
    assert sheet.shape == (2 * SIZE, 3 * SIZE, 3)
    assert (sheet[SIZE:, SIZE:2 * SIZE] == picture_file.read(drawn / "seed0004.png")).all()


def test_a_seed_gives_the_same_face_whatever_else_is_asked(drawn, generate, tmp_path):
    generate(tmp_path, "--seeds", "4")
    assert (picture_file.read(tmp_path / "seed0004.png") == picture_file.read(drawn / "seed0004.png")).all()


def test_truncation_0_is_one_face(generate, tmp_path):
    generate(tmp_path, "--seeds", "1,2", "--truncation", 0)
    assert (picture_file.read(tmp_path / "seed0001.png") == picture_file.read(tmp_path / "seed0002.png")).all()


def test_pictures_are_marked_as_drawn_and_not_as_composites(drawn, faceswap):
    found = provenance_of(drawn / "seed0000.png")
    assert found.state == INTACT and found.source_types == ("trainedAlgorithmicMedia",) and found.synthetic
    assert found.statement.startswith("AI-generated: this picture was drawn by a computer")
    assert "trainedAlgorithmicMedia (synthetic)" in faceswap("provenance", drawn / "grid.png").stdout


def test_no_provenance_leaves_all_marks_out(generate, tmp_path):
    generate(tmp_path, "--seeds", "1", "--no-provenance")
    found = provenance_of(tmp_path / "seed0001.png")
    assert found.state == UNMARKED and not found.statement


def test_files_of_generate_are_replaced_and_no_others(generate, tmp_path):
    for name in "seed0001.png", "seed0003.png":
        picture_file.write(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    said = generate(tmp_path, "--seeds", "1-3", code=1).stderr
    assert "not from generate" in said and not (tmp_path / "seed0002.png").exists()
    (tmp_path / "seed0001.png").unlink()
    (tmp_path / "seed0003.png").unlink()
    for truncation in 1, 0:
        generate(tmp_path, "--seeds", "1", "--truncation", truncation)
        made = picture_file.read(tmp_path / "seed0001.png")
    generate(tmp_path, "--seeds", "2", "--truncation", 0)
    assert (made == picture_file.read(tmp_path / "seed0002.png")).all()


def test_mixed_styles_stand_in_a_table_with_their_sources(drawn, generate, tmp_path):
    generate(tmp_path, "--style-mix", "0,1", "2-4", "--style-layers", "0-1")
    sheet = picture_file.read(tmp_path / "style_mix.png")
    assert sheet.shape == (3 * (TILE + LINE), 4 * TILE, 3)
    assert (sheet[:TILE, :TILE] == 255).all()
    large = cv2.resize(picture_file.read(drawn / "seed0003.png"), (TILE, TILE), interpolation=cv2.INTER_CUBIC)
    assert (sheet[:TILE, 2 * TILE:3 * TILE] == large).all()


def test_a_walk_is_a_closed_video_through_the_seeds(drawn, generate, tmp_path):
    generate(tmp_path, "--interpolate", "0.8", "--seeds", "0,1", "--rate", 10)
    walk = open_source(tmp_path / "walk.mp4")
    frames = [frame.image.astype(float) for frame in walk]
    assert len(frames) == 8 and float(walk.rate) == 10 and walk.size == (SIZE, SIZE)
    for place, seed in ((0, 0), (4, 1)):
        assert np.abs(frames[place] - picture_file.read(drawn / f"seed000{seed}.png")).mean() < 8  # less what coding loses
    steps = [np.abs(frames[place] - frames[place - 1]).mean() for place in range(8)]
    assert steps[0] < 2 * np.median(steps)  # from the last to the first
    found = provenance_of(tmp_path / "walk.mp4")
    assert found.state == INTACT and found.source_types == ("trainedAlgorithmicMedia",)


def test_noise_is_shown_with_its_deviation(generate, tmp_path):
    said = generate(tmp_path, "--noise", "--seeds", 3).stderr
    assert "standard deviation of 0.00 of 255" in said  # this model has none
    assert picture_file.read(tmp_path / "noise.png").shape == (TILE + LINE, 8 * TILE, 3)


def test_a_face_of_the_model_is_found_again(drawn, generate, tmp_path):
    said = generate(tmp_path, "--project", drawn / "seed0002.png", "--steps", 40, "-D", "hog").stderr
    assert float(said.partition("pixels are off by ")[2].split()[0]) < 6
    assert np.load(tmp_path / "projection.npz", allow_pickle=False)["styles"].shape == (4, 6)
    assert provenance_of(tmp_path / "projection.png").source_types == ("compositeWithTrainedAlgorithmicMedia",)
    assert provenance_of(tmp_path / "projected.png").source_types == ("trainedAlgorithmicMedia",)


def test_the_face_in_a_photo_is_cut_out_and_can_be_edited(generate, astronaut, tmp_path):
    picture_file.write(tmp_path / "photo.png", astronaut)
    said = generate(tmp_path / "out", "--project", tmp_path / "photo.png", "--steps", 25, "--edit", 0, "-D", "hog").stderr
    assert "likeness" in said or "no face is found in the result" in said
    sheet = picture_file.read(tmp_path / "out" / "projection.png").astype(float)
    assert np.abs(sheet[:TILE, :TILE] - sheet[:TILE, TILE:]).mean() < 25  # the astronaut is one of two people whom the model draws
    assert picture_file.read(tmp_path / "out" / "edit0.png").shape == (TILE + LINE, 7 * TILE, 3)


def test_an_edit_of_strength_0_changes_nothing(drawn, generate, tmp_path):
    generate(tmp_path, "--edit", 1, "--edit-strength", 0, "--seeds", "2,3")
    assert (picture_file.read(tmp_path / "seed0003_edit1.png") == picture_file.read(drawn / "seed0003.png")).all()


@pytest.mark.parametrize("recognizer", ["dlib_resnet", "wide"])
def test_each_face_stands_beside_its_nearest_training_faces(generate, tmp_path, recognizer):
    said = generate(tmp_path, "--nearest", "--seeds", "0-3", "-D", "hog", "--recognizer", recognizer).stdout
    told = [line[:20].strip() for line in said.splitlines()]
    assert told == ["faces found", "nearest in training", "diversity", "path length"]
    assert picture_file.read(tmp_path / "nearest.png").shape[1] == 5 * TILE


@pytest.fixture(scope="module")
def people(generate, face_folders, tmp_path_factory):
    """New people where one of the two whom the model draws counts as known; not more than one other can be new."""
    folder = tmp_path_factory.mktemp("people")
    done = generate(folder, "--identities", 2, "--faces", 6, "--seeds", "0-23", "--truncation", 1, "--against", face_folders["b"],
                    "-D", "hog", code=None)
    return folder, done


def test_new_people_are_face_sets_unlike_all_training_faces(people, face_folders):
    from lib.faces.likeness import likeness
    from lib.plugin import RECOGNIZERS

    folder, done = people
    recognizer = RECOGNIZERS.create("dlib_resnet")
    known = recognizer.embed([read_face(path).aligned for path in list_faces(face_folders["b"])])
    made = [[read_face(path).aligned for path in list_faces(person)] for person in sorted(folder.glob("person*"))]
    assert made and all(made), done.stderr
    for person in made:
        own = recognizer.embed(person)
        assert likeness(own, known, recognizer).max() < recognizer.same and likeness(own, own, recognizer).min() > 0.5


def test_fewer_people_or_faces_than_asked_for_are_told_by_a_warning_and_exit_code_3(people):
    folder, done = people
    enough = [len(list_faces(person)) for person in folder.glob("person*")] == [6, 6]
    assert done.returncode == (0 if enough else 3) and ("warning: " in done.stderr) != enough


def test_faces_of_new_people_are_marked_and_known_as_a_face_set(people, faceswap):
    folder, _ = people
    person = next(folder.glob("person*"))
    found = provenance_of(list_faces(person)[0])
    assert found.state == INTACT and found.source_types == ("trainedAlgorithmicMedia",) and found.statement
    assert "face" in faceswap("faces", "report", "-i", person).stdout


def test_new_people_do_not_mix_with_what_is_there(people, generate):
    folder, _ = people
    (folder / "person0" / "mine.txt").touch()
    assert "holds something already" in generate(folder, "--identities", 1, code=1).stderr


def test_an_earlier_save_is_taken_when_asked_for(generate, tmp_path):
    generate(tmp_path, "--seeds", "1", "--save", 7)
    assert "There are: 7" in generate(tmp_path, "--save", 8, code=1).stderr


def test_a_model_that_swaps_is_refused(tiny_swap, generate, tmp_path):
    said = generate(tmp_path / "out", model=tiny_swap / "out.faceswap" / "model", code=1).stderr
    assert "'tiny', which draws no new faces" in said and "train -t stylegan" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments, words", [
    (["--seeds", "7-3"], "--seeds needs numbers"), (["--seeds", "a"], "not 'a'"), (["--seeds", "1,"], "--seeds needs"),
    (["--grid", "8"], "--grid needs columns"), (["--grid", "2x2"], "has room for 4 faces"),
    (["--style-mix", "1"], "two lists of seeds"), (["--style-layers", "coarse"], "belongs to --style-mix"),
    (["--steps", "5"], "belongs to --project"), (["--faces", "5"], "belongs to --identities"),
    (["--rate", "5"], "belongs to --interpolate"),
    (["--edit-layers", "1"], "belongs to --edit"), (["--against", "x"], "belongs to --identities and --nearest"),
    (["--noise", "--grid", "4x4"], "Leave one out"), (["--weights", "x.pkl"], "one of -m/--model-dir"),
    (["--edit", "0", "--edit-layers", "9"], "this model has 4 layers"), (["--style-mix", "1", "2", "--style-layers", "fine"], "too small"),
    (["--edit", "6"], "directions 0 to 5"), (["--interpolate", "1", "--seeds", "3"], "at least two seeds"),
    (["--no-provenance", "--consent", "x"], "exclude each other")])
def test_mistakes_are_told(generate, tmp_path, arguments, words):
    assert words in generate(tmp_path / "out", *arguments, code=2).stderr
    assert not list(tmp_path.rglob("*.png"))


def test_the_record_tells_model_and_files(drawn):
    record = json.loads(drawn.with_name(drawn.name + ".run.json").read_text())
    assert record["command"] == "generate" and "grid.png" in record["files"] and record["model"]["name"] == "model"
