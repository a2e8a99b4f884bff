"""demo: the whole way from footage to a swapped video, of portraits that come with the
dependencies.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from lib.files.writing import copy_file
from lib.jobs.swap import SwapSettings, swap
from lib.media.endpoints.sample_clips import MovingCamera, Portrait, admiral, astronaut
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.options import option
from lib.plugin import WRITERS
from lib.sampling import evenly
from lib.settings import Settings
from lib.system.progress import job

logger = logging.getLogger(__name__)

# Of training: a slow or busy machine takes longer for the same face
ITERATIONS, QUICK_ITERATIONS = 300, 40
DISTANCE = 1.1  # of the admiral from the camera: hog, whose boxes have few sizes, fits there
PHASES = 0.0, 1.9  # of the two cameras' movement
SHOWN = 6  # frames on the contact sheet
TILE, STRIP = 256, 24  # pixels: width of a frame there, height of the strip that its label is on


@dataclass(kw_only=True)
class DemoSettings(Settings):
    """Swap the faces of two portraits that come with the dependencies; nothing is downloaded.

    Each becomes a short clip with a moving camera. Then the two are swapped as `swap` does it.
    Takes about six minutes on two processor cores, with --quick under two; a slow machine takes
    longer, for the same result.
    """

    output: Path = option("demo", "Folder for everything.", short="-o")
    quick: bool = option(False, "Train for 40 iterations instead of 300: a face already, with "
                         "rough light and expressions.")
    minutes: float | None = option(None, "Train for this many minutes instead.", low=0.01)
    seconds: float = option(5.0, "Length of the clips.", low=1.0, high=60.0)


@dataclass(frozen=True)
class DemoResult:
    """The files to look at."""

    video: Path  # the swapped one
    sheet: Path  # frames of it, below the original ones
    training: Path  # the preview of the training
    seconds: float  # that it took


@job
def demo(settings: DemoSettings) -> DemoResult:
    """Films, extracts, trains and converts what is not done yet."""
    began = time.monotonic()
    folder = settings.output
    clips = folder / "a.mp4", folder / "b.mp4"
    portraits = replace(admiral(), eyes=DISTANCE * admiral().eyes), astronaut()
    for path, portrait, phase in zip(clips, portraits, PHASES):
        if not path.exists():
            film(portrait, path, settings.seconds, phase)
            logger.info("Filmed a portrait with a moving camera: %s", path)

    iterations = None if settings.minutes else QUICK_ITERATIONS if settings.quick else ITERATIONS
    if iterations:
        logger.info("Training takes %d iterations: %s on two processor cores, longer on a slow or "
                    "busy machine.", iterations, "under a minute" if settings.quick
                    else "some five minutes")
    video = folder / "out.mp4"
    # hog needs no download
    swap(SwapSettings(input_a=clips[0], input_b=clips[1], output=video, detector="hog", seed=1,
                      iterations=iterations, minutes=settings.minutes))

    result = DemoResult(video, folder / "sheet.png", folder / "training.png",
                        time.monotonic() - began)
    picture_file.write(result.sheet, contact_sheet(clips[0], video))
    copy_file(folder / "out.faceswap" / "model" / "preview.png", result.training)
    return result


def film(portrait: Portrait, path: Path, seconds: float, phase: float) -> None:
    """A clip of `portrait` before a moving camera, as a video at `path`."""
    camera = MovingCamera(portrait, seconds, phase=phase)
    with WRITERS.create("video").open(path, camera) as sink:
        for frame in camera:
            sink.write(frame, frame.image)


def contact_sheet(original: Path, swapped: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB: some frames of a video, and the same frames of its swapped version below
    them.
    """
    rows = []
    for path, title in ((original, "original"), (swapped, "swapped")):
        source = open_source(path)
        size = TILE, TILE * source.size[1] // source.size[0]
        tiles = []
        for frame in source.at(evenly(range(source.count), SHOWN)):
            tile: np.ndarray = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
            tile[:STRIP] //= 3  # dark, to read the label on
            label = f"{title}, {frame.time:.1f} s"
            cv2.putText(tile, label, (6, STRIP - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255),
                        1, cv2.LINE_AA)
            tiles.append(tile)
        rows.append(np.hstack(tiles))
    return np.vstack(rows)
