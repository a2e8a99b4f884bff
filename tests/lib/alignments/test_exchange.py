"""Faces go out to other programs and come back as they were; what does not fit is named."""

import json
import tracemalloc

import numpy as np
import pytest

from lib.alignments import exchange
from lib.alignments.exchange import export_faces, import_faces
from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.store import AlignmentStore, new_store
from lib.errors import FaceswapError
from lib.faces.geometry import MEAN_FACE
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS

JAW = [[number / 16, 0.2 + number * (16 - number) / 128] for number in range(17)]
POINTS = [[float(x), float(y)] for x, y in (np.vstack([JAW, MEAN_FACE]) * 80 + (100.5, 100.25)).round(2)]
FACE = {"detected": [90.0, 90.0, 200.0, 200.0], "landmarks_2d": POINTS}


def search(source, store, **options):
    return extract_faces(source, store, ExtractionSetup(lambda: DETECTORS.create("auto"), lambda: ALIGNERS.create("dlib68"), **options))


@pytest.fixture(scope="module")
def video(clips):
    return open_source(clips[0])


@pytest.fixture(scope="module")
def exported(video, tmp_path_factory):
    """The JSON of 16 frames with a face each, the landmarks of which were smoothed."""
    folder = tmp_path_factory.mktemp("exported")
    with AlignmentStore.open(folder / "x.db") as store:
        extract_faces(video, store, ExtractionSetup(lambda: DETECTORS.create("hog"), lambda: ALIGNERS.create("dlib68")))
        assert export_faces(store, "astronaut", folder / "faces.json") == (16, 16)
        smoothed = [stored.face.landmarks for _, stored in store.all_faces()]
    said = json.loads((folder / "faces.json").read_text())
    np.testing.assert_allclose([faces[0]["landmarks_2d"] for faces in said.values()], smoothed, atol=0.0006)  # as convert takes them
    return folder / "faces.json"


def brought_in(said, source, tmp_path, **options):
    """The store that the JSON `said` (text, or what is to be JSON) becomes, opened to be read."""
    path = tmp_path / "faces.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
    with new_store(tmp_path / "in.db") as store:
        import_faces(path, source, store, **options)
    return AlignmentStore.open(tmp_path / "in.db", read_only=True)


def test_the_layout_is_that_of_deepfakes_faceswap(exported):
    said = json.loads(exported.read_text())
    assert list(said) == [f"astronaut_{number:06d}.png" for number in range(1, 17)]
    face, = said["astronaut_000001.png"]
    assert face.keys() == {"detected", "landmarks_2d"} and len(face["landmarks_2d"]) == 68
    left, top, right, bottom = face["detected"]
    assert left < np.mean(face["landmarks_2d"], axis=0)[0] < right and top < np.mean(face["landmarks_2d"], axis=0)[1] < bottom


def test_out_and_in_and_out_again_is_the_same(exported, video, tmp_path):
    with brought_in(exported.read_text(), video, tmp_path) as store:
        export_faces(store, "astronaut", tmp_path / "again.json")
        assert [time for _, _, time, _ in store.frame_counts()] == [frame.time for frame in video]
    assert (tmp_path / "again.json").read_bytes() == exported.read_bytes()


def test_extract_goes_on_with_imported_faces_and_changes_none(exported, video, tmp_path):
    said = json.loads(exported.read_text())
    said["astronaut_000008.png"] = []  # deleted in the other program: stays so, though its neighbours tell where it is
    brought_in(said, video, tmp_path).close()
    with AlignmentStore.open(tmp_path / "in.db") as store:
        summary = search(video, store)
        assert summary.searched == 0 and summary.faces == 15 and summary.filled == 0 and summary.tracks == 1
        assert store.faces(7) == []
        export_faces(store, "astronaut", tmp_path / "again.json")
        assert search(video, store, smooth=True).filled == 1  # now it was asked for
    assert json.loads((tmp_path / "again.json").read_text()) == said


@pytest.mark.parametrize("names, options, frames", [
    (["x_0.png", "x_3.png"], {}, {0, 3}),
    (["x_1.png", "x_16.png"], {}, {0, 15}),
    (["000003", "4.jpg"], {}, {2, 3}),
    (["x_3.png", "x_4.png"], {"first_frame": 0}, {3, 4}),
])
def test_frames_are_counted_from_0_or_from_1(video, tmp_path, names, options, frames):
    with brought_in({name: [FACE] for name in names}, video, tmp_path, **options) as store:
        assert store.done() == frames


