"""Pictures of masks as any paint program saves them: white is face, black is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.media.opening import open_picture
from lib.media.pictures import picture_file

LARGEST = 4096  # pixels a side
# A picture has colours where the channels differ by more than this share of white in more than
# this share of its pixels
COLORED, COLORED_AREA = 0.12, 0.002
DARK = 0.1  # of white: all that is painted in a layer of covers is darker
VISIBLE = 0.02  # alpha from which on a pixel is


def read_mask(path: Path) -> np.ndarray:
    """(S, S) float32 in [0, 1], 1 = face, of the picture at `path`: grey, RGB or with alpha, of 1 to
    16 bits.

    What is transparent is not face. Of a layer with nothing but black on it, what is transparent is
    face; of a picture in colours with transparent parts, what is left of it. Raises FaceswapError
    where it is no picture, not square, larger than LARGEST, or in colours.
    """
    _check_size(path)
    pixels = picture_file.pixels(path)
    picture = pixels.image if pixels.rgba is None else pixels.rgba
    values = picture.astype(np.float32) / np.iinfo(picture.dtype).max
    colors, alpha = values[..., :3], values[..., 3] if values.shape[2] == 4 else None
    if alpha is None:
        if _is_colored(colors):
            raise FaceswapError(f"{path} is in colours. Paint masks in black and white: white is "
                                "face, black is not.")
        return colors.mean(2)
    visible = alpha > VISIBLE
    if _is_colored(colors[visible]):
        return alpha
    grey = colors.mean(2)
    return 1 - alpha if grey[visible].max(initial=0) < DARK else grey * alpha


def _check_size(path: Path) -> None:
    """Raises FaceswapError where the picture is not square, or too large; it is not decoded."""
    try:
        with open_picture(path) as picture:
            width, height = picture.size
    except FaceswapError:
        raise
    except Exception:  # `picture_file.pixels` tells what it is
        return
    if width != height:
        raise FaceswapError(f"{path} has {width}x{height} pixels, but masks are square, as the "
                            "picture of the face is. Save it uncropped.")
    if width > LARGEST:
        raise FaceswapError(f"{path} has {width}x{height} pixels, more than {LARGEST} a side. "
                            "Scale it down first.")


def _is_colored(colors: np.ndarray) -> bool:
    """Whether `colors` (..., 3) in [0, 1] are more than grey."""
    spread = colors.max(-1, initial=0) - colors.min(-1, initial=1)
    return bool((spread > COLORED).sum() > COLORED_AREA * max(spread.size, 1))


def onto_crop(mask: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """`mask` (S, S) float32 through `matrix` (2, 3), its pixels -> those of a crop of `size` pixels,
    as (size, size, 1); what lies beyond its edge repeats it. Averaged where it shrinks.
    """
    fine = max(1, -(-len(mask) // size))  # so that no pixel is passed over
    matrix = matrix * fine
    matrix[:, 2] += (fine - 1) / 2
    seen = cv2.warpAffine(mask, matrix, (size * fine, size * fine), flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(seen, (size, size), interpolation=cv2.INTER_AREA)[..., None].clip(0, 1)
