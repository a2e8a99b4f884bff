"""Extract: against what the cores could do, and a plain loop with dlib; its memory and jitter."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import dlib
import imageio_ffmpeg
import numpy as np
import psutil

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.frames import BATCH
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.masking import masks
from lib.alignments.smoothing import smoothed
from lib.alignments.store import AlignmentStore
from lib.alignments.tracks import look
from lib.dlib.predictors import fit, shape_predictor
from lib.errors import DONE, FaceswapError
from lib.faces.finding import find_faces
from lib.facesets.folder import FaceCropper, FaceFolder
from lib.jobs.bench import BenchSettings, Figure
from lib.media.endpoints.sample_clips import MovingCamera, astronaut
from lib.media.endpoints.source import open_source
from lib.plugin import ALIGNERS, DEFAULT_RECOGNIZER, DETECTORS, MASKERS, RECOGNIZERS, WRITERS
from lib.system import device
from lib.system.parallel import opencv_on_one_thread
from lib.types import Frame

ROOT = Path(__file__).resolve().parent.parent.parent
STAGED = 96  # frames on which the stages are timed alone
PLAIN = 15  # frames of the plain loop, which takes a quarter of a second for each
TEST_DATA = Path(os.environ.get("FACESWAP_TEST_DATA", ROOT.parent / "shared" / "data"))
TALKING = ("swap/a_ocasio_cortez", "swap/b_hill", "swap/c_streamer", "people/studio_man",
           "people/studio_man_glasses", "people/obama", "people/selfie_woman", "people/woman_720p")
PICTURES = 20_000  # in a large folder
LATE = 4  # frames by which smoothed landmarks are moved to find a lag


def measure(settings: BenchSettings) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        video = settings.input or _portrait_clip(folder / "portrait.mp4", 720)
        large = _looped(_portrait_clip(folder / "large.mp4", 1080), folder / "larger.mp4", 15)
        # So that the start of the threads does not count
        longer = _looped(video, folder / "longer.mp4", 15)
        share, rate, stages = _median_of(settings.repeats,
                                         lambda turn: _share_of_cores(longer, folder / f"a{turn}"))
        loops = {detector: _median_of(settings.repeats,
                                      partial(_against_plain_loop, longer, detector, folder))
                 for detector in ("hog", "yunet")}
        at_1080p = statistics.median(_rate(large, "yunet", folder / f"c{turn}")[0]
                                     for turn in range(settings.repeats))
        short, long = (_peak_memory(_looped(video, folder / f"{minutes}min.mp4", 60 * minutes))
                       for minutes in (1, 10))
        pictures, first = _first_face_of_many(folder / "pictures")
    figures = [
        Figure("the stages alone, one core", 1000 * stages, "ms/frame"),
        Figure("extracted, faces written", rate, "frames/s"),
        Figure("extracted / what the cores could do", share, "", "at least 0.85"),
        Figure("plain loop with dlib, one thread", loops["hog"][1], "frames/s"),
        Figure("extracted with hog / plain loop", loops["hog"][0], "times", "at least 8"),
        Figure("extracted with yunet / plain loop", loops["yunet"][0], "times", "at least 15"),
        Figure("faces found with hog / by the plain loop", loops["hog"][2], "", "at least 1"),
        Figure("faces found with yunet / by the plain loop", loops["yunet"][2], "", "at least 1"),
        Figure("1080p, yunet, faces written", at_1080p, "frames/s", "at least 90"),
        Figure("peak memory, 1 minute", short / 1e6, "MB"),
        Figure("peak memory, 10 minutes", long / 1e6, "MB"),
        Figure("peak memory, 10 minutes / 1 minute", long / short, "", "at most 1.1"),
        Figure(f"first face of a folder of {pictures} pictures", first, "s"),
    ]
    return figures + _jitter()


def _median_of(repeats: int, work: Callable[[int], tuple[float, ...]]) -> tuple[float, ...]:
    """The turn with the median first number."""
    turns = sorted(work(turn) for turn in range(repeats))
    return turns[len(turns) // 2]


def _share_of_cores(video: Path, folder: Path) -> tuple[float, float, float]:
    """(share, frames/s reached, seconds a frame by the stages alone): the stages in a loop on one
    core, then the real thing.
    """
    detector, aligner = DETECTORS.create("auto").resolve(None), ALIGNERS.create("dlib68")
    masker = MASKERS.create("hull")
    source, cropper = open_source(video, exact=False), FaceCropper(FaceFolder(folder / "alone"))
    with opencv_on_one_thread():
        find_faces([next(iter(source)).image], detector, aligner)  # the first call takes memory
        began, count = time.process_time(), 0  # of all threads: the video decoder has its own
        frames = islice(source, STAGED)
        while batch := list(islice(frames, BATCH)):
            rows = find_faces([frame.image for frame in batch], detector, aligner)
            for frame, faces in zip(batch, rows):
                for number, face in enumerate(faces):
                    aligned = cropper.crop(frame.image, face)
                    cropper.write(source, frame, number, aligned)
                    masks(frame.image, face, [masker], aligned)
                look(frame.image)
                count += 1
        alone = (time.process_time() - began) / count
    rate, _ = _rate(video, "auto", folder)
    return rate * alone / device.cores(), rate, alone


def _against_plain_loop(video: Path, detector_name: str, folder: Path,
                        turn: int) -> tuple[float, float, float]:
    """(ratio, frames/s of the plain loop, faces found by its faces in the same frames).

    The loop: dlib's detector, upsampling once, and its 68 points on whole frames, one after the
    other.
    """
    detector, predictor = dlib.get_frontal_face_detector(), shape_predictor(68)
    began, count, faces = time.perf_counter(), 0, 0
    for frame in islice(open_source(video, exact=False), PLAIN):
        for box in detector(frame.image, 1):
            predictor(frame.image, box)
            faces += 1
        count += 1
    plain = count / (time.perf_counter() - began)
    rate, extracted = _rate(video, detector_name, folder / f"{detector_name}{turn}")
    return rate / plain, plain, extracted / max(1, faces)


def _rate(video: Path, detector: str, folder: Path) -> tuple[float, int]:
    """Frames a second of a whole extraction with the defaults, faces written; and the faces in the
    first PLAIN frames.
    """
    with AlignmentStore.open(folder / "alignments.db") as store:
        summary = extract_faces(open_source(video, exact=False), store, ExtractionSetup.of(
            detector, sink=FaceFolder(folder / "faces"), maskers=[MASKERS.create("hull")],
            recognizer=RECOGNIZERS.create(DEFAULT_RECOGNIZER)))
        faces = sum(len(store.faces(index)) for index in range(PLAIN))
    return summary.frames / summary.seconds, faces


def _peak_memory(video: Path) -> float:
    """Most bytes that the command held while it extracted `video`."""
    command = [sys.executable, str(ROOT / "faceswap.py"), "extract", "-i", str(video), "-o",
               str(video.with_suffix(""))]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    process, peak = psutil.Process(run.pid), 0
    while run.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    if run.wait() != DONE:
        raise FaceswapError(f"Extracting {video.name} failed. Run it by hand to see why: "
                            f"{' '.join(command)}")
    return peak


def _looped(video: Path, path: Path, seconds: int) -> Path:
    """`video` over and over for `seconds`, without encoding it again."""
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-stream_loop", "-1",
                    "-i", str(video), "-t", str(seconds), "-map", "0:v:0", "-c", "copy", str(path)],
                   check=True)
    return path


def _first_face_of_many(folder: Path) -> tuple[int, float]:
    """How many pictures, and seconds until the first face of their folder was written."""
    folder.mkdir()
    _, picture = cv2.imencode(".jpg", cv2.cvtColor(astronaut().image, cv2.COLOR_RGB2BGR))
    for number in range(PICTURES):
        (folder / f"{number}.jpg").write_bytes(picture.tobytes())
    command = [sys.executable, str(ROOT / "faceswap.py"), "extract", "-i", str(folder), "-o",
               f"{folder}.faces", "--no-people"]
    began = time.monotonic()
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while run.poll() is None and not any(Path(f"{folder}.faces").glob("*.png")):
        time.sleep(0.02)
    seconds = time.monotonic() - began
    run.terminate()
    run.wait()
    return PICTURES, seconds


def _jitter() -> list[Figure]:
    """What smoothing leaves of the jitter of dlib's own landmarks, on the test data's talking
    heads, where they are.
    """
    clips = [TEST_DATA / "videos" / f"{name}.mp4" for name in TALKING]
    if not all(clip.is_file() for clip in clips):
        return []
    ratios, befores, afters, differences, lags = [], [], [], [], []
    for clip in clips:
        raw, fitted = _landmarks(clip)
        steady = smoothed(fitted)
        befores.append(_acceleration(raw))
        afters.append(_acceleration(steady))
        ratios.append(afters[-1] / befores[-1])
        opening, smooth = (np.linalg.norm(points[:, 62] - points[:, 66], axis=1)
                           for points in (fitted, steady))
        amplitude, smoothed_amplitude = (np.ptp(np.percentile(values, (2, 98)))
                                         for values in (opening, smooth))
        differences.append(abs(smoothed_amplitude / amplitude - 1))
        lags.append(_lag(opening, smooth))
    ratio = sum(afters) / sum(befores)
    return [Figure("jitter of smoothed landmarks / of dlib's own", ratio, "", "at most 0.333"),
            Figure("the same, the worst of the clips", max(ratios), ""),
            Figure("mouth's opening, difference of amplitude, median",
                   statistics.median(differences), "", "at most 0.03"),
            Figure("lag", max(lags), "frames", "0")]


def _landmarks(clip: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N, 68, 2) each: one fit a face by dlib's own predictor, and the aligner's."""
    detector, aligner = DETECTORS.create("auto").resolve(None), ALIGNERS.create("dlib68")
    predictor = shape_predictor(68)
    raw, fitted = [], []
    for frame in open_source(clip):
        for detection in detector.detect([frame.image])[0][:1]:
            box = detection.box
            raw.append(fit(predictor, frame.image, box))
            fitted.append(aligner.align([frame.image], [box[None]])[0][0])
    return np.stack(raw), np.stack(fitted)


