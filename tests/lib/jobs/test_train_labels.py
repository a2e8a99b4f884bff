"""What users say of what covers training faces."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError
from lib.facesets.face_set import read_faces
from lib.facesets.folder import stem_of
from lib.jobs.extract import ExtractSettings, extract
from lib.jobs.train.labels import read_labels
from lib.media.pictures import picture_file
from lib.plugin import MASKERS


@pytest.fixture(scope="module")
def film(astronaut, hopper, tmp_path_factory):
    """A folder of two pictures that extract was run on, and its faces."""
    folder = tmp_path_factory.mktemp("labels")
    (folder / "film").mkdir()
    for name, picture in (("one", astronaut), ("two", hopper)):
        picture_file.write(folder / "film" / f"{name}.png", picture)
    extract(ExtractSettings(input=folder / "film", output=folder / "faces", detector="hog"))
    return folder / "film", read_faces(folder / "faces", 1)


def square(file, half: float) -> dict:
    """A polygon over the tip of the nose."""
    corners = file.aligned.face.landmarks[30] + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    return {"kind": "cover", "points": corners.tolist()}


def test_polygons_lie_over_the_face_where_they_were_drawn(film, tmp_path):
    _, files = film
    path = tmp_path / "covers.json"
    path.write_text(json.dumps([{"name": files[0].origin.name, "polygons": [square(files[0], 12)]}]))
    seen, nobody_said = read_labels([str(path)], files, None)
    assert nobody_said is None and seen.shape == (files[0].size,) * 2
    x, y = np.rint(files[0].landmarks[30]).astype(int)
    assert seen[y, x] == 0 and seen[y, x + 60] == 1
    scale = np.sqrt(abs(np.linalg.det(files[0].aligned.matrix[:, :2])))
    assert (1 - seen[20:-20, 20:-20]).sum() == pytest.approx((24 * scale) ** 2, rel=0.1)


def test_what_mask_export_wrote_is_read(film, tmp_path, faceswap):
    source, files = film
    faceswap("mask", "export", "-i", source, "-o", tmp_path / "out.json", "-M", "hull")
    labels = read_labels([str(tmp_path / "out.json")], files, None)
    for file, seen in zip(files, labels):
        hull = MASKERS.create("hull").mask(file.aligned)[..., 0]
        assert np.abs(seen - hull)[20:-20, 20:-20].mean() < 0.02


def test_source_and_number_choose_among_faces(film, tmp_path):
    _, files = film
    path = tmp_path / "covers.json"
    for choice, is_labelled in (({}, True), ({"number": 0, "file": "films/film"}, True), ({"number": 1}, False), ({"file": "x"}, False)):
        path.write_text(json.dumps([{"name": files[0].origin.name, "polygons": [square(files[0], 9)], **choice}]))
        if is_labelled:
            assert read_labels([str(path)], files, None)[0] is not None
        else:
            with pytest.raises(FaceswapError, match="says nothing of any of the 2 faces"):
                read_labels([str(path)], files, None)


def test_painted_masks_are_read_by_name(film, tmp_path):
    _, files = film
    painted = np.full((64, 64, 3), 255, np.uint8)
    painted[32:] = 0
    cv2.imwrite(str(tmp_path / f"{stem_of(files[1].origin)}_mask.png"), painted)
    first, second = read_labels([str(tmp_path)], files, None)
    assert first is None and second[:100].min() == 1 and second[150:].max() == 0


def test_stored_masks_are_labels_and_later_ones_win(film, tmp_path):
    source, files = film
    with AlignmentStore.open(default_store(source)) as store:
        mask = np.ones((128, 128, 1), np.float32)
        mask[:64] = 0
        store.add_masks(files[0].origin.frame, 0, {"hand": mask})
    first, second = read_labels(["hand"], files, None)
    assert second is None and first[:100].max() < 0.01 and first[160:200, 100:150].min() > 0.99
    painted = np.full((256, 256, 3), 255, np.uint8)
    cv2.imwrite(str(tmp_path / f"{stem_of(files[0].origin)}_mask.png"), painted)
    assert read_labels(["hand", str(tmp_path)], files, None)[0].min() == 1


@pytest.mark.parametrize("text", [
    "{", "[1]", '{"faces": 3}', '[{"name": "a.png"}]', '[{"polygons": []}]', '[{"frame": 0, "polygons": [{"kind": "cover", "points": []}]}]',
    '[{"name": "a.png", "polygons": [{"kind": "cover", "points": [[1, 2], [3, "x"], [4, 5]]}]}]', '[{"name": 3, "polygons": []}]',
    '[{"frame": 1, "number": -1, "polygons": [{"kind": "cover", "points": [[1, 2], [3, 4], [4, 5]]}]}]'])
def test_files_that_hold_no_polygons_are_refused_in_one_line(film, tmp_path, text):
    path = tmp_path / "covers.json"
    path.write_text(text)
    with pytest.raises(FaceswapError, match="covers.json holds no polygons") as caught:
        read_labels([str(path)], film[1], None)
    assert "\n" not in str(caught.value)


def test_labels_that_are_not_there_are_named(film, tmp_path):
    with pytest.raises(FaceswapError, match="there is no file .*none.json"):
        read_labels([str(tmp_path / "none.json")], film[1], None)
    for nothing in (str(tmp_path), "hands"):
        with pytest.raises(FaceswapError, match="says nothing of any of the 2 faces"):
            read_labels([nothing], film[1], None)
