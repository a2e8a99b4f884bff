import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lib.alignments.store import AlignmentStore
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.media.endpoints.sample_clips import MovingCamera
from lib.media.endpoints.sample_clips import astronaut as astronaut_portrait
from lib.media.pictures import picture_file
from lib.plugin import WRITERS

ROOT = Path(__file__).resolve().parent.parent.parent
LONG = 75  # frames of the clip that is interrupted
SLOW = ("--detector.upsample", 2, "--detector.min-score", 0.5)  # so that there is time to interrupt


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    camera = MovingCamera(astronaut_portrait(), seconds=LONG / 25, side=192)
    with WRITERS.create("video").open(path, camera) as sink:
        for frame in camera:
            sink.write(frame, frame.image)
    return path


@pytest.fixture
def clip(clips, tmp_path) -> Path:
    return Path(shutil.copy(clips[0], tmp_path / "clip.mp4"))


def start(*arguments) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), "extract", *map(str, arguments)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


def wait_for_faces(folder: Path, count: int) -> None:
    """Until `folder` holds `count` faces."""
    deadline = time.monotonic() + 600
    while not folder.is_dir() or len(list_faces(folder)) < count:
        assert time.monotonic() < deadline, "no faces came"
        time.sleep(0.01)


def test_faces_alignments_and_a_summary_in_words(faceswap, clip, tmp_path):
    done = faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog", "-z", 128)
    assert "Found 16 faces in 16 of 16 frames of clip.mp4." in done.stderr
    files = [read_face(path) for path in list_faces(tmp_path / "faces")]
    assert len(files) == 16 and all(file.size == 128 and file.origin.source == str(clip) for file in files)
    with AlignmentStore.open(tmp_path / "clip.mp4.alignments.db", read_only=True) as store:
        assert store.counts() == (16, 16, 16) and store.settings["detector"]["name"] == "hog"
    again = faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog")
    assert "searched before" in again.stderr and "Faces: 0 new" in again.stderr


def test_every_nth_frame_of_a_folder_of_pictures(faceswap, tmp_path, astronaut):
    (tmp_path / "x").mkdir()
    for index in range(1, 12):
        picture_file.write(tmp_path / "x" / f"video-{index}.png", np.roll(astronaut, index, 1))
    faceswap("extract", "-i", f"{tmp_path}/x/", "-o", f"{tmp_path}/faces/", "-D", "hog", "-N", 5, "-p", tmp_path / "own.db")
    assert [read_face(path).origin.name for path in list_faces(tmp_path / "faces")] == ["video-1.png", "video-6.png", "video-11.png"]
    assert not (tmp_path / "x.alignments.db").exists() and (tmp_path / "own.db").exists()


def test_a_single_picture(faceswap, tmp_path, hopper):
    picture_file.write(tmp_path / "hopper.png", hopper)
    faceswap("extract", "-i", tmp_path / "hopper.png", "-o", tmp_path / "faces", "-D", "hog")
    assert len(list_faces(tmp_path / "faces")) == 1


def test_no_faces_says_what_to_try(faceswap, tmp_path):
    ramp = np.tile(np.arange(300, dtype=np.uint8)[:, None, None], (1, 300, 3))
    picture_file.write(tmp_path / "ramp.png", ramp)
    done = faceswap("extract", "-i", tmp_path / "ramp.png", "-D", "hog", code=1)
    assert "No faces found in" in done.stderr and "--detector yunet" in done.stderr


def test_another_detector_for_a_store_says_what_to_do(faceswap, clip, tmp_path):
    faceswap("extract", "-i", clip, "-D", "hog", "-N", 8)
    done = faceswap("extract", "-i", clip, "-D", "hog", "--detector.search", 320, code=1)
    assert "search=640" in done.stderr and "search=320" in done.stderr and "-p" in done.stderr


def test_a_damaged_store_says_what_to_do(faceswap, clip, tmp_path):
    faceswap("extract", "-i", clip, "-D", "hog", "-N", 8)
    store = tmp_path / "clip.mp4.alignments.db"
    store.write_bytes(store.read_bytes()[:6000])
    done = faceswap("extract", "-i", clip, "-D", "hog", code=1)
    assert str(store) in done.stderr and "run extract again" in done.stderr


