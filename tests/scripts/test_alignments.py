import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from lib.alignments.store import AlignmentStore, StoredFace
from lib.command import parsing
from lib.errors import FaceswapError, UsageError
from lib.faces.geometry import MEAN_FACE
from lib.facesets.folder import list_faces
from lib.jobs.alignments import AlignmentsSettings
from lib.media.endpoints.source import open_source
from lib.types import Detection, Face
from scripts.alignments import run
from tests.leftovers import unfinished

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def searched(clips, faceswap, tmp_path_factory) -> Path:
    """A folder with clip.mp4, its alignments, and its 16 faces in faces/. Copy it to change it."""
    folder = tmp_path_factory.mktemp("searched")
    shutil.copy(clips[0], folder / "clip.mp4")
    faceswap("extract", "-i", folder / "clip.mp4", "-o", folder / "faces", "-D", "hog", "--detector.upsample", 0)
    return folder


@pytest.fixture
def place(searched, tmp_path) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "place"))


def command(*arguments) -> int:
    """`faceswap.py alignments` within this process."""
    declared = parsing.declaration("alignments")
    return run(AlignmentsSettings(**parsing.parse("alignments", declared, list(map(str, arguments)))))


def landmarks(path: Path) -> np.ndarray:
    with AlignmentStore.open(path, read_only=True) as store:
        return np.stack([stored.face.landmarks for _, stored in store.all_faces()])


@pytest.mark.parametrize("arguments, words", [
    ((), "alignments needs ACTION"),
    (("raport", "-i", "x"), "Did you mean 'report'"),
    (("report",), "alignments report needs -i/--input, or an alignments file with -p/--alignments"),
    (("report", "-i", "x", "--masks"), "--masks belongs to alignments draw, not to report"),
    (("draw", "-i", "x", "-o", "y", "--json"), "--json belongs to alignments report, not to draw"),
    (("merge", "-p", "x", "-o", "y", "--no-smooth"), "--smooth belongs to alignments smooth"),
    (("report", "-i", "x", "--force"), "--force belongs to alignments rename or relink"),
    (("merge", "-o", "y"), "alignments merge needs -p/--alignments"),
    (("draw", "-p", "x"), "alignments draw needs -i/--input and -o/--output"),
    (("report", "-p", "x", "y"), "takes one alignments file with -p"),
    (("remove", "-i", "x"), "needs -f/--faces"),
    (("import", "-i", "x", "-o", "y", "--first-frame", 2), "--first-frame must be at least 0 and at most 1"),
])
def test_what_does_not_belong_together_is_said(arguments, words):
    with pytest.raises(UsageError) as told:
        command(*arguments)
    assert words in str(told.value)


@pytest.mark.parametrize("action", ["report", "remove", "draw", "smooth", "rename", "export"])
def test_without_alignments_each_says_what_to_do_and_makes_none(clips, tmp_path, action):
    clip = shutil.copy(clips[0], tmp_path / "a.mp4")
    more = {"remove": ["-f", tmp_path], "draw": ["-o", tmp_path / "o.mp4"], "export": ["-o", tmp_path / "o.json"]}.get(action, [])
    with pytest.raises(FaceswapError, match="There is no alignments file .*a.mp4.alignments.db. Run extract first"):
        command(action, "-i", clip, *more)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_report(faceswap, place):
    said = faceswap("alignments", "report", "-i", place / "clip.mp4").stdout
    assert "16: 16 with a face, 0 without, 0 with several" in said and "hog" in said and "smoothed" in said
    facts = json.loads(faceswap("alignments", "report", "-p", place / "clip.mp4.alignments.db", "--json").stdout)
    assert facts["faces"] == 16 and facts["settings"]["detector"]["name"] == "hog" and facts["gaps"] == []


