"""Pictures and videos are opened only if they are of the formats that are meant, and fit into memory."""

import os
import struct
import zlib

import av
import numpy as np
import pytest
from PIL import Image

from lib.errors import FaceswapError
from lib.files.reading import NotRegular
from lib.media import opening
from lib.media.endpoints.source import open_source
from lib.media.opening import TooLarge, check_memory, open_container, open_picture
from lib.media.pictures import picture_file
from lib.media.pictures.picture_source import shown_size
from lib.videotools import ffmpeg


def png(width: int, height: int, bits: int, kind: int) -> bytes:
    """The head of a PNG file, and data that breaks off."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 100)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def webp(kind: bytes, width: int, height: int) -> bytes:
    if kind == b"VP8L":
        body = struct.pack("<IB", 13, 0x2F) + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(8)
    else:
        body = (
            struct.pack("<I", 10)
            + b"\x02\0\0\0"
            + (width - 1).to_bytes(3, "little")
            + (height - 1).to_bytes(3, "little")
        )
    return b"RIFF" + struct.pack("<I", len(body) + 8) + b"WEBP" + kind + body


@pytest.mark.parametrize(
    "name, data",
    [
        ("deep.png", png(13000, 13000, 16, 2)),
        ("transparent.png", png(13000, 13000, 8, 6)),
        ("grey.png", png(60000, 60000, 8, 0)),
        ("lossless.webp", webp(b"VP8L", 16383, 16383)),
        ("animated.webp", webp(b"VP8X", 16383, 16383)),
        ("small.webp", webp(b"VP8X", 9000, 9000)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_small_file_may_not_ask_for_all_of_the_memory(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FaceswapError, match="million pixels|GB of memory"):
        picture_file.read(tmp_path / name)
    assert shown_size(tmp_path / name) is None


def test_a_picture_that_fits_only_into_more_memory_than_is_free(monkeypatch):
    check_memory("x", 8000, 8000, opening.PLAIN, 1000)
    monkeypatch.setattr(opening.device, "memory", lambda: (500_000_000, 8_000_000_000))
    with pytest.raises(TooLarge, match="GB are free"):
        check_memory("x", 8000, 8000, opening.PLAIN, 1000)
    check_memory("x", 512, 512, opening.FULL, 1000)


def test_large_files_may_ask_for_more(monkeypatch):
    monkeypatch.setattr(opening.device, "memory", lambda: (16_000_000_000, 32_000_000_000))
    check_memory("x", 12000, 12000, opening.FULL, 600_000_000)
    with pytest.raises(TooLarge):
        check_memory("x", 12000, 12000, opening.FULL, 1_000_000)


def test_postscript_is_no_picture(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\nshowpage\n"
    )
    with Image.open(tmp_path / "photo.jpg") as picture:
        assert picture.format == "EPS"  # as which Pillow would have it drawn
    with pytest.raises(FaceswapError, match="is not a picture"):
        picture_file.read(tmp_path / "photo.jpg")
    with pytest.raises(OSError):
        open_picture(tmp_path / "photo.jpg")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif", ".webp", ".tga", ".gif", ".ppm", ".jp2"])
def test_usual_formats_are_read_as_before(tmp_path, astronaut, ending):
    path = tmp_path / f"x{ending}"
    Image.fromarray(astronaut[:64, :64]).save(path)
    with Image.open(path) as picture:
        assert np.array_equal(picture_file.read(path), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("name", ["live.m3u8", "live.mp4", "list.mp4"])
def test_lists_of_other_files_are_no_videos(tmp_path, name):
    text = (
        "ffconcat version 1.0\nfile other.mp4\n"
        if name == "list.mp4"
        else "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nother.ts\n"
    )
    (tmp_path / name).write_text(text)
    with pytest.raises(FaceswapError, match="names of other files"):
        open_source(tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices with names")
def test_pipes_and_devices_are_neither_pictures_nor_videos(tmp_path, astronaut):
    picture_file.write(tmp_path / "a.png", astronaut[:64, :64])
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "b.mp4")
    (tmp_path / "c.png").symlink_to("/dev/zero")
    (tmp_path / "c.mp4").symlink_to("/dev/zero")
    (tmp_path / "d.png").symlink_to("a.png")
    for name in "b.png", "b.mp4", "c.png", "c.mp4":
        with pytest.raises(NotRegular):
            open_source(tmp_path / name)
    assert [path.name for path in open_source(tmp_path).files] == ["a.png", "d.png"]


def test_a_name_with_a_pattern_is_one_picture(tmp_path, astronaut):
    for name in "x%03d.png", "x001.png":
        picture_file.write(tmp_path / name, astronaut[:64, :64])
    with open_container(tmp_path / "x%03d.png") as container:
        assert len(list(container.decode(video=0))) == 1


def test_frames_of_no_usual_size_are_refused_before_they_are_decoded(tmp_path):
    with av.open(str(tmp_path / "x.avi"), "w") as container:
        stream = container.add_stream("rawvideo", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), "yuv420p")))
    data = (tmp_path / "x.avi").read_bytes()
    place = data.index(b"strf") + 8
    (tmp_path / "y.avi").write_bytes(data[: place + 4] + struct.pack("<ii", 16000, 16000) + data[place + 12 :])
    with pytest.raises(TooLarge, match="16000x16000"):
        open_source(tmp_path / "y.avi")


def test_a_stream_that_begins_later_ends_nothing(tmp_path):
    """In FLV any packet may be the first of a stream that nothing has told of."""
    for name, words in (
        ("sight", ["testsrc=s=64x64:d=15", "-c:v", "flv1"]),
        ("sound", ["sine=d=1", "-c:a", "pcm_s16le", "-ar", "44100"]),
    ):
        ffmpeg.run(["-f", "lavfi", "-i", *words, str(tmp_path / f"{name}.flv")], "make it")
    sight, sound = ((tmp_path / f"{name}.flv").read_bytes() for name in ("sight", "sound"))
    path = tmp_path / "late.flv"
    path.write_bytes(sight[:4] + b"\1" + sight[5:] + sound[13:] + sight[13:])  # only a picture is announced
    with open_container(path) as container, pytest.raises(IndexError):
        list(container.demux(container.streams.video[0]))
    with open_container(path) as container, open_container(tmp_path / "sight.flv") as alone:
        count = sum(1 for packet in alone.demux() if packet.size)
        assert (
            sum(1 for packet in opening.packets_of(container, container.streams.video[0]) if packet.size) == 2 * count
        )
    assert sum(1 for _ in open_source(path)) > count
