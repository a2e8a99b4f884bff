"""Setting faces back: the compositing of one face, and a whole conversion against decoding and
encoding alone.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.store import AlignmentStore
from lib.faces import geometry
from lib.jobs.bench import BenchSettings, Figure
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS, WRITERS
from lib.provenance import keys
from lib.provenance.marking import Mark, file_hash
from lib.swapping.composite import Canvas, Compositor, crop_face, network_input
from lib.swapping.eyes import EyesFollow
from lib.swapping.pipeline import BATCH, Role, swap_frames
from lib.system.parallel import opencv_on_one_thread, prefetch
from lib.types import Face, Frame, SwappedFace

WIDTH, HEIGHT = 1920, 1080
FACE = 300  # pixels from the brows to the chin
FRAMES = 120  # of the clip, 1080p


class StubNetwork:
    """Returns the crop it gets, as large as the default model draws: costs nothing."""

    size, drawn = 128, 256
    coverage = geometry.DEFAULT_COVERAGE

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn = np.stack([cv2.resize(face, (self.drawn, self.drawn),
                                     interpolation=cv2.INTER_NEAREST) for face in faces])
        return drawn, np.ones((*drawn.shape[:3], 1), np.float32)


def measure(settings: BenchSettings) -> list[Figure]:
    portrait, face = _portrait()
    compositor = Compositor(COLORS.create("reinhard"), BLENDERS.create("alpha"),
                            [MASKERS.create("hull")])
    with tempfile.TemporaryDirectory() as folder:
        clip = _written(_Clip(portrait, Path(folder)))
        video = settings.input or clip
        frame = next(iter(open_source(clip)))
        with opencv_on_one_thread():  # a thread's time is all the time then
            following = _following(frame, face)
            milliseconds = following + _compositing(frame, face, compositor)
        plain, converted, marked, pictures, marked_pictures = _rates(Path(folder), video,
                                                                     compositor, settings.repeats)
    return [
        Figure("compositing of a face of 300 pixels at 1080p on one core", milliseconds, "ms",
               "under 4"),
        Figure("of which moving its eyelids", following, "ms"),
        Figure("decoded and encoded alone", plain, "frames/s"),
        Figure("converted, network of no cost", converted, "frames/s"),
        Figure("converted / decoded and encoded alone", converted / plain, "", "at least 0.75"),
        Figure("converted and marked as synthetic, time / converted", converted / marked, "",
               "under 1.05"),
        Figure("the same of JPEG pictures", pictures / marked_pictures, "", "under 1.05"),
    ]


def _written(clip: FrameSource) -> Path:
    video = clip.path.with_suffix(".mp4")
    with WRITERS.create("video").open(video, clip) as sink:
        for frame in clip:
            sink.write(frame, frame.image)
    return video


def _portrait() -> tuple[np.ndarray, Face]:
    """A 1080p frame with one face, brows to chin 300 pixels."""
    from skimage import data

    image = data.astronaut()
    face = _find(image)
    scale = FACE / (face.landmarks[8, 1] - face.landmarks[17:27, 1].min())
    shift = np.array([WIDTH / 2, HEIGHT / 2]) - scale * face.landmarks[27]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    frame = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC,
                           borderMode=cv2.BORDER_REFLECT)
    landmarks = geometry.transform_points(face.landmarks, matrix).astype(np.float32)
    return frame, Face(face.detection, landmarks)


def _find(image: np.ndarray) -> Face:
    detection = DETECTORS.create("hog").detect([image])[0][0]
    return Face(detection, ALIGNERS.create("dlib68").align([image], [detection.box[None]])[0][0])


def _compositing(frame: Frame, face: Face, compositor: Compositor) -> float:
    """Median milliseconds of one core for all but decoding, network, eyes and encoding; time of
    other processes does not count.
    """
    seconds = []
    for _ in range(60):
        began = time.thread_time()
        compositor.paste(Canvas(frame), _swapped(frame, face))
        frame.forget()
        seconds.append(time.thread_time() - began)
    return 1000 * statistics.median(seconds)


def _swapped(frame: Frame, face: Face) -> SwappedFace:
    aligned = crop_face(frame, face, StubNetwork.size, drawn=StubNetwork.drawn)
    (drawn,), (mask,) = StubNetwork()(network_input(aligned, StubNetwork.size)[None])
    return SwappedFace(aligned, drawn, mask)


def _following(frame: Frame, face: Face) -> float:
    """Median milliseconds of one core for eyelids and gaze of a face, as they come: BATCH at a time."""
    faces = [_swapped(frame, face)] * BATCH
    follow = EyesFollow(ALIGNERS.create("dlib68", refeed=0))
    seconds = []
    for _ in range(20):
        began = time.thread_time()
        follow(faces)
        seconds.append(time.thread_time() - began)
    return 1000 * statistics.median(seconds) / BATCH


def _rates(folder: Path, video: Path, compositor: Compositor, repeats: int) -> list[float]:
    """Median frames/s of decoding and encoding alone, of a conversion, of one that is signed, and
    of the latter two into pictures, of the same video in turn."""
    identity, sha256 = keys.own_identity(), file_hash(video)
    with AlignmentStore.open(folder / "alignments.db") as store:
        frames = extract_faces(open_source(video), store, ExtractionSetup.of("auto")).frames
        follow = EyesFollow(ALIGNERS.create("dlib68", refeed=0))

        def plain() -> None:
            source = open_source(video)
            with WRITERS.create("video").open(folder / "plain.mp4", source) as sink:
                for frame in prefetch(source):
                    sink.patch(frame, [])

        def converted(name: str, marked: bool) -> None:
            source = open_source(video)
            writer = WRITERS.create("images", format="jpg")
            if name.endswith(".mp4"):
                writer = WRITERS.create("video")
            sink = writer.open(folder / name, source)
            if marked:
                sink.mark = Mark(identity, {"00" * 32: "stub"}, video, lambda: sha256)

            def faces_of(frame: Frame) -> list[Face]:
                return [stored.face for stored in store.faces(frame.index)]

            with sink:
                frames = ((frame, faces_of(frame)) for frame in prefetch(source))
                for done in swap_frames(frames, [Role(StubNetwork(), compositor)], follow):
                    sink.patch(done.frame, done.patches)

        works = [plain] + [partial(converted, name, marked)
                           for name in ("converted.mp4", "pictures") for marked in (False, True)]
        seconds: dict[Callable[[], None], list[float]] = {work: [] for work in works}
        for _ in range(repeats):
            for work in seconds:
                began = time.perf_counter()
                work()
                seconds[work].append(time.perf_counter() - began)
    return [frames / statistics.median(seconds[work]) for work in works]


class _Clip(FrameSource):
    """The portrait under a camera that pans."""

    size = (WIDTH, HEIGHT)
    rate = Fraction(25)
    count = FRAMES

    def __init__(self, image: np.ndarray, folder: Path):
        self.path = folder / "clip"
        self._image = image

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for index in range(start, FRAMES if stop is None else stop):
            yield Frame(index, np.roll(self._image, self._shift(index), (0, 1)),
                        time=index / float(self.rate))

    def _shift(self, index: int) -> tuple[int, int]:
        return round(40 * np.sin(index / 20)), 2 * index
