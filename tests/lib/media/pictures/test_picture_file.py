"""Pictures of every kind are read rightly or refused in one clear line, and folders of them keep their order and names."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.errors import FaceswapError
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.media.pictures.metadata import read_metadata

SAME_PHOTO = """UPPER.JPG cmyk.jpg exif_orientation_1.jpg exif_orientation_2.jpg exif_orientation_3.jpg exif_orientation_4.jpg
exif_orientation_5.jpg exif_orientation_6.jpg exif_orientation_6.png exif_orientation_7.jpg exif_orientation_8.jpg jpeg_444.jpg lossy.webp
name.with.many.dots.jpg palette.png photo.avif photo.bmp photo.gif photo.heic photo.jp2 photo_without_extension progressive.jpg rgb16.png
rgb16.tif""".split() + ["имя 人物 ñ é ü.jpg", "name with spaces & (brackets) #1 100%.jpg"]


@pytest.fixture(scope="module")
def photo(shared):
    return picture_file.read(shared("photos/formats/photo_lzw.tif")).astype(float)


@pytest.mark.parametrize("name", SAME_PHOTO)
def test_the_same_photo_looks_the_same_in_every_format(name, shared, photo):
    assert np.abs(picture_file.read(shared(f"photos/formats/{name}")) - photo).mean() < 4.5


@pytest.mark.parametrize("name", ["gray16.png", "gray8.jpg"])
def test_grey_is_scaled_and_not_clipped(name, shared, photo):
    image = picture_file.read(shared(f"photos/formats/{name}"))
    assert np.abs(image - (photo @ [0.299, 0.587, 0.114])[..., None]).mean() < 2


@pytest.mark.parametrize("name", ["rgba_soft_edge.png", "lossless_alpha.webp", "gray_alpha.png"])
def test_transparent_parts_are_white(name, shared):
    image = picture_file.read(shared(f"photos/formats/{name}"))
    assert (image[0, 0] == 255).all() and image[190, 128].max() < 250


def test_every_photo_of_the_folder_is_read(shared):
    folder = shared("photos/formats")
    source = open_source(folder)
    frames = list(source)
    assert {frame.name for frame in frames} == set(os.listdir(folder)) and source.count == len(frames) and source.losses == []
    assert source.size is None


def test_what_a_folder_cannot_read_is_a_loss(shared):
    source = open_source(shared("photos/broken"))
    assert list(source) == []
    assert sorted(loss.split(":")[0] for loss in source.losses) == sorted(os.listdir(shared("photos/broken")))
    assert all("\n" not in loss for loss in source.losses)


@pytest.mark.parametrize("name, words", [
    ("zero_bytes.jpg", "empty"), ("text_named.jpg", "not a picture"), ("video_named.jpg", "holds a video"), ("header_only.jpg", "damaged"),
    ("truncated.jpg", "damaged"), ("bad_checksum.png", "damaged")])
def test_a_single_broken_picture_is_refused(name, words, shared):
    with pytest.raises(FaceswapError, match=words):
        open_source(shared(f"photos/broken/{name}"))


def test_names_keep_their_natural_order_and_losses_their_index(astronaut, tmp_path):
    for number in (1, 2, 3, 10, 11, 100):
        picture_file.write(tmp_path / f"video-{number}.png", astronaut[:16 + number, :20])
    (tmp_path / "video-3.png").write_bytes(b"nonsense")
    picture_file.write(tmp_path / "bare.png", astronaut[:16, :16])
    (tmp_path / "bare.png").rename(tmp_path / "bare")
    for ignored in ("notes.txt", ".hidden.png", "half.png.part", "alignments.db", "README"):
        (tmp_path / ignored).write_text("text")
    source = open_source(tmp_path)
    assert [(frame.index, frame.name) for frame in source] == [(0, "bare"), (1, "video-1.png"), (2, "video-2.png"), (4, "video-10.png"),
                                                              (5, "video-11.png"), (6, "video-100.png")]
    assert source.losses == ["video-3.png: is not a picture. Replace it or take it away."]
    assert [frame.name for frame in source.frames(4, 6)] == ["video-10.png", "video-11.png"]
    assert source.count == 7 and source.size is None


def test_a_folder_of_one_size_says_so(astronaut, tmp_path):
    for name in ("a.png", "b.jpg"):
        picture_file.write(tmp_path / name, astronaut[:40, :30])
    assert open_source(tmp_path).size == (30, 40)


def test_only_the_pictures_asked_for_are_read(astronaut, tmp_path):
    for number in range(2999):
        (tmp_path / f"{number}.png").write_bytes(b"nonsense")
    picture_file.write(tmp_path / "2999.png", astronaut[:8, :8])
    source = open_source(tmp_path)
    assert source.count == 3000
    assert [(frame.index, frame.name) for frame in source.frames(2999)] == [(2999, "2999.png")] and source.losses == []


@pytest.mark.parametrize("content, words", [("nothing", "no picture"), ("video", "name it itself"), ("folder", "are not searched")])
def test_a_folder_without_pictures_is_refused(content, words, tmp_path):
    {"nothing": lambda: None, "video": (tmp_path / "v.mp4").touch, "folder": (tmp_path / "inner").mkdir}[content]()
    with pytest.raises(FaceswapError, match=words):
        open_source(tmp_path)


@pytest.mark.parametrize("ending", sorted(picture_file.WRITTEN))
def test_written_pictures_read_back(ending, astronaut, tmp_path):
    picture_file.write(tmp_path / f"x{ending}", astronaut)
    error = np.abs(picture_file.read(tmp_path / f"x{ending}").astype(float) - astronaut)
    assert error.mean() < (2 if ending in (".jpg", ".jpeg", ".jpe", ".jfif", ".webp") else 1e-9)
    assert os.listdir(tmp_path) == [f"x{ending}"]


def test_inverted_cmyk_and_float_grey(astronaut, tmp_path):
    small = astronaut[:64, :64]
    Image.fromarray(small).convert("CMYK").save(tmp_path / "c.jpg", quality=95)  # Pillow writes Adobe's inverted values
    assert np.abs(picture_file.read(tmp_path / "c.jpg").astype(float) - small).mean() < 5
    grey = small.mean(2).astype(np.float32)
    Image.fromarray(grey / 255).save(tmp_path / "f.tif")
    assert np.abs(picture_file.read(tmp_path / "f.tif")[..., 0] - grey).max() < 1


def test_a_decompression_bomb_is_refused(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
                                        + chunk(b"IEND", b""))
    with pytest.raises(FaceswapError, match="million pixels"):
        picture_file.read(tmp_path / "bomb.png")


def test_a_colour_profile_is_found(shared):
    assert read_metadata(shared("photos/single/rudd_adobe_rgb.jpg")).profile[16:20] == b"RGB "
    assert read_metadata(shared("photos/formats/cmyk.jpg")).profile is None


def test_every_counted_photo_opens_or_is_broken(shared):
    root = shared("photos")
    for name in json.loads((root / "counts.json").read_text(encoding="utf-8"))["files"]:
        image = picture_file.read(Path(root / name))
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@pytest.mark.parametrize("wanted", [[], [1], [0, 1, 5], [2, 5, 6]])
def test_some_frames_of_a_folder(tmp_path, astronaut, wanted):
    for index in range(7):
        picture_file.write(tmp_path / f"{index}.png", astronaut[:8, :8] // (index + 1))
    (tmp_path / "5.png").write_bytes(b"")
    found = {frame.index: frame.image for frame in open_source(tmp_path).at(wanted)}
    assert list(found) == [index for index in wanted if index != 5]
    assert all(np.array_equal(image, astronaut[:8, :8] // (index + 1)) for index, image in found.items())


@pytest.mark.parametrize("kind", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"subsampling": 0}], ids=str)
def test_a_jpeg_that_lacks_its_end_marker_alone_is_read(tmp_path, astronaut, kind):
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.fromarray(astronaut).save(whole, quality=90, **kind)
    data = whole.read_bytes()
    for missing in 1, 2:
        cut.write_bytes(data[:-missing])
        assert np.array_equal(picture_file.read(cut), picture_file.read(whole))
    for missing in 4, 100, len(data) // 2:
        cut.write_bytes(data[:-missing])
        with pytest.raises(FaceswapError, match="is damaged and cannot be read"):
            picture_file.read(cut)


@pytest.mark.parametrize("beginning", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_jpeg_xl_is_told(tmp_path, beginning):
    for name in "a.jxl", "b.jpg", "c":
        (tmp_path / name).write_bytes(beginning + bytes(200))
        with pytest.raises(FaceswapError, match="is a JPEG XL picture, which is not read. Convert it to PNG"):
            open_source(tmp_path / name)
    source = open_source(tmp_path)
    assert not list(source) and any(loss.startswith("a.jxl: is a JPEG XL") for loss in source.losses)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_tiff_of_floats_is_told(tmp_path, astronaut, kind):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", (astronaut / 255).astype(kind), photometric="rgb")
    with pytest.raises(FaceswapError, match=f"{kind[5:]}-bit floating-point values, which is not read.*Save it as 16-bit"):
        open_source(tmp_path / "a.tif")


@pytest.mark.parametrize("address", ["file:///some%20where/a.jpg", "file://localhost/some%20where/a.jpg", "file:/some%20where/a.jpg"])
def test_a_file_named_as_an_address_is_told_by_its_path(address):
    with pytest.raises(FaceswapError, match="is an address. Name the file by its path: /some where/a.jpg$"):
        open_source(Path(address))