def test_remove_and_undo(faceswap, place):
    for path in list_faces(place / "faces")[:3]:
        path.unlink()
    assert "Left out 3 faces" in faceswap("alignments", "remove", "-i", place / "clip.mp4", "-f", place / "faces").stderr
    assert "3 removed by hand" in faceswap("alignments", "report", "-i", place / "clip.mp4").stdout
    assert "Brought back 3 faces" in faceswap("alignments", "remove", "-i", place / "clip.mp4", "--undo").stderr
    assert len(landmarks(place / "clip.mp4.alignments.db")) == 16
    shutil.rmtree(place / "faces")
    (place / "faces").mkdir()
    assert "--all" in faceswap("alignments", "remove", "-i", place / "clip.mp4", "-f", place / "faces", code=1).stderr
    assert "Left out 16" in faceswap("alignments", "remove", "-i", place / "clip.mp4", "-f", place / "faces", "--all").stderr


def test_draw_a_video_and_pictures(faceswap, place):
    faceswap("alignments", "draw", "-i", place / "clip.mp4", "-o", place / "drawn.mp4", "--masks")
    faceswap("alignments", "draw", "-i", place / "clip.mp4", "-o", place / "drawn")
    frames, drawn, pictures = (list(open_source(place / name)) for name in ("clip.mp4", "drawn.mp4", "drawn"))
    assert [frame.time for frame in drawn] == [frame.time for frame in frames] and len(pictures) == 16
    for frame, film, picture, points in zip(frames, drawn, pictures, landmarks(place / "clip.mp4.alignments.db")):
        x, y = np.rint(points).astype(int).T
        assert (picture.image[y, x].astype(int) - frame.image[y, x])[:, 1].mean() > 40  # green
        assert (film.image != frame.image).any()
    assert "is the input" in faceswap("alignments", "draw", "-i", place / "clip.mp4", "-o", place / "clip.mp4", code=1).stderr


def test_draw_refuses_alignments_of_another_video(faceswap, clips, place):
    said = faceswap("alignments", "draw", "-i", clips[1], "-p", place / "clip.mp4.alignments.db", "-o", place / "o.mp4", code=1).stderr
    assert "belongs to" in said and not (place / "o.mp4").exists()


def test_smoothing_is_undone_and_taken_again_without_the_video(faceswap, place):
    store = place / "clip.mp4.alignments.db"
    (place / "clip.mp4").unlink()
    with AlignmentStore.open(store, read_only=True) as reader:
        smooth, raw = (np.stack(points) for points in zip(*((one.face.landmarks, one.raw) for _, one in reader.all_faces())))
    faceswap("alignments", "smooth", "-p", store, "--no-smooth")
    np.testing.assert_array_equal(landmarks(store), raw)
    assert "as they were fitted" in faceswap("alignments", "report", "-p", store).stdout
    faceswap("alignments", "smooth", "-p", store)
    np.testing.assert_array_equal(landmarks(store), smooth)


def test_a_video_that_was_renamed_is_linked_again(faceswap, place):
    store = place / "clip.mp4.alignments.db"
    (place / "clip.mp4").rename(place / "new.mp4")
    said = faceswap("alignments", "rename", "-i", place / "new.mp4", "-p", store).stderr
    assert f"belongs to {place / 'new.mp4'} now" in said and f"move it to {place / 'new.mp4.alignments.db'}" in said
    assert str(place / "new.mp4") in faceswap("alignments", "report", "-p", store).stdout
    store.rename(place / "new.mp4.alignments.db")
    assert "move it" not in faceswap("alignments", "relink", "-i", place / "new.mp4").stderr


def test_a_video_encoded_anew_is_linked_if_the_user_says_so(faceswap, clips, place):
    with open(place / "clip.mp4", "ab") as file:
        file.write(b"\0\0\0\x08free")
    said = faceswap("alignments", "relink", "-i", place / "clip.mp4", code=1).stderr
    assert "has other bytes" in said and "--force" in said
    faceswap("alignments", "relink", "-i", place / "clip.mp4", "--force")
    said = faceswap("extract", "-i", place / "clip.mp4", "-D", "hog", "--detector.upsample", 0).stderr
    assert "All frames had been searched before" in said