def test_output_in_the_way_of_the_input(faceswap, tmp_path, astronaut):
    (tmp_path / "photos").mkdir()
    picture_file.write(tmp_path / "photos" / "a.png", astronaut)
    assert "the same" in faceswap("extract", "-i", tmp_path / "photos", "-o", f"{tmp_path}/photos/", code=1).stderr
    assert "-o" in faceswap("extract", "-i", tmp_path / "photos", "-o", tmp_path / "photos" / "a.png" / "faces", code=1).stderr


def test_a_cut_off_video_is_extracted_and_the_loss_told(faceswap, shared, tmp_path):
    clip = shared("videos/broken/truncated_at_60_percent.mp4")
    done = faceswap("extract", "-i", clip, "-p", tmp_path / "x.db", "-o", tmp_path / "faces", "-D", "hog", "--detector.upsample", 0, code=3)
    assert "Incomplete input: truncated_at_60_percent.mp4: only " in done.stderr
    assert len(list_faces(tmp_path / "faces")) >= 20
    faceswap("extract", "-i", clip, "-p", tmp_path / "x.db", "-D", "hog", "--detector.upsample", 0, code=3)


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals to pause and end another process")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_saves_says_so_and_goes_on(faceswap, long_clip, tmp_path, stop):
    store, faces = tmp_path / "x.db", tmp_path / "faces"
    arguments = ("-i", long_clip, "-p", store, "-o", faces, "-D", "hog", *SLOW)
    run = start(*arguments)
    wait_for_faces(faces, 45)  # five batches of eight may be in the works, their faces written
    run.send_signal(signal.SIGSTOP)
    assert "Another run is writing" in faceswap("extract", *arguments, code=1).stderr
    run.send_signal(stop)
    run.send_signal(signal.SIGCONT)
    _, said = run.communicate(timeout=600)
    assert run.returncode == 130 and "Run the same command again" in said and "Traceback" not in said
    with AlignmentStore.open(store, read_only=True) as reader:
        before = len(reader.done())
    assert 5 <= before < LONG  # but for the few in the works, all whose faces lay there
    done = faceswap("extract", *arguments)
    assert f"Found {LONG} faces in {LONG} of {LONG} frames" in done.stderr and f"({before} had been searched before)" in done.stderr
    assert len(list_faces(faces)) == LONG


def test_killed_at_any_moment_it_goes_on(faceswap, long_clip, tmp_path):
    store, faces = tmp_path / "x.db", tmp_path / "faces"
    arguments = ("-i", long_clip, "-p", store, "-o", faces, "-D", "hog", *SLOW)
    moments = random.Random(7)
    done = 0
    for _ in range(int(os.environ.get("FACESWAP_TEST_KILLS", 4))):
        run = start(*arguments)
        time.sleep(moments.uniform(0.2, 2.5))
        run.kill()
        run.communicate()
        if store.exists() and store.stat().st_size:
            with AlignmentStore.open(store) as reader:
                kept = reader.done()
                assert len(kept) >= done and kept == set(range(len(kept)))
                done = len(kept)
    assert f"Found {LONG} faces in {LONG} of {LONG} frames" in faceswap("extract", *arguments).stderr
    files = [read_face(path) for path in list_faces(faces)]
    assert [file.origin.frame for file in files] == list(range(LONG))
    assert not list(faces.glob(".*"))
    with AlignmentStore.open(store, read_only=True) as reader:
        for index, file in enumerate(files):
            stored, = reader.faces(index)
            assert np.allclose(stored.fitted.landmarks, file.aligned.face.landmarks, atol=1e-3)


def test_damage_between_frames_is_told_each_time(faceswap, shared, tmp_path):
    clip = shared("videos/broken/damaged_in_the_middle.mp4")
    for _ in range(2):
        done = faceswap("extract", "-i", clip, "-p", tmp_path / "x.db", "-D", "hog", "--detector.upsample", 0, code=3)
        assert "frames are damaged" in done.stderr and "of 50 frames" in done.stderr


