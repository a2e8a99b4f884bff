from dataclasses import asdict, dataclass

import numpy as np
import pytest
from PIL import Image

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.faces.geometry import crop_matrix
from lib.facesets.face_file import read_face
from lib.facesets.folder import FaceFolder, list_faces
from lib.media.endpoints.sample_clips import MovingCamera, astronaut
from lib.media.pictures.picture_source import PictureSource
from lib.plugin import ALIGNERS, DETECTORS, MASKERS, Detector

FRAMES = 18  # more than two batches


@dataclass
class Stopping(Detector):
    """hog until it is shown a picture past number `last`: then someone presses Ctrl-C."""

    last: int
    shown = 0

    def __post_init__(self):
        self._hog = hog()

    def detect(self, images):
        Stopping.shown += len(images)
        if Stopping.shown > self.last:
            raise KeyboardInterrupt
        return self._hog.detect(images)


@pytest.fixture
def film() -> MovingCamera:
    return MovingCamera(astronaut(), seconds=FRAMES / 25, side=256)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "film.alignments.db"


def hog() -> Detector:
    return DETECTORS.create("hog", upsample=0)


def dlib68():
    return ALIGNERS.create("dlib68")


def run(source, path, detector=hog, **options):
    with AlignmentStore.open(path) as store:
        return extract_faces(source, store, ExtractionSetup(detector if callable(detector) else lambda: detector, dlib68, **options))


def test_finds_what_a_plain_loop_finds(film, path):
    summary = run(film, path)
    assert (summary.faces, summary.frames_with_face, summary.frames, summary.searched) == (FRAMES,) * 4
    detector, aligner = hog(), dlib68()
    with AlignmentStore.open(path, read_only=True) as store:
        for frame in film:
            (stored,), (found,) = store.faces(frame.index), detector.detect([frame.image])[0]
            assert np.array_equal(stored.face.detection.box, found.box)
            assert np.array_equal(stored.fitted.landmarks, aligner.align([frame.image], [found.box[None]])[0][0])


def test_more_threads_give_the_same(film, tmp_path):
    stores = []
    for workers in (1, 5):
        run(film, tmp_path / f"{workers}.db", workers=workers, maskers=[MASKERS.create("hull")])
        with AlignmentStore.open(tmp_path / f"{workers}.db", read_only=True) as store:
            faces = [(index, stored) for index in range(FRAMES) for stored in store.faces(index)]
            stores.append([(index, stored.face.landmarks.tolist(), stored.masks["hull"].sum()) for index, stored in faces])
    assert stores[0] == stores[1]


def test_writes_each_face_with_its_origin(film, path, tmp_path):
    summary = run(film, path, sink=FaceFolder(tmp_path / "faces"), size=96, coverage="head")
    files = [read_face(path) for path in list_faces(tmp_path / "faces")]
    assert summary.written == len(files) == FRAMES
    assert [file.origin.frame for file in files] == list(range(FRAMES))
    assert all(file.size == 96 and file.coverage == "head" for file in files)
    last = files[-1]
    assert np.allclose(last.aligned.matrix, crop_matrix(last.aligned.face.landmarks, 96, "head"), atol=1e-2)
    assert last.origin.time == pytest.approx((FRAMES - 1) / 25)


def test_an_interrupted_run_goes_on(film, path, tmp_path):
    folder = FaceFolder(tmp_path / "faces")
    with pytest.raises(KeyboardInterrupt):
        run(film, path, Stopping(12), sink=folder, workers=1)
    with AlignmentStore.open(path) as store:
        done = store.done()
        store.update_settings({"detector": {"name": "hog", "options": asdict(hog())}})
    assert 0 < len(done) <= 12
    summary = run(film, path, sink=folder)
    assert (summary.faces, summary.searched) == (FRAMES, FRAMES - len(done))
    assert len(list_faces(folder.path)) == FRAMES


class Undecodable(MovingCamera):
    def frames(self, start=0, stop=None):
        raise AssertionError("decoded again")


def test_finished_work_is_not_even_decoded_again(film, path, tmp_path):
    folder = FaceFolder(tmp_path / "faces")
    run(film, path, sink=folder, maskers=[MASKERS.create("hull")])
    again = run(Undecodable(film.portrait, FRAMES / 25, 256), path, sink=folder, maskers=[MASKERS.create("hull")])
    assert again.searched == again.written == 0 and again.faces == FRAMES