def test_another_size_or_kind_of_source_is_refused_even_by_force(faceswap, place, shared):
    store = place / "clip.mp4.alignments.db"
    said = faceswap("alignments", "rename", "-i", shared("videos/people/obama.mp4"), "-p", store, "--force", code=1).stderr
    assert "512x388" in said and "256x256" in said
    said = faceswap("alignments", "rename", "-i", place / "faces", "-p", store, "--force", code=1).stderr
    assert "which is a video" in said


def test_merge_with_the_source_gives_what_one_run_gives(faceswap, place):
    whole = place / "clip.mp4.alignments.db"
    parts = [shutil.copy(whole, place / f"{number}.db") for number in (1, 2)]
    for number, (path, condition) in enumerate(zip(parts, ("frame >= 7", "frame < 7")), 1):
        with sqlite3.connect(path) as database:
            for table in ("frames", "faces", "masks", "written"):
                database.execute(f"DELETE FROM {table} WHERE {condition}")
            database.execute("INSERT INTO settings VALUES ('shard', ?)", (json.dumps([number, 2]),))
        database.close()
    said = faceswap("alignments", "merge", "-p", *parts, "-o", place / "all.db", "-i", place / "clip.mp4").stderr
    assert "Joined 2 parts: 16 faces in 16 frames" in said and "warning" not in said
    np.testing.assert_array_equal(landmarks(place / "all.db"), landmarks(whole))
    more = ("-D", "hog", "--detector.upsample", 0, "-o", place / "faces")
    said = faceswap("extract", "-i", place / "clip.mp4", "-p", place / "all.db", *more).stderr
    assert "All frames had been searched before" in said and "Faces: 0 new" in said
    assert "exists already" in faceswap("alignments", "merge", "-p", *parts, "-o", place / "all.db", code=1).stderr
    said = faceswap("alignments", "merge", "-p", parts[1], "-o", place / "half.db").stderr
    assert "Missing: part 1/2" in said and "The next extract on it follows" in said


def test_a_face_filled_in_when_parts_are_joined_gets_its_picture_later(faceswap, place):
    whole = place / "clip.mp4.alignments.db"
    with sqlite3.connect(whole) as database:
        database.execute("DELETE FROM faces WHERE frame = 5")
    database.close()
    (path,) = (path for path in list_faces(place / "faces") if "_000005_" in path.name)
    path.unlink()
    faceswap("alignments", "merge", "-p", whole, "-o", place / "all.db", "-i", place / "clip.mp4")
    assert "16, 1 of them filled in" in faceswap("alignments", "report", "-p", place / "all.db").stdout
    said = faceswap("alignments", "remove", "-p", place / "all.db", "-f", place / "faces", code=1).stderr
    assert "Nothing was deleted" in said
    faceswap("extract", "-i", place / "clip.mp4", "-p", place / "all.db", "-D", "hog", "--detector.upsample", 0, "-o", place / "faces")
    assert path.exists()


def test_export_and_import(faceswap, place):
    clip, store = place / "clip.mp4", place / "clip.mp4.alignments.db"
    faceswap("alignments", "export", "-p", store, "-o", place / "a.json")
    assert "exists already" in faceswap("alignments", "import", "-i", clip, "-o", place / "a.json", code=1).stderr
    store.unlink()
    assert "Imported 16 faces in 16 frames" in faceswap("alignments", "import", "-i", clip, "-o", place / "a.json").stderr
    faceswap("alignments", "export", "-i", clip, "-o", place / "b.json")
    assert (place / "a.json").read_bytes() == (place / "b.json").read_bytes()
    assert f"import of {place / 'a.json'}" in faceswap("alignments", "report", "-i", clip).stdout
    assert "Faces: 16 new" in faceswap("extract", "-i", clip, "-o", place / "more", "-D", "hog").stderr
    faceswap("alignments", "export", "-i", clip, "-o", place / "c.json")
    assert (place / "a.json").read_bytes() == (place / "c.json").read_bytes()