def test_json_log_has_an_object_a_line(faceswap, clip, tmp_path):
    lines = faceswap("extract", "-i", clip, "-D", "hog", "--log", "json").stderr.splitlines()
    assert any(json.loads(line).get("message", "").startswith("Found 16 faces") for line in lines)


@pytest.fixture
def two(two_people, tmp_path) -> Path:
    return Path(shutil.copy(two_people, tmp_path / "two.mp4"))


@pytest.fixture
def photos(tmp_path, astronaut, hopper) -> tuple[Path, Path]:
    (tmp_path / "photos").mkdir()
    for name, image in (("astronaut", astronaut), ("admiral", hopper)):
        picture_file.write(tmp_path / "photos" / f"{name}.png", image)
    return tmp_path / "photos" / "astronaut.png", tmp_path / "photos" / "admiral.png"


def frames_of(folder: Path) -> list[int]:
    return sorted(read_face(path).origin.frame for path in list_faces(folder))


ASTRONAUT, ADMIRAL = list(range(14)), list(range(14, 24))


def test_people_are_told_apart_and_one_can_be_taken(faceswap, two, tmp_path):
    done = faceswap("extract", "-i", two, "-o", tmp_path / "all", "-D", "hog")
    assert "2 people: person 1: 14 faces; person 2: 10 faces." in done.stderr and "--person NUMBER" in done.stderr
    sheet = picture_file.read(tmp_path / "all.sheet.png")
    assert sheet.shape == (2 * (24 + 112), 8 * 112, 3) and sheet[24:136].std() > 30
    faceswap("extract", "-i", two, "-o", tmp_path / "second", "-D", "hog", "--person", 2)
    assert frames_of(tmp_path / "all") == ASTRONAUT + ADMIRAL and frames_of(tmp_path / "second") == ADMIRAL
    done = faceswap("extract", "-i", two, "-D", "hog", "--person", 3, code=1)
    assert "There is no person 3" in done.stderr and "but 2, counted from 1" in done.stderr
    with AlignmentStore.open(Path(f"{two}.alignments.db"), read_only=True) as store:
        assert store.counts()[0] == len(ADMIRAL)  # as before
    done = faceswap("extract", "-i", two, "-o", tmp_path / "second", "-D", "hog", code=1)  # all, into a folder of one
    assert "another choice of people" in done.stderr
    faceswap("extract", "-i", two, "-D", "hog")  # nobody is left out any more
    with AlignmentStore.open(Path(f"{two}.alignments.db"), read_only=True) as store:
        assert store.counts() == (24, 24, 24) and not store.dropped_counts()


@pytest.mark.parametrize(("option", "left"), [("-f", ASTRONAUT), ("-n", ADMIRAL)])
def test_photos_say_whose_faces_are_kept(faceswap, two, photos, tmp_path, option, left):
    done = faceswap("extract", "-i", two, "-o", tmp_path / "faces", "-D", "hog", option, photos[0])
    assert frames_of(tmp_path / "faces") == left and f"Left out: {24 - len(left)} of somebody else." in done.stderr
    with AlignmentStore.open(Path(f"{two}.alignments.db"), read_only=True) as store:
        assert sorted(index for index, _ in store.all_faces()) == left
    again = faceswap("extract", "-i", two, "-o", tmp_path / "faces", "-D", "hog", option, photos[0])
    assert "Faces: 0 new" in again.stderr and frames_of(tmp_path / "faces") == left


def test_a_threshold_is_stricter_when_higher(faceswap, two, photos, tmp_path):
    done = faceswap("extract", "-i", two, "-o", tmp_path / "faces", "-D", "hog", "-f", photos[0], "-l", 0.99, code=1)
    assert "is like the people of -f: the most like has" in done.stderr and "Nothing was changed." in done.stderr
    with AlignmentStore.open(Path(f"{two}.alignments.db"), read_only=True) as store:
        assert store.counts()[0] == 24
    faceswap("extract", "-i", two, "-o", tmp_path / "faces", "-D", "hog", "-f", photos[0], "-l", -1)
    assert frames_of(tmp_path / "faces") == ASTRONAUT + ADMIRAL