def _lag(opening: np.ndarray, smooth: np.ndarray) -> int:
    """Frames by which `smooth` (N,) has to be moved to be most like `opening` (N,)."""
    shifts = range(-LATE, LATE + 1)
    alike = [np.corrcoef(opening[LATE:-LATE], np.roll(smooth, -shift)[LATE:-LATE])[0, 1]
             for shift in shifts]
    return abs(shifts[int(np.argmax(alike))])


def _acceleration(landmarks: np.ndarray) -> float:
    """Mean over time, in distances between the outer corners of the eyes."""
    eyes = np.linalg.norm(landmarks[1:-1, 36] - landmarks[1:-1, 45], axis=1)
    change = np.linalg.norm(landmarks[:-2] - 2 * landmarks[1:-1] + landmarks[2:], axis=2).mean(1)
    return float((change / eyes).mean())


class _Wide(MovingCamera):
    """The portrait in a frame of 16 to 9."""

    def __init__(self, height: int):
        super().__init__(astronaut(), seconds=6, side=height)
        self.size = (height * 16 // 9, height)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        beside = (self.size[0] - self.size[1]) // 2
        for frame in super().frames(start, stop):
            wide = cv2.copyMakeBorder(frame.image, 0, 0, beside, beside, cv2.BORDER_REPLICATE)
            yield Frame(frame.index, wide, time=frame.time)


def _portrait_clip(path: Path, height: int) -> Path:
    clip = _Wide(height)
    with WRITERS.create("video").open(path, clip) as sink:
        for frame in clip:
            sink.write(frame, frame.image)
    return path
