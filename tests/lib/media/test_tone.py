"""HDR video is seen as SDR by people and networks, and stays HDR where it is written."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lib.command import parsing
from lib.jobs.ffmpeg import FfmpegSettings
from lib.media.endpoints.source import open_source
from lib.media.samples import from_rgb
from lib.media.tone import HLG, PQ, Tone
from lib.plugin import WRITERS
from lib.types import Patch
from scripts.ffmpeg import run
from tests.plain import plain

ROWS, COLUMNS = slice(32, 96), slice(64, 128)


def command(*arguments) -> int:
    return run(FfmpegSettings(**parsing.parse("ffmpeg", parsing.declaration("ffmpeg"), list(map(str, arguments)))))


def face(astronaut: np.ndarray, number: int = 0) -> np.ndarray:
    """(160, 192, 3): the portrait with a lamp beside it."""
    image = np.ascontiguousarray(astronaut[40:200, 128 + 2 * number:320 + 2 * number])
    image[:12, :12] = 255
    return image


@pytest.fixture(params=[PQ, HLG], ids=["pq", "hlg"])
def hdr(request, astronaut, tmp_path) -> Path:
    """Six frames of the portrait as HDR video of BT.2020."""
    tone, path = Tone(request.param, 9), tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx265", rate=25, options={"preset": "ultrafast", "crf": "4", "x265-params": "log-level=error"})
        video.width, video.height, video.pix_fmt = 192, 160, "yuv420p10le"
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, request.param, 1
        for number in range(6):
            code = tone.hdr(face(astronaut, number), np.zeros((160, 192, 3), np.uint16))
            picture = av.VideoFrame(192, 160, "rgb48le")
            plane = picture.planes[0]
            np.frombuffer(plane, np.uint16).reshape(160, -1)[:, :576] = code.reshape(160, -1)
            picture = from_rgb(picture, "yuv420p10le", 9, 1)
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_the_way_leads_back(transfer, astronaut):
    tone = Tone(transfer, 9)
    for image in (face(astronaut), face(astronaut).astype(np.uint16) * 256):
        code = tone.hdr(image, np.zeros_like(image, np.uint16))
        again = tone.sdr(code, image.dtype == np.uint16).astype(int)
        assert np.abs(again - image).max() <= (1 if image.dtype == np.uint8 else 200)


@pytest.mark.parametrize("transfer, white", [(PQ, 0.58), (HLG, 0.75)])
def test_paper_is_bright_and_the_sun_is_white(transfer, white):
    """203 candela a square metre, a white sheet, are far up, and there is room above."""
    shown = Tone(transfer, 9).sdr(np.full((1, 1, 3), round(white * 65280), np.uint16))
    assert 215 < shown.max() < 235
    assert Tone(transfer, 9).sdr(np.full((1, 1, 3), 65280, np.uint16)).min() == 255
    assert Tone(transfer, 9).sdr(np.zeros((1, 1, 3), np.uint16)).max() == 0


def test_what_does_not_change_stays_to_the_level_and_lights_come_back_where_they_are_not_covered():
    tone = Tone(PQ, 9)
    code = np.random.default_rng(1).integers(0, 65281, (16, 16, 3), dtype=np.uint16)
    shown = tone.sdr(code, True)
    assert np.array_equal(tone.hdr(shown, code), code)
    assert np.array_equal(tone.hdr(tone.sdr(code), code, np.zeros((16, 16))), code)


def test_faces_and_networks_see_sdr(hdr, astronaut):
    frame = next(open_source(hdr).frames())
    assert np.abs(frame.image - face(astronaut).astype(float)).mean() < 3
    assert np.abs(next(open_source(hdr, exact=False).frames()).image - face(astronaut).astype(float)).mean() < 3.5
    assert np.array_equal(frame.part(ROWS, COLUMNS), frame.image[ROWS, COLUMNS]) and frame.samples() is None
    raw = frame.conversion.raw(frame.coded) / 256
    assert np.abs(raw - face(astronaut)).mean() > 10  # grey and flat


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_written_stays_hdr_and_is_the_same_beside_the_face(turned, hdr, astronaut, tmp_path):
    if turned:
        plain("-display_rotation:v:0", "90", "-i", hdr, "-c", "copy", tmp_path / "turned.mov")
    source = open_source(tmp_path / "turned.mov" if turned else hdr)
    with WRITERS.create("video", codec="hevc", crf=4, preset="ultrafast").open(tmp_path / "o.mkv", source) as sink:
        for frame in source:
            before = frame.part(ROWS, COLUMNS, sink.deep and frame.is_deep)
            new = np.empty_like(before)
            new[:] = np.array((200, 120, 60)) * (256 if new.dtype == np.uint16 else 1)
            sink.patch(frame, [Patch(ROWS, COLUMNS, new, before, new, np.ones(before.shape[:2], np.float32))])
    made, frames = open_source(tmp_path / "o.mkv"), list(source)
    assert made.hdr_coded == source.hdr_coded and made.depth == 10
    for written, frame in zip(made, frames, strict=True):
        difference = np.abs(written.conversion.raw(written.coded).astype(int) - frame.conversion.raw(frame.coded)) / 256
        difference[28:100, 60:132] = 0
        assert difference.mean() < 1
        assert np.abs(written.image[48:80, 80:112].reshape(-1, 3).mean(0) - (200, 120, 60)).max() < 4


def test_a_thumbnail_is_sdr(hdr, astronaut, tmp_path):
    for name in ("t.png", "t.jpg", "t.webp"):
        command("thumbnail", "-i", hdr, "-o", tmp_path / name, "--at", "0.04")
        assert np.abs(np.asarray(Image.open(tmp_path / name)) - face(astronaut, 1).astype(float)).mean() < 4
    command("thumbnail", "-i", hdr, "-o", tmp_path / "s.png", "--tiles", "2x1")
    assert np.abs(np.asarray(Image.open(tmp_path / "s.png")).mean((0, 1)) - face(astronaut).mean((0, 1))).max() < 6


def test_plain_ffmpeg_shows_it_alike(hdr, tmp_path):
    words = ("zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:param=0.5:peak=4.926:desat=0,"
             "zscale=t=iec61966-2-1:m=bt709:r=full,format=rgb24")
    said = plain("-i", hdr, "-frames:v", "1", "-vf", words, tmp_path / "plain.png", check=False)
    if not (tmp_path / "plain.png").exists():
        pytest.skip(f"this ffmpeg has no zscale: {said[-200:]}")
    source = open_source(hdr)
    if source.hdr_coded[1] == PQ:  # how bright a screen for HLG is taken to be differs
        assert np.abs(np.asarray(Image.open(tmp_path / "plain.png")) - next(source.frames()).image.astype(float)).mean() < 4