def test_deleted_faces_stay_deleted(film, path, tmp_path):
    folder = FaceFolder(tmp_path / "faces")
    run(film, path, sink=folder)
    removed = list_faces(folder.path)[3]
    removed.unlink()
    assert run(film, path, sink=folder).written == 0
    assert not removed.exists()
    for face in list_faces(folder.path):  # the folder emptied: begun anew
        face.unlink()
    assert run(film, path, sink=folder).written == FRAMES


def test_faces_asked_for_later_are_cut_without_searching(film, path, tmp_path):
    run(film, path)
    summary = run(film, path, sink=FaceFolder(tmp_path / "faces"), maskers=[MASKERS.create("hull")])
    assert (summary.searched, summary.written) == (0, FRAMES)
    with AlignmentStore.open(path, read_only=True) as store:
        assert all(stored.masks["hull"].shape == (128, 128, 1) for index in range(FRAMES) for stored in store.faces(index))


def test_every_nth_frame_and_later_the_rest(film, path):
    first = run(film, path, every=4)
    assert (first.searched, first.frames) == (5, 5)
    assert run(film, path, every=4).searched == 0
    rest = run(film, path)
    assert (rest.searched, rest.frames) == (FRAMES - 5, FRAMES)
    assert run(film, path, every=3).frames == 6


def test_small_faces_are_left_out(film, path):
    assert run(film, path, min_face=200).faces == 0
    with pytest.raises(FaceswapError, match="made with --min-face 200, this run asks for --min-face 10"):
        run(film, path, min_face=10)
    assert run(film, path).faces == 0  # not asked for: as it was begun


def test_turned_frames_are_searched_and_the_angles_kept(path, tmp_path, astronaut):
    folder = tmp_path / "photos"
    folder.mkdir()
    for times, name in (0, "a"), (2, "b"):
        Image.fromarray(np.rot90(astronaut, times)).save(folder / f"{name}.png")
    assert run(PictureSource(folder), path).frames_with_face == 1
    with pytest.raises(FaceswapError, match="made with --rotate off, this run asks for --rotate 90,180"):
        run(PictureSource(folder), path, rotate=(90, 180))
    other = tmp_path / "other.db"
    assert run(PictureSource(folder), other, rotate=(180,), sink=FaceFolder(tmp_path / "faces")).faces == 2
    upright, turned = (read_face(file).aligned.image.astype(float) for file in list_faces(tmp_path / "faces"))
    assert np.abs(upright - turned).mean() < 12  # both stand upright in their crops
    assert run(PictureSource(folder), other).searched == 0  # not asked for: as it was begun


def test_another_detector_is_refused_but_auto_is_content(film, path):
    run(film, path, every=2)
    with pytest.raises(FaceswapError, match=r"detector hog .*upsample=0.*asks for detector hog .*upsample=1.*-p"):
        run(film, path, DETECTORS.create("hog"))
    summary = run(film, path, DETECTORS.create("auto"))
    assert summary.detector == "hog" and summary.faces == FRAMES


def test_another_source_is_refused(film, path):
    run(film, path)
    with pytest.raises(FaceswapError, match="belongs to"):
        run(MovingCamera(astronaut(), FRAMES / 25, side=200), path)


def test_new_pictures_in_a_folder_are_added(path, tmp_path, astronaut, hopper):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(hopper).save(folder / "b.png")
    Image.fromarray(astronaut).save(folder / "d.png")
    assert run(PictureSource(folder), path).searched == 2
    Image.fromarray(astronaut[:, ::-1]).save(folder / "a.png")
    summary = run(PictureSource(folder), path)
    assert (summary.searched, summary.faces) == (1, 3)
    (folder / "b.png").unlink()
    summary = run(PictureSource(folder), path)
    assert (summary.searched, summary.faces) == (0, 2)
    with AlignmentStore.open(path, read_only=True) as store:
        assert store.names() == {0: "a.png", 1: "d.png"}
        assert store.faces(1)[0].face.landmarks[:, 0].mean() < 256 < store.faces(0)[0].face.landmarks[:, 0].mean()


def test_an_unreadable_picture_is_told_and_tried_again(path, tmp_path, astronaut):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(astronaut).save(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:5000])
    Image.fromarray(astronaut).save(folder / "c.png")
    for searched in (2, 0):
        summary = run(PictureSource(folder), path)
        assert summary.searched == searched and summary.faces == 2
        assert len(summary.losses) == 1 and "b.png" in summary.losses[0]
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    summary = run(PictureSource(folder), path)
    assert (summary.searched, summary.faces, summary.losses) == (1, 3, [])
