"""Pictures of 16 bits a channel are read to the level, however they lie in the file."""

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from lib.errors import FaceswapError
from lib.media.pictures import picture_file
from lib.media.pictures.deep import turned
from lib.media.pictures.picture_source import PictureSource


@pytest.fixture
def fine(astronaut) -> np.ndarray:
    """(60, 80, 3) uint16."""
    rng = np.random.default_rng(1)
    return astronaut[40:100, 180:260].astype(np.uint16) * 256 + rng.integers(0, 256, (60, 80, 3), np.uint16)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_separate_planes(order, compression, fine, tmp_path):
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(fine, 2, 0), photometric="rgb", planarconfig="separate", compression=compression,
                     byteorder=order)
    assert np.array_equal(picture_file.pixels(tmp_path / "p.tif").image, fine)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["rgb", "grey", "lzw", "8 bits"])
def test_every_orientation(kind, turn, fine, tmp_path):
    image, path = {"grey": fine[..., 1], "8 bits": (fine >> 8).astype(np.uint8)}.get(kind, fine), tmp_path / "o.tif"
    told = [(274, "H", 1, turn, True)]
    if kind == "lzw":  # which tifffile alone cannot write
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
        with Image.open(path) as picture:
            assert picture.tag_v2[259] == 5
        path.write_bytes(_with_orientation(path.read_bytes(), turn))
    else:
        tifffile.imwrite(path, image, photometric="minisblack" if image.ndim == 2 else "rgb", extratags=told)
    wanted = turned(image if image.ndim == 3 else np.repeat(image[..., None], 3, 2), turn)
    assert np.array_equal(picture_file.pixels(path).image, wanted)
    assert PictureSource(path).size == wanted.shape[1::-1]


def _with_orientation(data: bytes, turn: int) -> bytes:
    """A little-endian TIFF whose first directory has the entry Orientation in place of SampleFormat (1, the default)."""
    place = data.index((339).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    start = int.from_bytes(data[4:8], "little") + 2
    count = int.from_bytes(data[start - 2:start], "little")
    entries = [data[start + 12 * number:start + 12 * (number + 1)] for number in range(count)]
    entries = [entry for entry in entries if entry[:2] != (339).to_bytes(2, "little")]
    entries.append((274).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little") + turn.to_bytes(4, "little"))
    assert place >= start
    return data[:start] + b"".join(sorted(entries, key=lambda entry: int.from_bytes(entry[:2], "little"))) + data[start + 12 * count:]


def test_grey_where_0_is_white(fine, tmp_path):
    tifffile.imwrite(tmp_path / "w.tif", 65535 - fine[..., 1], photometric="miniswhite")
    assert np.array_equal(picture_file.pixels(tmp_path / "w.tif").image[..., 0], fine[..., 1])


def test_colours_multiplied_by_alpha(fine, tmp_path):
    alpha = np.full(fine.shape[:2], 32768, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([fine // 2, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    rgba = picture_file.pixels(tmp_path / "a.tif").rgba
    assert np.array_equal(rgba[..., 3], alpha) and np.abs(rgba[..., :3].astype(int) - fine).max() <= 3


@pytest.mark.parametrize("cut", [40, 3000])
def test_damage_is_told(cut, fine, tmp_path):
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(fine, 2, 0), photometric="rgb", planarconfig="separate")
    (tmp_path / "d.tif").write_bytes((tmp_path / "p.tif").read_bytes()[:cut])
    with pytest.raises(FaceswapError, match="d.tif"):
        picture_file.pixels(tmp_path / "d.tif")
