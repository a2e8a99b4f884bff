"""Parts of decoded frames, as RGB and put back."""

from __future__ import annotations

import av
import numpy as np
import pytest

from lib.faces.geometry import INNER, MEAN_FACE, crop_frame
from lib.media.coded import CodedFrame, Conversion
from lib.media.endpoints.source import open_source
from lib.media.samples import copy, planes
from lib.types import Detection, Face, Frame, Patch

PARTS = [(slice(37, 150), slice(20, 131)), (slice(0, 64), slice(0, 64)), (slice(101, 160), slice(77, 192)), (slice(5, 6), slice(9, 11))]


def frame_of(astronaut, layout: str, size: tuple[int, int] = (192, 160), color_range: int = 1) -> CodedFrame:
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(astronaut[60:60 + size[1], 100:100 + size[0]]), "rgb24")
    rgb.colorspace, rgb.color_range = 1, 2
    picture = rgb.reformat(format=layout, dst_color_range=color_range)
    picture.colorspace, picture.color_range = 1, color_range
    return CodedFrame(0, 0.0, picture, Conversion(1, size))


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuvj420p"])
def test_a_part_is_what_the_whole_shows_there(layout, astronaut):
    whole = frame_of(astronaut, layout, color_range=2 if "j" in layout else 1)
    for rows, columns in PARTS:
        part = frame_of(astronaut, layout, color_range=2 if "j" in layout else 1).part(rows, columns)
        assert part.shape == whole.image[rows, columns].shape and (part == whole.image[rows, columns]).all()
    deep = whole.part(*PARTS[0], deep=True)
    error = deep / 256 - whole.image[PARTS[0]]
    assert deep.dtype == np.uint16 and np.abs(error).max() < 1.5 and np.abs(error.mean((0, 1))).max() < 0.1
    assert whole.is_deep == layout.endswith("10le")


@pytest.mark.parametrize("layout, size, deep", [
    ("yuv420p", (192, 160), False), ("yuv422p", (190, 159), False), ("yuv444p", (191, 159), False), ("yuv420p10le", (190, 158), True),
    ("yuv420p10le", (192, 160), False), ("yuvj420p", (192, 160), False)])
def test_what_is_put_back_is_seen_and_all_else_is_as_it_was_decoded(layout, deep, size, astronaut):
    frame = frame_of(astronaut, layout, size, 2 if "j" in layout else 1)
    rows, columns = slice(36, 150), slice(20, 132)
    before = frame.part(rows, columns, deep)
    pixels = before.copy()
    smooth = np.linspace(60, 200, 55)[:, None, None] * np.ones((1, 60, 3))
    pixels[22:77, 30:90] = smooth * (256 if deep else 1)
    patched = frame.conversion.patched(frame.coded, [Patch(rows, columns, pixels, before, pixels, np.ones(pixels.shape[:2]))])
    again = CodedFrame(0, 0.0, patched, frame.conversion)
    assert np.abs(again.image[60:111, 52:108].astype(float) - smooth[2:53, 2:58]).mean() < 1.2
    for number, (before, after) in enumerate(zip(planes(copy(frame.coded)), planes(patched), strict=True)):
        across, down = (1 if number and "444" not in layout else 0), (1 if number and "420" in layout else 0)
        there = np.zeros(before.shape, bool)
        there[58 >> down:(113 >> down) + 1, 50 >> across:(110 >> across) + 1] = True
        assert (before == after)[~there].all() and not (before == after)[there].all()
    assert (frame.conversion.rgb(copy(frame.coded)) == frame.image).all(), "what was decoded is not changed"


def test_frames_whose_colours_are_stretched_are_not_cut(astronaut):
    frame = frame_of(astronaut, "yuv420p", (191, 159))
    assert not frame.conversion.cuts(frame.coded)
    assert (frame.part(slice(3, 30), slice(5, 40)) == frame.image[3:30, 5:40]).all()


def test_turned_and_scaled_frames_are_never_cut(shared):
    for name in "rotated_90.mp4", "anamorphic_384x512_sar4-3.mp4":
        frame = next(iter(open_source(shared(f"videos/formats/{name}"))))
        assert not frame.conversion.cuts(frame.coded) and frame.size == frame.image.shape[1::-1]
        assert (frame.part(slice(3, 30), slice(5, 40)) == frame.image[3:30, 5:40]).all()


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p12le", "yuvj420p", "yuvj444p"])
@pytest.mark.parametrize("side", [48, 130])
def test_a_face_is_cropped_out_of_the_samples_as_out_of_the_picture(layout, side, astronaut):
    frame = frame_of(astronaut, layout, (320, 256), 2 if "j" in layout else 1)
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[INNER] = MEAN_FACE @ [[80, 15], [-15, 80]] + (90, 50)
    face = Face(Detection(np.float32([80, 50, 190, 160]), 1.0), landmarks)
    from_samples = crop_frame(frame, face, side).image.astype(float)
    from_picture = crop_frame(Frame(0, frame.image), face, side).image
    error = from_samples - from_picture
    assert frame.samples() is not None and np.abs(error).mean() < 1 and np.abs(error.mean((0, 1))).max() < 0.35
    assert (abs(error) > 6).mean() < 0.01


def test_what_is_not_cut_or_of_an_unusual_matrix_has_no_samples(astronaut):
    assert frame_of(astronaut, "yuv420p", (191, 159)).samples() is None
    frame = frame_of(astronaut, "yuv420p")
    frame.coded.colorspace = 8  # YCgCo
    assert frame.samples() is None
    turned = Conversion(1, (192, 160), (0, 1, -1, 0))
    assert CodedFrame(0, 0.0, frame_of(astronaut, "yuv420p").coded, turned).samples() is None
