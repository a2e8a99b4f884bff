"""What a file is, by its content alone: none of these has a name that says so."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lib.gathering.checking import Content, Damaged, Refused, examine, kind_of

FORMATS = {  # ending -> FFmpeg's name of the container, codec, options
    ".mp4": ("mp4", "mpeg4", {}), ".mov": ("mov", "mpeg4", {}), ".3gp": ("3gp", "mpeg4", {}), ".mkv": ("matroska", "mpeg4", {}),
    ".webm": ("webm", "libvpx", {}), ".avi": ("avi", "mpeg4", {}), ".ts": ("mpegts", "mpeg2video", {}), ".flv": ("flv", "flv", {}),
    ".mpg": ("mpeg", "mpeg2video", {}), ".wmv": ("asf", "wmv2", {})}
FRONT = FORMATS | {".mp4": ("mp4", "mpeg4", {"movflags": "faststart"})}


def film(path: Path, container: str, codec: str, options: dict) -> bytes:
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        noise = np.random.default_rng(1)
        for _ in range(12):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(noise.integers(0, 255, (64, 96, 3), np.uint8))))
        file.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize("ending", FORMATS)
def test_videos(tmp_path, ending):
    film(tmp_path / "x", *FORMATS[ending])
    assert examine(tmp_path / "x") == Content("video", ending, 96, 64)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".avi"])
def test_videos_that_tell_their_length_are_known_to_lack_their_end(tmp_path, ending):
    whole = film(tmp_path / "x", *FRONT[ending])
    (tmp_path / "x").write_bytes(whole[:-len(whole) // 3])
    with pytest.raises(Damaged, match=r"cut off: \d+ bytes at least are missing"):
        examine(tmp_path / "x")


@pytest.mark.parametrize("ending", FORMATS)
def test_rubbish_behind_a_video_does_no_harm(tmp_path, ending):
    whole = film(tmp_path / "x", *FORMATS[ending])
    (tmp_path / "x").write_bytes(whole + b"\n<!-- cached -->\n")
    assert examine(tmp_path / "x").type == "video"


@pytest.mark.parametrize("kind, ending", [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("GIF", ".gif"), ("BMP", ".bmp"),
                                          ("TIFF", ".tif"), ("JPEG2000", ".jp2"), ("PPM", ".ppm")])
def test_pictures(tmp_path, astronaut, kind, ending):
    Image.fromarray(astronaut[:64, :96]).save(tmp_path / "x", kind)
    assert examine(tmp_path / "x") == Content("picture", ending, 96, 64)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_pictures_that_lack_their_end(tmp_path, astronaut, kind):
    memory = io.BytesIO()
    Image.fromarray(astronaut).save(memory, kind)
    (tmp_path / "x").write_bytes(memory.getvalue()[:-len(memory.getvalue()) // 4])
    with pytest.raises(Damaged, match="^the file is damaged"):
        examine(tmp_path / "x")


def test_the_size_is_that_of_the_upright_picture(tmp_path, astronaut):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(astronaut[:64, :96]).save(tmp_path / "x", "JPEG", exif=turned)
    assert examine(tmp_path / "x") == Content("picture", ".jpg", 64, 96)


def test_sound_is_no_video(tmp_path):
    with av.open(str(tmp_path / "x"), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=44100)
        for _ in range(5):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate = 44100
            file.mux(stream.encode(silence))
        file.mux(stream.encode())
    with pytest.raises(Refused, match="^the file holds only sound, no video$"):
        examine(tmp_path / "x")


@pytest.mark.parametrize("head, words", [
    (b"\xef\xbb\xbf\n <HTML lang=en>", "a web page instead"),
    (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC>\n<html>", "a web page instead"),
    (b"<!doctype html><title>\n Just  a\nmoment... </title>", r"a web page \('Just a moment...'\)"), (b"Not found", "a text instead"),
    (b"\0\0\1\0\1\0\x10\x10", "an icon"), (b"RIFF\0\0\0\0WAVE", "sound"), (b"PK\3\4", "a ZIP archive"), (b"\x7fELF\0\0\0", "unknown kind"),
])
def test_strangers_are_named(tmp_path, head, words):
    (tmp_path / "x").write_bytes(head)
    with pytest.raises(Refused, match=words):
        kind_of(tmp_path / "x")
