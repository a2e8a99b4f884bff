"""`convert` as its users run it, with a model that learnt next to nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from lib.alignments.store import AlignmentStore, default_store
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.media.pictures.contact_sheet import LINE
from lib.provenance.run_record import locked_output

ROOT = Path(__file__).resolve().parents[2]


def spoken(value) -> str | None:
    return " ".join(value) if isinstance(value, list) else ""


@pytest.fixture(scope="module")
def model(tiny_swap) -> Path:
    return tiny_swap / "out.faceswap" / "model"


@pytest.fixture
def convert(model, faceswap, own_plugins):
    """`convert(input, output, "-s")` runs the command and returns what it said."""

    def run(source, output, *more, code=0, model=model, **options) -> str:
        which = ["-m", model] if model else []
        return faceswap("convert", "-i", source, "-o", output, *which, "-D", "hog", *more, code=code, **own_plugins, **options).stderr

    return run


@pytest.fixture
def clip(clips, tmp_path) -> Path:
    """The astronaut's clip, never searched before."""
    return Path(shutil.copy(clips[0], tmp_path / "clip.mp4"))


@pytest.fixture(scope="module")
def talking(clips, tmp_path_factory) -> Path:
    """The astronaut's clip with sound; frames 5 to 8 show no face, and frames 10 and 11 were dropped."""
    path = tmp_path_factory.mktemp("talking") / "talking.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "12", "bf": "0"})
        video.width, video.height, video.pix_fmt = 256, 256, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for frame in open_source(clips[0]):
            if frame.index not in (10, 11):
                picture = av.VideoFrame.from_ndarray(frame.image if not 5 <= frame.index <= 8 else np.full_like(frame.image, 90))
                picture.pts = frame.index
                container.mux(video.encode(picture))
        wave = (np.sin(np.arange(16000 * 16 // 25) / 5) * 8000).astype(np.int16)[None]
        samples = av.AudioFrame.from_ndarray(wave, "s16", "mono")
        samples.sample_rate = 16000
        container.mux(sound.encode(samples))
        container.mux([*video.encode(None), *sound.encode(None)])
    return path


def sound_of(path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.hstack([frame.to_ndarray() for frame in container.decode(audio=0)])


def box_of(landmarks, shape) -> np.ndarray:
    """The face's surroundings as a mask: no pixel outside may change."""
    mask = np.zeros(shape[:2], bool)
    (left, top), (right, bottom) = landmarks.min(0), landmarks.max(0)
    height = bottom - top
    mask[max(0, int(top - 0.3 * height)):int(bottom + 0.05 * height), max(0, int(left - 0.05 * height)):int(right + 0.05 * height)] = True
    return mask


def test_a_video_keeps_its_sound_frames_and_times_and_changes_in_the_face_alone(talking, convert, tmp_path):
    shutil.copy(talking, tmp_path)
    talking = tmp_path / talking.name
    said = convert(talking, tmp_path / "out.mkv", "-w", "video", "--writer.codec", "ffv1")
    assert "Swapped 10 faces in 10 of 14 frames" in said
    before, after = list(open_source(talking)), list(open_source(tmp_path / "out.mkv"))
    assert [frame.time for frame in after] == [frame.time for frame in before] and len(after) == 14
    assert (sound_of(tmp_path / "out.mkv") == sound_of(talking)).all()

    convert(talking, tmp_path / "pictures")  # lossless, so that pixels can be compared one by one
    with AlignmentStore.open(default_store(talking), read_only=True) as store:
        for frame, file in zip(before, sorted((tmp_path / "pictures").glob("*.png")), strict=True):
            changed = (picture_file.read(file) != frame.image).any(-1)
            faces = store.faces(frame.index)
            if not faces:
                assert not changed.any()
            else:
                inside = box_of(faces[0].face.landmarks, frame.image.shape)
                assert not changed[~inside].any() and changed[inside].mean() > 0.3


def test_a_table_of_the_configuration_holds_for_the_writer_that_the_name_chooses(clip, convert, tmp_path):
    (tmp_path / "c.toml").write_text('[writer.video]\ncodec = "vp9"\n')
    convert(clip, tmp_path / "out.mp4", "--config", tmp_path / "c.toml")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name.startswith(("vp9", "libvpx"))


def test_alignments_are_kept_and_used_again(clip, convert, tmp_path):
    assert "Finding faces" in convert(clip, tmp_path / "out.mp4", "-p", tmp_path / "found.db")
    assert "Finding faces" not in convert(clip, tmp_path / "again.mp4", "-p", tmp_path / "found.db", "-c", "none")
    assert not default_store(clip).exists()


def test_what_was_extracted_in_another_way_is_used_as_it_is(clip, convert, faceswap, tmp_path):
    faceswap("extract", "-i", clip, "-D", "hog", "--aligner.refeed", 1)
    assert "Finding faces" not in convert(clip, tmp_path / "out.mp4")
    refused = convert(clip, tmp_path / "again.mp4", "--aligner.refeed", 4, code=1)
    assert "refeed=1" in refused and "refeed=4" in refused


def changed_by(convert, clip, output, *mask) -> np.ndarray:
    """(frames, H, W): by how many levels a convert with -M `mask` changes the clip."""
    convert(clip, output, "-M", *mask, "--feather", 0)
    files = sorted(output.glob("*.png"))
    return np.stack([np.abs(picture_file.read(file) - frame.image.astype(int)).max(-1)
                     for file, frame in zip(files, open_source(clip), strict=True)])


def test_masks_that_were_made_before_are_used(clip, convert, faceswap, skin_network, tmp_path):
    plain = changed_by(convert, clip, tmp_path / "plain", "hull")
    faceswap("mask", "-i", clip, "-M", "hull", "onnx", "--masker.hull.dilation", 0.15, "--masker.onnx.network", skin_network)
    wider = changed_by(convert, clip, tmp_path / "wider", "hull")
    assert ((plain > 0) & (wider == 0)).sum() < 0.01 * (plain > 0).sum() and (wider > 0).sum() > 1.2 * (plain > 0).sum()
    skin = changed_by(convert, clip, tmp_path / "skin", "onnx*hull")
    red, green, blue = np.stack([frame.image for frame in open_source(clip)]).transpose(3, 0, 1, 2) / 255
    redness, there = 2 * red - green - blue, wider > 20
    reddest, palest = (there & (redness > 0.4)), (there & (redness < 0.1))
    assert min(reddest.sum(), palest.sum()) > 1000
    assert (skin / np.maximum(wider, 1))[reddest].mean() > 0.95 and (skin / np.maximum(wider, 1))[palest].mean() < 0.5


def test_faces_without_the_mask_asked_for_are_told(clip, convert, faceswap, skin_network, tmp_path):
    faceswap("extract", "-i", clip, "-D", "hog", "-M", "onnx", "--masker.network", skin_network)
    with AlignmentStore.open(default_store(clip)) as store:
        store._rows("DELETE FROM masks WHERE frame > 11")
    said = convert(clip, tmp_path / "out.mp4", "-M", "onnx", code=1)
    assert f"has no mask onnx of the faces in 4 of its frames. Run faceswap.py mask -i {clip} -M onnx" in said
    assert not (tmp_path / "out.mp4").exists()


def test_pictures_never_extracted_before_keep_their_names_as_the_article_has_it(clips, model, own_plugins, tmp_path):
    """`convert -i ./data/test/ -o ./data/output/ -m ./models/x2y/`, with the frames that ffmpeg numbers without zeros."""
    (tmp_path / "data" / "test").mkdir(parents=True)
    shutil.copytree(model, tmp_path / "models" / "x2y")
    for frame in open_source(clips[0]).frames(0, 11):
        picture_file.write(tmp_path / "data" / "test" / f"video-{frame.index + 1}.png", frame.image)
    arguments = ["-i", "./data/test/", "-o", "./data/output/", "-m", "./models/x2y/"]
    done = subprocess.run([sys.executable, ROOT / "faceswap.py", "convert", *arguments],
                          cwd=tmp_path, env=os.environ | own_plugins, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = {f"video-{number}.png" for number in range(1, 12)}
    assert {file.name for file in (tmp_path / "data" / "output").glob("[!.]*")} == names
    for name in names:
        before, after = (picture_file.read(tmp_path / "data" / folder / name) for folder in ("test", "output"))
        assert 0.02 < (before != after).any(-1).mean() < 0.6
    with AlignmentStore.open(default_store(tmp_path / "data" / "test"), read_only=True) as store:
        assert store.names()[1] == "video-2.png" and store.names()[9] == "video-10.png"


@pytest.fixture(scope="module")
def couple(clips, tmp_path_factory) -> Path:
    """A folder of one picture: person A of the model on the left, person B on the right and larger."""
    folder = tmp_path_factory.mktemp("couple")
    left, right = (next(iter(open_source(path))).image for path in clips)
    image = np.zeros((512, 512 + 256, 3), np.uint8)
    image[:256, :256], image[:, 256:] = left, np.kron(right, np.ones((2, 2, 1), np.uint8))
    picture_file.write(folder / "couple.png", image)
    return folder


@pytest.mark.parametrize("choice, left, right", [
    (["--faces", "all"], True, True), (["--faces", "largest"], False, True),
    (["--faces", "nearest-a"], True, False), (["--faces", "nearest-a", "-s"], False, True)], ids=spoken)
def test_faces_are_chosen(couple, convert, tmp_path, choice, left, right):
    convert(couple, tmp_path / "out", *choice)
    changed = (picture_file.read(tmp_path / "out" / "couple.png") != picture_file.read(couple / "couple.png")).any(-1)
    assert (changed[:, :256].any(), changed[:, 256:].any()) == (left, right)


def test_swapped_both_ways_differs(couple, convert, tmp_path):
    convert(couple, tmp_path / "b")
    convert(couple, tmp_path / "a", "--swap-model")
    assert (picture_file.read(tmp_path / "a" / "couple.png") != picture_file.read(tmp_path / "b" / "couple.png")).any()


def test_a_picture_that_cannot_be_read_is_told_and_the_others_are_converted(clips, convert, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for frame in open_source(clips[0]).frames(0, 3):
        picture_file.write(folder / f"{frame.index}.png", frame.image)
    whole = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(whole[:len(whole) // 2])
    said = convert(folder, tmp_path / "out", code=3)
    assert "Incomplete input: " in said and "1.png" in said
    assert {file.name for file in (tmp_path / "out").glob("[!.]*")} == {"0.png", "2.png"}


def test_pictures_that_exchange_their_names_are_converted_again(clips, convert, tmp_path):
    """As BMP all are of one size, and their times are kept."""
    folder = tmp_path / "in"
    folder.mkdir()
    for clip, name in zip(clips, ("1.bmp", "2.bmp")):
        picture_file.write(folder / name, next(iter(open_source(clip))).image)
        os.utime(folder / name, ns=(10 ** 18,) * 2)
    convert(folder, tmp_path / "out")
    before = {name: picture_file.read(tmp_path / "out" / name) for name in ("1.bmp", "2.bmp")}
    (folder / "1.bmp").rename(folder / "x")
    (folder / "2.bmp").rename(folder / "1.bmp")
    (folder / "x").rename(folder / "2.bmp")
    assert "searched again: 2 pictures of" in (said := convert(folder, tmp_path / "out"))
    assert "Nothing was left to do" not in said
    for new, old in ("1.bmp", "2.bmp"), ("2.bmp", "1.bmp"):
        assert np.abs(picture_file.read(tmp_path / "out" / new) - before[old].astype(float)).mean() < 1
    assert "Nothing was left to do" in convert(folder, tmp_path / "out")


def test_another_photo_under_the_name_of_one_that_says_who_is_meant_counts(clip, clips, convert, tmp_path):
    photo = tmp_path / "who.png"
    for source, swapped in zip(clips, ("in 16 of 16 frames", "Nobody in")):
        picture_file.write(photo, next(iter(open_source(source))).image)
        assert swapped in convert(clip, tmp_path / "out", "-f", photo, code=None)


PICKY = """
import numpy as np

from lib.plugin import MASKERS, Masker


@MASKERS.register
class Picky(Masker):
    'The whole crop, but not of faces of less than 40 pixels.'

    def mask(self, aligned):
        if np.ptp(aligned.face.landmarks[:, 1]) < 40:
            raise ValueError("the face is too small")
        return np.ones((*aligned.image.shape[:2], 1), np.float32)
"""


def test_what_an_earlier_run_could_not_do_is_tried_again(clip, model, faceswap, own_plugins, tmp_path):
    plugins = tmp_path / "plugins"
    shutil.copytree(own_plugins["FACESWAP_PLUGINS"], plugins)
    (plugins / "maskers" / "picky.py").write_text(PICKY)

    def convert(source, output, *more, code=0) -> str:
        line = "convert", "-i", source, "-o", output, "-m", model, "-D", "hog", "-M", "picky", *more
        return faceswap(*line, code=code, FACESWAP_PLUGINS=str(plugins)).stderr

    convert(clip, tmp_path / "out")
    with AlignmentStore.open(default_store(clip)) as store:
        stored, = store.faces(6)
        small = stored.face.landmarks / 4
        store.add(6, "", 0.24, [replace(stored, face=replace(stored.face, landmarks=small), raw=None)])
    for what in ("in 15 of 16 frames", "1 frame that failed in an earlier run: tried again"):
        said = convert(clip, tmp_path / "out", code=3)
        assert what in said and "Frame 7 was written unchanged: the face is too small." in said
    record = tmp_path / "out.run.json"  # of a run that was killed
    record.write_text(json.dumps(json.loads(record.read_text()) | {"finished": False}))
    (tmp_path / "out" / "clip_000003.png").unlink()
    said = convert(clip, tmp_path / "out", code=3)
    assert "Frame 7 was" in said and "1 of 2 frames " in said and "Used 14 frames of an earlier run" in said
    assert json.loads(record.read_text())["failures"] == ["Frame 7 was written unchanged: the face is too small."]
    assert json.loads(record.read_text())["failed"] == [6]
    (plugins / "maskers" / "picky.py").write_text(PICKY.replace("< 40", "< 4"))  # the reason is gone
    assert "in 1 of 1 frame " in convert(clip, tmp_path / "out") and json.loads(record.read_text())["failed"] == []
    assert "Nothing was left to do" in convert(clip, tmp_path / "out")
    assert "Frame 7" not in convert(clip, tmp_path / "out", "--frames", "1-3")


FAILING = """
import numpy as np

from lib.plugin import COLORS, Color


@COLORS.register
class Failing(Color):
    'Cannot measure the third face.'

    asked = 0

    def measure(self, swapped, original, mask):
        self.asked += 1
        if self.asked == 3:
            raise np.linalg.LinAlgError("does not converge")

    def recolor(self, swapped, measured, place):
        return swapped
"""


def test_a_colour_plugin_of_ones_own_that_fails_does_not_end_the_run(clip, model, faceswap, own_plugins, tmp_path):
    plugins = tmp_path / "plugins"
    shutil.copytree(own_plugins["FACESWAP_PLUGINS"], plugins)
    (plugins / "colors").mkdir()
    (plugins / "colors" / "failing.py").write_text(FAILING)
    done = faceswap("convert", "-i", clip, "-o", tmp_path / "out", "-m", model, "-D", "hog", "-c", "failing", code=3,
                    FACESWAP_PLUGINS=str(plugins))
    assert done.stderr.count("was written unchanged: does not converge.") == 1
    assert len(list((tmp_path / "out").glob("*.png"))) == 16


def interrupted(clip, model, output, number, own_plugins) -> int:
    """Runs convert, sends signal `number` once the output is begun, and returns the exit code."""
    process = subprocess.Popen([sys.executable, ROOT / "faceswap.py", "convert", "-i", clip, "-o", output, "-m", model, "-D", "hog"],
                               env=os.environ | own_plugins, stderr=subprocess.DEVNULL)
    part = output.with_name(output.name + ".part")
    while not part.exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)  # into the search for faces, or the swap
    process.send_signal(number)
    return process.wait(600)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_killed_runs_leave_nothing_broken_and_the_next_succeeds(clip, model, convert, own_plugins, tmp_path):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"the result of an earlier run")
    assert interrupted(clip, model, output, signal.SIGTERM, own_plugins) == 130
    assert output.read_bytes() == b"the result of an earlier run"
    assert interrupted(clip, model, output, signal.SIGKILL, own_plugins) == -9
    assert output.read_bytes() == b"the result of an earlier run"
    convert(clip, output)
    assert len(list(open_source(output))) == 16
    assert not output.with_name("out.mp4.part").exists()


@pytest.fixture(scope="module")
def long_clip(clips, tmp_path_factory) -> Path:
    """The astronaut's clip to and fro: 180 frames, which make two segments of a video."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    frames = list(open_source(clips[0]))
    there_and_back = [*frames, *frames[-2:0:-1]]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "16", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 256, 256, "yuv420p"
        for number in range(180):
            container.mux(video.encode(av.VideoFrame.from_ndarray(there_and_back[number % len(there_and_back)].image)))
        container.mux(video.encode(None))
    return path


@pytest.fixture(scope="module")
def searched(long_clip, faceswap, own_plugins) -> Path:
    """The long clip, its faces found."""
    faceswap("extract", "-i", long_clip, "-D", "hog", **own_plugins)
    return long_clip


@pytest.fixture(scope="module")
def whole(searched, model, faceswap, own_plugins) -> Path:
    """What one run makes of it; without a signature, of which no two are alike."""
    faceswap("convert", "-i", searched, "-o", searched.with_name("whole.mp4"), "-m", model, "--no-provenance", **own_plugins)
    return searched.with_name("whole.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_killed_in_the_middle_it_goes_on_to_the_same_result(searched, whole, convert, model, own_plugins, tmp_path):
    arguments = [sys.executable, ROOT / "faceswap.py", "convert", "-i", searched, "-o", tmp_path / "out.mp4", "-m", model,
                 "--no-provenance"]
    process = subprocess.Popen(arguments, env=os.environ | own_plugins, stderr=subprocess.DEVNULL)
    while not (tmp_path / "out.mp4.part" / "000000").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait(600) == -9
    there = {file.name for file in (tmp_path / "out.mp4.part").iterdir() if file.name.isdecimal()}
    assert there and not (tmp_path / "out.mp4").exists()
    said = convert(searched, tmp_path / "out.mp4", "--no-provenance")
    assert f"of {180 - 120 * len(there)} frames" in said
    assert (tmp_path / "out.mp4").read_bytes() == whole.read_bytes()
    assert not (tmp_path / "out.mp4.part").exists()


def test_shards_make_what_one_run_makes(searched, whole, convert, tmp_path):
    assert "1 part of other shards" in convert(searched, tmp_path / "out.mp4", "--shard", "2/2", "--no-provenance")
    convert(searched, tmp_path / "out.mp4", "--shard", "1/2", "--no-provenance")
    assert (tmp_path / "out.mp4").read_bytes() == whole.read_bytes()
    assert json.loads((tmp_path / "out.mp4.2of2.run.json").read_text())["frames"] == 60


def test_a_video_that_is_searched_needs_no_detector_and_lets_others_read(searched, convert, tmp_path):
    with AlignmentStore.open(default_store(searched)) as store:  # as another run does that writes to it
        kept = store.settings["detector"]
        store.update_settings({"detector": {"name": "hog", "options": {"no_such_option": 1}}})
        try:
            assert "in 3 of 3 frames" in convert(searched, tmp_path / "out", "--to", "0.12")
            assert "Another run is writing" in convert(searched, tmp_path / "other", "--to", "0.12", "-D", "mmod", code=1)
        finally:
            store.update_settings({"detector": kept})


def test_a_shard_does_not_search(clip, convert, tmp_path):
    convert(clip, tmp_path / "out.mp4", "--frames", "1-4")
    said = convert(clip, tmp_path / "out.mp4", "--shard", "1/2", code=1)
    assert f"lacks 12 frames. Run faceswap.py extract -i {clip} first" in said


def test_only_what_is_asked_for_is_searched_and_changed(clip, convert, tmp_path):
    assert "in 4 of 16 frames" in convert(clip, tmp_path / "some", "--frames", "2-3,15-")
    before, after = list(open_source(clip)), list(open_source(tmp_path / "some"))
    assert [frame.index for frame, now in zip(before, after, strict=True) if (frame.image != now.image).any()] == [1, 2, 14, 15]
    with AlignmentStore.open(default_store(clip), read_only=True) as store:
        assert store.done() == {1, 2, 14, 15}
    assert "in 5 of 5 frames" in convert(clip, tmp_path / "cut.mp4", "--from", "0.2", "--to", "0:0.4")
    assert [frame.time for frame in open_source(tmp_path / "cut.mp4")] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert {file.name for file in (tmp_path / "some").glob("[!.]*")} == {f"clip_{number:06d}.png" for number in range(1, 17)}


def test_pictures_that_are_there_are_not_made_again_while_nothing_changes(clip, convert, tmp_path):
    convert(clip, tmp_path / "out")
    (tmp_path / "out" / "clip_000003.png").unlink()
    (tmp_path / "out" / "clip_000004.png").unlink()
    assert "in 2 of 2 frames" in convert(clip, tmp_path / "out")
    assert "in 16 of 16 frames" in convert(clip, tmp_path / "out", "-c", "none")
    assert "in 16 of 16 frames" in convert(clip, tmp_path / "out")


def test_a_record_tells_how_the_result_came_about(clip, convert, model, tmp_path):
    convert(clip, tmp_path / "out.mp4", "-c", "linear", "--erosion", 0.05)
    record = json.loads((tmp_path / "out.mp4.run.json").read_text())
    assert record["finished"] and (record["frames"], record["frames_swapped"], record["faces"], record["failures"]) == (16, 16, 16, [])
    assert record["options"]["color"] == "linear" and record["options"]["erosion"] == 0.05
    assert record["inputs"]["input"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert len(record["models"][str(model)]) == 64 and record["versions"]["keras"] and record["seconds"] > 0


def test_a_preview_shows_choices_and_writes_nothing_else(clip, convert, tmp_path):
    (tmp_path / "new").mkdir()
    said = convert(clip, tmp_path / "new" / "out.mp4", "--preview", 3, "--try", "colors=none,reinhard", "erosion=0,0.1")
    assert "3 frames, to look at: " in said and os.listdir(tmp_path / "new") == ["out.mp4.preview.png"]
    sheet = picture_file.read(tmp_path / "new" / "out.mp4.preview.png")
    assert sheet.shape == (LINE + 5 * (LINE + 320), 3 * 320, 3)
    rows = [sheet[2 * LINE + row * (LINE + 320):LINE + (row + 1) * (LINE + 320)].astype(int) for row in range(5)]
    differences = [[np.abs(one - other).mean() for other in rows] for one in rows]
    assert all(differences[one][other] > 0.1 for one in range(5) for other in range(one))
    with AlignmentStore.open(default_store(clip), read_only=True) as store:
        assert len(store.done()) == 9, "no more frames are searched than may be shown"
    convert(clip, tmp_path / "new" / "two.jpg", "--preview", 2, "--frames", "7-9")
    assert picture_file.read(tmp_path / "new" / "two.jpg").shape == (LINE + 2 * (LINE + 320), 2 * 320, 3)


def test_several_people_get_a_face_each_from_a_model_of_their_own(couple, convert, clips, model, tmp_path):
    """The couple's picture has the astronaut on the left; both models are the same one."""
    other = shutil.copytree(model, tmp_path / "other")
    photos = []
    for clip, name in zip(clips, ("left.png", "right.png")):
        photos.append(tmp_path / name)
        picture_file.write(photos[-1], next(open_source(clip).frames(9, 10)).image)

    def changed(output, *arguments) -> tuple[bool, bool]:
        convert(couple, tmp_path / output, *arguments, model=None)
        difference = (picture_file.read(tmp_path / output / "couple.png") != picture_file.read(couple / "couple.png")).any(-1)
        return difference[:, :256].any(), difference[:, 256:].any()

    assert changed("both", "--swap", f"{photos[0]}={model}", f"{photos[1]}={other}") == (True, True)
    assert changed("one", "--swap", f"{photos[1]}={other}") == (False, True)
    assert changed("like", "-m", model, "-f", photos[0]) == (True, False)
    assert changed("unlike", "-m", model, "-n", photos[0]) == (False, True)


def test_faces_whose_pictures_were_deleted_stay(clip, convert, faceswap, own_plugins, tmp_path):
    faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog", **own_plugins)
    for file in sorted((tmp_path / "faces").glob("*.png"))[3:]:
        file.unlink()
    assert "in 3 of 16 frames" in convert(clip, tmp_path / "out.mp4", "-a", tmp_path / "faces")
    (tmp_path / "empty").mkdir()
    assert "None of the 0 faces" in convert(clip, tmp_path / "out.mp4", "-a", tmp_path / "empty", code=1)


def test_tracks_and_people_are_chosen_by_number(clip, convert, tmp_path):
    convert(clip, tmp_path / "out.mp4")
    with AlignmentStore.open(default_store(clip), read_only=True) as store:
        (track,) = {stored.track for _, stored in store.all_faces()}
    assert "in 16 of 16 frames" in convert(clip, tmp_path / "out.mp4", "--track", track)
    assert "in 0 of 16 frames" in convert(clip, tmp_path / "out.mp4", "--track", track + 1)
    assert "in 0 of 16 frames" in convert(clip, tmp_path / "out.mp4", "--person", 2)


def damage(model, tmp_path, change) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    for file in copy.glob("saves/*/*.h5"):
        change(file)
    return copy


def test_a_damaged_model_is_told_before_anything_is_done(clip, model, convert, tmp_path):
    broken = damage(model, tmp_path, lambda file: file.write_bytes(file.read_bytes()[:1000]))
    said = convert(clip, tmp_path / "out.mp4", model=broken, code=1)
    assert str(broken) in said and said.count("error: ") == 1
    assert not (tmp_path / "out.mp4").exists() and not default_store(clip).exists()


@pytest.mark.parametrize("more, code, words", [
    (["-m", "nowhere"], 1, "no model folder nowhere"),
    (["-m", "."], 1, "holds no model"),
    (["-M", "hul"], 2, "Did you mean 'hull'"),
    (["-M", "hull*onnx"], 2, "The mask onnx needs options of its own. Make it beforehand: faceswap.py mask"),
    (["-M", "predicted"], 1, "predicts no mask"),
    (["--morph", "0.5"], 1, "--morph is for models that learn what lies between two faces"),
    (["-c", "reinhart"], 2, "Did you mean 'reinhard'"),
    (["--faces", "some"], 2, "must be one of all, largest, nearest-a"),
    (["--feather", "2"], 2, "at most 0.5"),
    (["-i", "nothing.mp4"], 1, "nothing.mp4 does not exist"),
    (["-o", "clip.mp4"], 1, "the original is never overwritten"),
    (["-p", "clip.mp4"], 1, "not an alignments file"),
    (["--frames", "20-30"], 1, "has 16 frames"),
    (["--shard", "3"], 2, "such as 3/16"),
    (["--try", "colours=none"], 2, "Did you mean 'color'"),
    (["--try", "blenders=alpha,piramid"], 2, "Did you mean 'pyramid'"),
], ids=spoken)
def test_mistakes_are_told_in_a_line_and_nothing_is_written(clip, convert, monkeypatch, more, code, words):
    monkeypatch.chdir(clip.parent)
    before = clip.read_bytes()
    said = convert("clip.mp4", "out.mp4", *more, code=code)
    assert words in said.splitlines()[-1]
    assert {file.name for file in clip.parent.iterdir()} <= {"clip.mp4", "clip.mp4.alignments.db"} and clip.read_bytes() == before


def test_an_input_without_faces_is_told(convert, tmp_path):
    (tmp_path / "in").mkdir()
    picture_file.write(tmp_path / "in" / "grey.png", np.full((256, 256, 3), 90, np.uint8))
    assert "No faces found in" in convert(tmp_path / "in", tmp_path / "out.mp4", code=1)
    assert not (tmp_path / "out.mp4").exists()


def test_converting_the_clip_of_the_person_to_be_put_there_is_told(clips, convert, tmp_path):
    own = Path(shutil.copy(clips[1], tmp_path / "own.mp4"))
    assert f"The faces of {own} already look like B, whose face the model puts there" in convert(own, tmp_path / "out.mp4", "--frames", "1-4")
    assert "look like" not in convert(own, tmp_path / "out.mp4", "--frames", "1-4", "-s")


def test_a_second_run_to_one_output_is_refused(clip, convert, tmp_path):
    with locked_output(tmp_path / "out.mp4"):
        said = convert(clip, tmp_path / "out.mp4", "--frames", "1-4", code=1)
        assert f"Another run writes {tmp_path / 'out.mp4'}. Wait until it has ended" in said
        assert not (tmp_path / "out.mp4").exists() and not (tmp_path / "out.mp4.part").exists()
    convert(clip, tmp_path / "out.mp4", "--frames", "1-4")
