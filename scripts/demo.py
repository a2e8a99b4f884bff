"""`faceswap.py demo`: the whole way from footage to a swapped video, without a download."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from lib.errors import DONE
from lib.files.writing import copy_file
from lib.jobs.swap import SwapSettings, swap
from lib.media.endpoints.sample_clips import MovingCamera, Portrait, admiral, astronaut
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.options import option
from lib.plugin import WRITERS
from lib.sampling import evenly
from lib.settings import Settings

logger = logging.getLogger(__name__)
ITERATIONS, QUICK_ITERATIONS = 300, 40  # of training: a slow or busy machine takes longer for the same face
FARTHER = 1.1  # of the admiral, from the camera: hog, with its few sizes of boxes, fits there
SHOWN = 6  # frames on the contact sheet
TILE = 256  # pixels


def run(options: Demo) -> int:
    began = time.monotonic()
    folder = options.output or Path("demo")
    a, b, out = folder / "a.mp4", folder / "b.mp4", folder / "out.mp4"
    for path, portrait, phase in ((a, replace(admiral(), eyes=FARTHER * admiral().eyes), 0.0), (b, astronaut(), 1.9)):
        if not path.exists():
            film(portrait, path, options.seconds, phase)
            logger.info("Filmed a portrait with a moving camera: %s", path)
    iterations = None if options.minutes else QUICK_ITERATIONS if options.quick else ITERATIONS
    if iterations:
        logger.info("Training takes %d iterations, however fast this machine is: %s on two plain processor cores, twice as long where "
                    "something else takes half of them.", iterations, "under a minute" if options.quick else "some five minutes")
    swap(SwapSettings(input_a=a, input_b=b, output=out, detector="hog", seed=1,  # hog: nothing has to be downloaded
                      iterations=iterations, minutes=options.minutes))
    picture_file.write(folder / "sheet.png", contact_sheet(a, out))
    copy_file(folder / "out.faceswap" / "model" / "preview.png", folder / "training.png")

    logger.info("Done in %.1f minutes. To look at:", (time.monotonic() - began) / 60)
    logger.info("  %s  the swapped video (a synthetic picture of a person: say so where you show it)", out)
    logger.info("  %s  frames of it beside the original ones", folder / "sheet.png")
    logger.info("  %s  what the model learnt", folder / "training.png")
    return DONE


def film(portrait: Portrait, path: Path, seconds: float, phase: float) -> None:
    """A clip of `portrait` before a moving camera, as a video at `path`."""
    camera = MovingCamera(portrait, seconds, phase=phase)
    with WRITERS.create("video").open(path, camera) as sink:
        for frame in camera:
            sink.write(frame, frame.image)


def contact_sheet(original: Path, swapped: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB: some frames of a video, and the same frames of its swapped version below them."""
    rows = []
    for path, title in ((original, "original"), (swapped, "swapped")):
        source = open_source(path)
        height = TILE * source.size[1] // source.size[0]
        tiles = []
        for index in evenly(range(source.count), SHOWN):
            frame = next(source.frames(index, index + 1))
            tiles.append(cv2.resize(frame.image, (TILE, height), interpolation=cv2.INTER_AREA))
            label = f"{title}, {frame.time:.1f} s"
            tiles[-1][:24] //= 3  # a dark strip to read the label on
            cv2.putText(tiles[-1], label, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


@dataclass(kw_only=True)
class Demo(Settings):
    """Swap the faces of two portraits that come with the dependencies; no download.

    Each becomes a short clip with a moving camera. Then the two are swapped as `swap` does it.
    Takes about six minutes on two processor cores, with --quick under two; a slow machine takes longer, for the same result.
    """

    output: Path | None = option(None, "Folder for everything; ./demo if not given.", short="-o")
    quick: bool = option(False, "Train for 40 iterations instead of 300: a face already, whose light and expressions are rough.")
    minutes: float | None = option(None, "Train for this many minutes instead.", low=0.01)
    seconds: float = option(5.0, "Length of the clips.", low=1.0, high=60.0)