def test_another_choice_brings_the_others_back_and_an_earlier_folder_goes_on(faceswap, two, tmp_path):
    def run(*more) -> str:
        return faceswap("extract", "-i", two, "-D", "hog", *more).stderr

    run()
    run("-o", tmp_path / "second", "--person", 2)
    assert "Faces: 24 new" in run("-o", tmp_path / "all") and frames_of(tmp_path / "all") == ASTRONAUT + ADMIRAL
    run("-o", tmp_path / "first", "--person", 1)
    assert "Faces: 0 new" in run("-o", tmp_path / "second", "--person", 2)
    refused = faceswap("extract", "-i", two, "-D", "hog", "-o", tmp_path / "second", "--person", 1, code=1).stderr
    assert "another choice of people" in refused


def test_people_keep_their_numbers_when_one_of_them_grows_rare(faceswap, two, tmp_path):
    def run(*more) -> str:
        return faceswap("extract", "-i", two, "-D", "hog", *more).stderr

    run("-o", tmp_path / "first", "--person", 1) if run() else None
    for path in list_faces(tmp_path / "first")[:8]:
        path.unlink()
    faceswap("alignments", "remove", "-i", two, "-f", tmp_path / "first")
    run("-o", tmp_path / "second", "--person", 2)
    assert frames_of(tmp_path / "second") == ADMIRAL
    assert "person 1: 6 faces; person 2: 10 faces" in run("-o", tmp_path / "all")
    assert "Left out 0 faces" in faceswap("alignments", "remove", "-i", two, "-f", tmp_path / "first").stderr  # those of person 2 stay


def test_a_picture_that_takes_the_place_of_another_gets_its_person(faceswap, photos, tmp_path):
    folder = photos[0].parent
    shutil.copy(photos[0], folder / "again.png")
    assert "2 people: person 1: 2 faces; person 2: 1 face." in faceswap("extract", "-i", folder, "-D", "hog").stderr
    (folder / "again.png").unlink()
    picture_file.write(folder / "z.png", picture_file.read(photos[1])[:, ::-1])
    assert "2 people: person 1: 1 face; person 2: 2 faces." in faceswap("extract", "-i", folder, "-D", "hog").stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(faceswap, photos, tmp_path, clip):
    folder = tmp_path / "old\udcff"
    folder.mkdir()
    shutil.copy(photos[0], folder / "bad\udcff.png")
    faces = tmp_path / "faces\udcfe"
    for _ in range(2):
        faceswap("extract", "-i", folder, "-o", faces, "-D", "hog")
    assert len(list_faces(faces)) == 1
    with AlignmentStore.open(Path(f"{folder}.alignments.db"), read_only=True) as store:
        assert store.names() == {0: "bad\\xff.png"}


@pytest.mark.parametrize("more, code, said", [
    (["--detector.min-score", 0.5], 2, "The detector 'auto' has no option --detector.min-score. hog and mmod and mtcnn and yunet have it"),
    (["--person", "1,2"], 2, "--person needs whole numbers, not '1,2'; separate them by blanks"),
    (["-l", 0.9], 2, "-l/--ref-threshold says how like a face must be to photos: name them with -f or -n"),
    (["-A", "onnx"], 2, "--aligner.network must be given: The TOML file that describes the network (docs/onnx.md)"),
    (["--shard", "1/2"], 2, "--shard needs an alignments file of its own"),
    (["-i", "https://example.com/a.mp4"], 1, "is an address, not a file. Download it first"),
    (["-p", "IN"], 1, "is not an alignments file, or its beginning is damaged. Name another file with -p."),
])
def test_mistakes_say_what_to_do(faceswap, clip, more, code, said):
    done = faceswap("extract", "-i", clip, *(clip if one == "IN" else one for one in more), code=code)
    assert said in done.stderr and done.stderr.count("\n") == 1 and "delete" not in done.stderr