def test_export_and_import_the_wrong_way_round(faceswap, place):
    assert "ends in .json" in faceswap("alignments", "export", "-i", place / "clip.mp4", "-o", place / "clip.mp4", code=1).stderr
    (place / "a.json").write_text("{}")
    said = faceswap("alignments", "import", "-i", place / "a.json", "-o", place / "clip.mp4", code=1).stderr
    assert "-o the JSON file" in said


def killed(arguments: list, folder: Path, wait: float) -> bool:
    """Starts the command, kills it `wait` seconds after it began to write into `folder`, and tells whether it was still at work."""
    before = unfinished(folder)
    run = subprocess.Popen([sys.executable, ROOT / "faceswap.py", "alignments", *map(str, arguments)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while run.poll() is None and unfinished(folder) == before:
        assert time.monotonic() < deadline, "it did not begin to write"
    time.sleep(wait)
    run.kill()
    return run.wait() != 0


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A folder of 3000 pictures, so many that joining or importing their faces takes a while, and two stores with half of it each."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "photos").mkdir()
    names = [f"{index:04d}.png" for index in range(3000)]
    (folder / "photos" / names[0]).write_bytes(b"not looked at")
    for name in names[1:]:
        os.link(folder / "photos" / names[0], folder / "photos" / name)
    random = np.random.default_rng(1)
    points = (np.vstack([random.uniform(0, 1, (17, 2)), MEAN_FACE]) * 190 + 10).astype(np.float32)
    stored = StoredFace(Face(Detection(np.float32([10, 10, 200, 200]), 0.9), points),
                        {"hull": np.random.default_rng(2).uniform(0, 1, (128, 128, 1)).astype(np.float32)})
    for number in range(2):
        with AlignmentStore.open(folder / f"{number}.db") as store:
            for index in range(1500 * number, 1500 * (number + 1)):
                store.add(index, names[index], None, [stored])
            store.update_settings({"source": {"path": str(folder / "photos"), "video": None, "pictures": 3000}, "complete": [1]})
    said = {"detected": [10, 10, 200, 200], "landmarks_2d": points.astype(float).round(3).tolist()}
    (folder / "faces.json").write_text(json.dumps({name: [said] for name in names}))
    return folder


@pytest.mark.parametrize("action", ["merge", "import"])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_half_made(faceswap, large, tmp_path, action):
    out = tmp_path / "all.db"
    before = {name: (large / name).read_bytes() for name in ("0.db", "1.db", "faces.json")}
    arguments = {"merge": ["merge", "-p", large / "0.db", large / "1.db", "-o", out],
                 "import": ["import", "-i", large / "photos", "-o", large / "faces.json", "-p", out]}[action]
    midst = 0
    for wait in (0, 0.02, 0.05, 0.1):
        if killed(arguments, tmp_path, wait):
            midst += 1
            assert not out.exists()
        else:
            out.unlink()
        assert {name: (large / name).read_bytes() for name in before} == before
    assert midst >= 2
    faceswap("alignments", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["all.db"]
    with AlignmentStore.open(out, read_only=True) as store:
        assert store.counts() == (3000, 3000, 3000)


def again(clip, path, change) -> None:
    """Encodes the frames of a clip anew, `change`d as a list of pictures."""
    images = change([frame.image for frame in open_source(clip)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "34"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image))))
        container.mux(stream.encode())


@pytest.mark.parametrize("change, kept", [
    (lambda images: images, True), (lambda images: [np.uint8(image * 0.7) for image in images], True),
    (lambda images: images[5:] + images[:5], False), (lambda images: [image[::-1] for image in images], False),
    (lambda images: [image[:, ::-1] for image in images], False)], ids=["coarser", "darker", "another cut", "upside down", "mirrored"])
def test_another_cut_is_refused_even_by_force(faceswap, place, change, kept):
    again(place / "clip.mp4", place / "new.mp4", change)
    said = faceswap("alignments", "rename", "-i", place / "new.mp4", "-p", place / "clip.mp4.alignments.db", "--force",
                    code=0 if kept else 1).stderr
    assert ("belongs to" if kept else "is another cut or another film") in said