@pytest.mark.parametrize("said, words", [
    ({"x_17.png": []}, "names the frame 'x_17.png', but astronaut.mp4 ends before it"),
    ({"x_0.png": [], "x_16.png": []}, "names the frame 'x_16.png'"),
    ({"x_1.png": [], "x_01.png": []}, "'x_1.png' and 'x_01.png' are one frame"),
    ({"x.png": []}, "'x.png' does not end in the number of a frame of astronaut.mp4"),
    ('{"x_1.png": [], "x_1.png": []}', "names 'x_1.png' twice"),
    ('{"x_1.png": [], "x_2.png": [', "no valid JSON after the frame 'x_1.png'"),
    ('{"x_1.png": [] "x_2.png": []}', "after the frame 'x_1.png' stands neither a comma nor the end"),
    ('{"x_1.png": []} more', "after the frame 'x_1.png' stands neither"),
    ('[{"x_1.png": []}]', "does not begin with {"),
    ("", "does not begin with {"),
    ({}, "names no frame: there is nothing to import"),
    ('{"x_1.png": ' + "[" * 100_000, "no valid JSON at its first frame"),
    ({"x_1.png": {}}, "frame 'x_1.png' must have a list of faces"),
    ({"x_1.png": [FACE, {"detected": FACE["detected"]}]}, "frame 'x_1.png', face 2: it has no \"landmarks_2d\""),
    ({"x_1.png": [FACE | {"landmarks_2d": POINTS[:51]}]}, "must be 68 points, not 51"),
    ({"x_1.png": [FACE | {"landmarks_2d": POINTS[:67] + [[1]]}]}, "must be two numbers"),
    ({"x_1.png": [FACE | {"landmarks_2d": POINTS[:67] + [[float("nan"), 1]]}]}, "must be two numbers"),
    ({"x_1.png": [FACE | {"landmarks_2d": POINTS[:67] + [["5", 1]]}]}, "must be two numbers"),
    ({"x_1.png": [FACE | {"landmarks_2d": [[5, 5]] * 68}]}, "its landmarks lie on one spot"),
    ({"x_1.png": [FACE | {"detected": [1, 2, 3]}]}, '"detected" must be four numbers'),
    ({"x_1.png": [FACE | {"detected": [1, 2, 1e300, 4]}]}, '"detected" must be four numbers'),
    ({"x_1.png": [FACE | {"detected": [20, 2, 3, 40]}]}, "left must be less than right"),
    ({"x_1.png": [FACE | {"detected": [900, 900, 1000, 1000]}]}, "outside the frame of 256x256 pixels"),
], ids=lambda value: "" if isinstance(value, dict) else str(value)[:40])
def test_what_does_not_fit_is_named_and_nothing_is_made(video, tmp_path, said, words):
    with pytest.raises(FaceswapError) as told:
        brought_in(said, video, tmp_path)
    assert words in str(told.value) and "faces.json" in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.json"]


def test_a_file_that_is_no_text(video, tmp_path):
    (tmp_path / "faces.json").write_bytes(b"\x80\x04\xff\xfe" * 100)
    with pytest.raises(FaceswapError, match="is not text"), new_store(tmp_path / "in.db") as store:
        import_faces(tmp_path / "faces.json", video, store)


def test_pictures_go_by_their_names(tmp_path, astronaut):
    (tmp_path / "photos").mkdir()
    for name in ("b 2.jpg", "b 10.jpg", "ä.png"):
        picture_file.write(tmp_path / "photos" / name, astronaut[:64, :64])
    source = open_source(tmp_path / "photos")
    with brought_in({"ä.png": [FACE], "b 10.jpg": []}, source, tmp_path) as store:
        assert store.names() == {1: "b 10.jpg", 2: "ä.png"} and len(store.faces(2)) == 1
        export_faces(store, "", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8")) == {"b 10.jpg": [], "ä.png": [FACE]}
    (tmp_path / "in.db").unlink()
    with pytest.raises(FaceswapError, match="pictures that the source does not have: c.jpg, d.jpg.*folder"):
        brought_in({"c.jpg": [], "ä.png": [], "d.jpg": []}, source, tmp_path)


def test_another_program_s_rectangle_becomes_a_square_around_the_landmarks(video, tmp_path):
    with brought_in({"x_1.png": [FACE | {"detected": [90, 60, 200, 220]}]}, video, tmp_path) as store:
        face = store.faces(0)[0].face
    left, top, right, bottom = face.detection.box
    assert right - left == pytest.approx(bottom - top) and face.detection.score == 1
    assert (left, right) == pytest.approx((100.5, 180.5)) and (face.landmarks.min(0) >= (left, top)).all()


def test_wherever_the_text_is_cut_into_pieces_it_is_read_the_same(tmp_path, monkeypatch):
    text = ' { "a\\u00e4.png" : [ { "detected" : [1.5, -2e3 ], "x": {"y": "}],"}} ] ,\n"b" : 123456 , "c": [] } \n'
    (tmp_path / "x.json").write_text(text)
    for size in range(3, 60):
        monkeypatch.setattr(exchange, "CHUNK", size)
        assert dict(exchange._entries(tmp_path / "x.json")) == json.loads(text)


def test_a_large_file_is_read_a_frame_at_a_time(tmp_path):
    one = json.dumps([FACE | {"landmarks_2d": [[x + 0.123, y + 0.456] for x, y in POINTS]}])
    with open(tmp_path / "x.json", "w") as file:
        file.write("{" + ",\n".join(f'"x_{number:06d}.png": {one}' for number in range(4000)) + "}")
    size = (tmp_path / "x.json").stat().st_size
    tracemalloc.start()
    assert len(exchange._names(tmp_path / "x.json")) == 4000
    for name, said in exchange._entries(tmp_path / "x.json"):
        exchange._faces(tmp_path, name, said, (256, 256))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 5.5e6 and peak < size
