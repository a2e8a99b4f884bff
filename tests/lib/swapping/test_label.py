"""The label that is written into frames."""

import numpy as np
import pytest

from lib.errors import UsageError
from lib.swapping.label import CORNERS, WIDEST, Label
from lib.types import Detection, Face, Frame, Patch


def face_at(left: int, top: int, right: int, bottom: int) -> Face:
    box = np.float32([left, top, right, bottom])
    x, y = np.linspace(left, right, 68), np.linspace(top, bottom, 68)
    return Face(Detection(box, 1.0), np.stack([x, y], 1).astype(np.float32))


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (3840, 2160), (640, 360), (361, 271), (64, 48)], ids=str)
@pytest.mark.parametrize("text", ["AI-generated", "Dieses Video wurde mit künstlicher Intelligenz verändert"], ids=len)
def test_it_lies_inside_the_frame_on_even_pixels_and_is_no_wider_than_it_may(size, text):
    frame = Frame(0, np.full((size[1], size[0], 3), 128, np.uint8))
    for corner in CORNERS:
        patch = Label(text).patch(frame, [], False, corner)
        assert 0 <= patch.rows.start < patch.rows.stop <= size[1] and 0 <= patch.columns.start < patch.columns.stop <= size[0]
        assert not any(side % 2 for side in (patch.rows.start, patch.rows.stop, patch.columns.start, patch.columns.stop))
        assert patch.pixels.shape[:2] == (patch.rows.stop - patch.rows.start, patch.columns.stop - patch.columns.start)
        height = patch.rows.stop - patch.rows.start
        assert patch.columns.stop - patch.columns.start <= WIDEST * size[0] + 2 * height


@pytest.mark.parametrize("level", [0, 128, 255])
def test_it_can_be_read_on_any_background(level):
    """Letters are white, and what is around them is darker by half the scale."""
    patch = Label("AI-generated").patch(Frame(0, np.full((720, 1280, 3), level, np.uint8)), [], False, CORNERS[0])
    assert patch.pixels.max() == 255 and np.median(patch.pixels) < 128


def test_it_stands_where_it_hides_no_face():
    label = Label("AI-generated")
    assert label.corner((640, 360), []) == "bottom left"
    assert label.corner((640, 360), [face_at(0, 200, 200, 360)]) == "bottom right"
    assert label.corner((640, 360), [face_at(0, 200, 640, 360)]) == "top left"


def test_a_new_face_under_it_shows_through_its_plate():
    frame = Frame(0, np.zeros((360, 640, 3), np.uint8))
    white = np.full((360, 640, 3), 255, np.uint8)
    face = Patch(slice(0, 360), slice(0, 640), white, frame.image, white, np.ones((360, 640), np.float32))
    patch = Label("AI-generated").patch(frame, [face], False, CORNERS[0])
    assert patch.pixels.min() > 90 and not patch.before.any()
    assert np.array_equal(frame.with_patches([face, patch])[:300], white[:300])


@pytest.mark.parametrize("text", ["", "   ", "x" * 81, "\u5408\u6210"])
def test_what_cannot_be_written_is_refused(text):
    with pytest.raises(UsageError, match="--label"):
        Label(text)
