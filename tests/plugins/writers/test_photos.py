"""What a photo has beside its colours goes through: transparency, grey, EXIF, 16 bits; or its loss is told."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import WRITERS
from lib.types import Patch

ROWS, COLUMNS = slice(30, 70), slice(40, 80)


def swapped(photo: Path, made: Path, **options) -> Path:
    """`photo` with a green square in it, as a face would be set in, grey in a grey one."""
    source = open_source(photo)
    with WRITERS.create("images", **options).open(made, source) as sink:
        for frame in source:
            before = frame.part(ROWS, COLUMNS, sink.deep)
            new = np.empty_like(before)
            grey = np.ptp(frame.image, axis=2).max() == 0
            new[:] = np.array((90, 90, 90) if grey else (20, 200, 40)) * (256 if sink.deep else 1)
            sink.patch(frame, [Patch(ROWS, COLUMNS, new, before, new, np.ones(before.shape[:2], np.float32))])
    return made


def disc(astronaut) -> np.ndarray:
    """(100, 120, 4): a part of the portrait, transparent around a disc."""
    y, x = np.mgrid[:100, :120]
    return np.dstack([astronaut[40:140, 160:280], np.clip(255 * (45 - np.hypot(x - 60, y - 50)) / 20, 0, 255).astype(np.uint8)])


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_stays(mode, ending, astronaut, tmp_path):
    rgba, photo = disc(astronaut), tmp_path / f"in.{ending if mode == 'RGBA' else 'png'}"
    picture = Image.fromarray(rgba)
    picture = picture.quantize(256, method=Image.Quantize.FASTOCTREE) if mode == "P" else picture.convert(mode)
    picture.save(photo, **{"lossless": True} if photo.suffix == ".webp" else {})
    before = np.asarray(Image.open(photo).convert("RGBA")).astype(int)
    made = Image.open(swapped(photo, tmp_path / f"out.{ending}"))
    assert made.mode == ("LA" if mode == "LA" and ending != "webp" else "RGBA")
    after = np.asarray(made.convert("RGBA")).astype(int)
    assert np.array_equal(after[..., 3], before[..., 3])
    seen = before[..., 3] > 0
    seen[ROWS, COLUMNS] = False
    assert np.abs(after - before)[seen].max() <= (0 if ending != "webp" else 60) and np.abs(after - before)[seen].mean() < 3
    assert np.abs(after[45:55, 55:65, :3] - ((90, 90, 90) if mode == "LA" else (20, 200, 40))).max() < 12


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_transparency_of_16_bits_stays(ending, astronaut, tmp_path):
    rgba = (disc(astronaut).astype(int) * 257 - 3 * (disc(astronaut) > 2)).astype(np.uint16)
    photo = tmp_path / f"in.{ending}"
    if ending == "png":
        cv2.imwrite(str(photo), cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    else:
        tifffile.imwrite(photo, rgba, photometric="rgb", extrasamples=["unassalpha"])
    after = picture_file.pixels(swapped(photo, tmp_path / f"out.{ending}", depth=16)).rgba
    assert np.array_equal(after[..., 3], rgba[..., 3])
    outside = np.ones(rgba.shape[:2], bool)
    outside[ROWS, COLUMNS] = False
    assert np.array_equal(after[outside], rgba[outside])
    assert np.abs(after[50, 60, :3].astype(int) - np.array((20, 200, 40)) * 257).max() < 400
    assert Image.open(swapped(photo, tmp_path / "small.png")).mode == "RGBA"  # of 8 bits


def test_it_is_told_where_transparency_is_lost(astronaut, tmp_path, caplog):
    Image.fromarray(disc(astronaut)).save(tmp_path / "in.png")
    made = np.asarray(Image.open(swapped(tmp_path / "in.png", tmp_path / "out.jpg")))
    assert made[0, 0].min() > 250  # on white
    assert "transparency, which .jpg pictures do not keep" in caplog.text


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_exif_goes_with_the_photo_but_for_its_turn(ending, astronaut, tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0132], exif[0x0112] = "Camera", "2020:01:02 03:04:05", 6
    exif.get_ifd(0x8769)[0x829D] = 2.8  # aperture
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(astronaut[:120, :160]).save(tmp_path / "in.jpg", quality=95, exif=exif)
    made = Image.open(swapped(tmp_path / "in.jpg", tmp_path / f"out.{ending}"))
    known = made.getexif()
    assert made.size == (120, 160) and known.get(0x0112, 1) == 1
    assert (known[0x010F], known[0x0132]) == ("Camera", "2020:01:02 03:04:05")
    assert float(known.get_ifd(0x8769)[0x829D]) == 2.8 and known.get_ifd(0x8825)[1] == "N"


def test_it_is_told_where_exif_is_lost(astronaut, tmp_path, caplog):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    Image.fromarray(astronaut[:120, :160]).save(tmp_path / "in.jpg", exif=exif)
    swapped(tmp_path / "in.jpg", tmp_path / "out.bmp")
    assert "EXIF data, which .bmp pictures do not keep" in caplog.text


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_grey_photos_stay_grey(ending, astronaut, tmp_path):
    Image.fromarray(astronaut[:120, :160]).convert("L").save(tmp_path / f"in.{ending}")
    made = Image.open(swapped(tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"))
    assert made.mode == "L" and abs(int(np.asarray(made)[50, 60]) - 90) < 3


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_of_16_bits_stays_grey_and_exact(ending, astronaut, tmp_path):
    grey = (astronaut[:120, :160, 1].astype(int) * 257 - 2 * (astronaut[:120, :160, 1] > 1)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"in.{ending}"), grey)
    made = cv2.imread(str(swapped(tmp_path / f"in.{ending}", tmp_path / f"out.{ending}", depth=16)), cv2.IMREAD_UNCHANGED)
    assert made.shape == grey.shape and made.dtype == np.uint16
    assert np.array_equal(made[:30], grey[:30]) and abs(int(made[50, 60]) - 90 * 257) < 200


def test_a_photo_of_colours_keeps_them(astronaut, tmp_path):
    Image.fromarray(astronaut[:120, :160]).save(tmp_path / "in.png")
    assert Image.open(swapped(tmp_path / "in.png", tmp_path / "out.png")).mode == "RGB"