def test_what_left_all_faces_out_says_how_they_come_back(faceswap, clip, tmp_path, own_plugins, tiny_swap):
    faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog")
    for path in list_faces(tmp_path / "faces"):
        path.unlink()
    faceswap("alignments", "remove", "-i", clip, "-f", tmp_path / "faces", "--all")
    for command in (["extract", "-i", clip, "-D", "hog"], ["mask", "-i", clip, "-M", "extended"],
                    ["convert", "-i", clip, "-o", tmp_path / "out.mp4", "-m", tiny_swap / "out.faceswap" / "model"]):
        said = faceswap(*command, code=1, **own_plugins).stderr
        assert "left out" in said and "alignments remove --undo brings back what was removed" in said and "--min-face" not in said
    small = faceswap("extract", "-i", clip, "-p", tmp_path / "large.db", "-D", "hog", "--min-face", 250, code=1).stderr
    assert "smaller than --min-face" in small and "search again with a smaller --min-face" in small


def test_a_long_name_is_cut_for_its_faces(faceswap, photos, tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    shutil.copy(photos[0], folder / f"{'l' * 240}.png")
    shutil.copy(photos[0], folder / f"{'l' * 239}m.png")
    faceswap("extract", "-i", folder, "-o", tmp_path / "faces", "-D", "hog")
    assert len({read_face(path).origin.name for path in list_faces(tmp_path / "faces")}) == 2
    assert "Faces: 0 new" in faceswap("extract", "-i", folder, "-o", tmp_path / "faces", "-D", "hog").stderr


def test_photos_of_people_in_single_pictures(faceswap, photos, tmp_path):
    faceswap("extract", "-i", photos[0].parent, "-o", tmp_path / "faces", "-D", "hog", "-f", photos[1])
    face, = list_faces(tmp_path / "faces")
    assert read_face(face).origin.name == "admiral.png"


def test_each_part_is_searched_alone(faceswap, two, tmp_path):
    for part in range(1, 4):
        done = faceswap("extract", "-i", two, "-p", tmp_path / f"{part}.db", "-o", tmp_path / "faces", "-D", "hog", "--shard", f"{part}/3")
        assert "alignments merge" in done.stderr
    done = [AlignmentStore.open(tmp_path / f"{part}.db", read_only=True).done() for part in range(1, 4)]
    assert [sorted(part) for part in done] == [list(range(8)), list(range(8, 16)), list(range(16, 24))]
    assert frames_of(tmp_path / "faces") == list(range(24))
    again = faceswap("extract", "-i", two, "-p", tmp_path / "2.db", "-D", "hog", "--shard", "2/3")
    assert "All frames had been searched before" in again.stderr
    assert "the part 2/3" in faceswap("extract", "-i", two, "-p", tmp_path / "2.db", "-D", "hog", "--shard", "1/3", code=1).stderr
    assert "alignments merge" in faceswap("extract", "-i", two, "-p", tmp_path / "2.db", "-D", "hog", code=1).stderr
    faceswap("alignments", "merge", "-i", two, "-p", *(tmp_path / f"{part}.db" for part in range(1, 4)), "-o", tmp_path / "all.db")
    whole = faceswap("extract", "-i", two, "-p", tmp_path / "all.db", "-o", tmp_path / "faces", "-D", "hog")
    assert "All frames had been searched before" in whole.stderr and "Faces: 0 new" in whole.stderr and "2 people" in whole.stderr
    faceswap("extract", "-i", two, "-p", tmp_path / "one.db", "-D", "hog")
    rows = []
    for name in ("all.db", "one.db"):
        with AlignmentStore.open(tmp_path / name, read_only=True) as store:
            faces = [(index, stored) for index in range(24) for stored in store.faces(index)]
            rows.append([(index, stored.number, stored.track, stored.person, stored.face.landmarks.tobytes(),
                          stored.fitted.landmarks.tobytes(), stored.masks["hull"].tobytes()) for index, stored in faces])
    assert rows[0] == rows[1]


@pytest.mark.parametrize("said", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_a_part_that_cannot_be(faceswap, two, said):
    assert "--shard must be" in faceswap("extract", "-i", two, f"--shard={said}", code=2).stderr


def test_which_stage_takes_the_time(faceswap, clip):
    done = faceswap("extract", "-i", clip, "-D", "hog", "--profile")
    assert all(stage in done.stderr for stage in ("detect", "align", "decode", "of processor time in", "cores"))
