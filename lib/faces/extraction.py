"""Finding the faces of a source: the loop that extract, train, convert and swap share. It goes on where an earlier run stopped."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lib import device
from lib.errors import FaceswapError
from lib.faces.faceset import FaceFolder, Origin
from lib.faces.geometry import DEFAULT_COVERAGE, DEFAULT_SIZE, INNER, crop, upsampled
from lib.faces.store import AlignmentStore, StoredFace
from lib.media.base import FrameSource
from lib.parallel import ordered_map
from lib.plugin import ALIGNERS, DETECTORS, MASKERS, Aligner, Detector, Masker
from lib.progress import progress
from lib.registry import Registry
from lib.types import AlignedFace, Detection, Face, Frame

logger = logging.getLogger(__name__)

MASK_SIZE = 128  # side of the stored masks: a face's outline takes about a kilobyte
SMALLEST_SPREAD = 2.0  # pixels: landmarks closer together than this do not tell where a face is
BATCH, BATCH_SECONDS, BATCH_BYTES = 8, 0.25, 32 << 20  # frames that a thread takes at a time, and how long and large they may be
GAP = 30  # frames of a video that are decoded for nothing rather than leapt over: finding a frame costs about as much


@dataclass(frozen=True)
class Summary:
    """What the store holds when extraction has ended, and what this run did for it."""

    faces: int
    frames_with_face: int
    frames: int
    searched: int  # frames searched in this run; the others were done before
    written: int  # face PNGs of this run
    losses: list[str]  # what of the source could not be read, a sentence each
    detector: str
    seconds: float


@dataclass(frozen=True)
class _Job:
    frame: Frame
    known: list[StoredFace] | None  # the faces, where an earlier run found them
    write: bool  # a PNG of each face


@dataclass(frozen=True)
class _Plan:
    """What earlier runs left to do."""

    segments: list[tuple[int, int | None]]  # frames to decode; the last one is open where the end is not known for sure
    needed: set[int]
    end: int  # every frame from here on is needed
    done: set[int]
    written: set[int]
    total: int | None


def extract(source: FrameSource, store: AlignmentStore, make_detector: Callable[[], Detector], make_aligner: Callable[[], Aligner], *,
            sink: FaceFolder | None = None, maskers: Sequence[Masker] = (), size: int = DEFAULT_SIZE, coverage: str = DEFAULT_COVERAGE,
            every: int = 1, min_size: int | None = None, workers: int | None = None) -> Summary:
    """Finds the faces in every `every`-th frame of `source` into `store` and, with a `sink`, writes them aligned.

    What the store has is not searched again, and faces are not written again that were written before. `size` and
    `coverage` are those of the faces written. Faces whose box has a side under `min_size` frame pixels are left out; None
    means as the store was begun. One decoder feeds `workers` threads (as many as cores by default), each with a detector of
    its own.
    Raises FaceswapError if the store belongs to another source or was begun with other settings.
    """
    began = time.monotonic()
    path = os.path.abspath(source.path)
    _check_source(source, store)
    recorded = store.settings
    detector, aligner = make_detector(), make_aligner()
    wishes = {"aligner": _description(aligner, ALIGNERS), "min_size": recorded.get("min_size", 0) if min_size is None else min_size}
    if type(detector).settle is Detector.settle:  # one that chooses is content with what the store was begun with
        wishes["detector"] = _description(detector, DETECTORS)
    _check_wishes(store, recorded, wishes)

    plan = _plan(source, store, sink, [MASKERS.name_of(masker) for masker in maskers], every)
    searched = written = 0
    losses: list[str] = []
    if plan.segments:
        before = recorded.get("detector")
        detector = detector.settle(before["name"], **before["options"]) if before else detector.settle(None)
        if not before:
            store.update(wishes | {"detector": _description(detector, DETECTORS), "source": _identity(source)})
        logger.info("Finding faces in %s with %s.", os.path.basename(path), DETECTORS.name_of(detector))
        work = partial(_find, source=path, sink=sink, maskers=maskers, size=size, coverage=coverage,
                       min_size=wishes["min_size"])
        jobs = _jobs(source, store, plan, every, bool(sink), losses)
        for job, faces in progress(_on_all_cores(work, jobs, detector, aligner, workers), "extract", plan.total,
                                   plan.total - len(plan.needed) if plan.total else 0):
            if job.known is None or maskers:
                store.add(job.frame.index, job.frame.name, job.frame.time, faces)
            searched += job.known is None
            if job.write:
                store.add_written(sink.path, job.frame.index)
                written += len(faces)
        if not searched and not losses:  # what was lost before was lost between frames that were read
            losses = recorded.get("losses", [])
        complete = set(recorded.get("complete", []))
        store.update({"losses": losses, "complete": sorted(complete if losses else complete | {every})})
    faces, with_face, frames = store.counts(every)
    return Summary(faces, with_face, frames, searched, written, losses, store.settings.get("detector", {}).get("name", ""),
                   time.monotonic() - began)


def _find(jobs: list[_Job], detector: Detector, aligner: Aligner, source: str, sink: FaceFolder | None, maskers: Sequence[Masker],
          size: int, coverage: str, min_size: int) -> list[tuple[_Job, list[StoredFace]]]:
    """The faces of each frame, masked, and written if the job says so.

    All frames go through one stage before the next begins, so that a stage finds its weights in the processor's cache: dlib's
    landmarks take 3 ms a frame where they took 5.
    """
    new = [job for job in jobs if job.known is None]
    detections = [[found for found in row if min(found.box[2:] - found.box[:2]) >= min_size]
                  for row in (detector.detect([job.frame.image for job in new]) if new else [])]
    aligned = iter([_aligned(aligner, job.frame.image, row) for job, row in zip(new, detections)])
    found = [(job, next(aligned) if job.known is None else job.known) for job in jobs]
    for job, faces in found:
        for number, stored in enumerate(faces):
            face = crop(job.frame.image, stored.face, size, coverage) if job.write or maskers else None
            if job.write:
                sink.write(face, Origin(source, job.frame.index, number, job.frame.name, job.frame.time), coverage)
            if maskers:
                small = _shrunk(face if coverage == DEFAULT_COVERAGE else crop(job.frame.image, stored.face, size))
                faces[number] = StoredFace(stored.face, stored.masks | {MASKERS.name_of(masker): masker.mask(small) for masker in maskers})
    return found


def _aligned(aligner: Aligner, image: np.ndarray, detections: list[Detection]) -> list[StoredFace]:
    landmarks = aligner.align(image, np.array([found.box for found in detections]).reshape(-1, 4))
    return [StoredFace(Face(*pair)) for pair in zip(detections, landmarks) if np.ptp(pair[1][INNER], axis=0).max() >= SMALLEST_SPREAD]


def _shrunk(aligned: AlignedFace) -> AlignedFace:
    """`aligned` at the size of the stored masks, if it is larger."""
    size = len(aligned.image)
    if size <= MASK_SIZE:
        return aligned
    image = cv2.resize(aligned.image, (MASK_SIZE, MASK_SIZE), interpolation=cv2.INTER_AREA)
    return AlignedFace(aligned.face, image, upsampled(aligned.matrix, MASK_SIZE / size))


class _Batches:
    """Cuts jobs into batches of up to BATCH, fewer where their frames are large or take long: a batch broken off is lost."""

    def __init__(self, jobs: Iterable[_Job]):
        self._jobs = jobs
        self._seconds = BATCH_SECONDS  # that a frame takes

    def __iter__(self) -> Iterator[list[_Job]]:
        batch, size = [], 0
        for job in self._jobs:
            batch.append(job)
            size += job.frame.image.nbytes
            if len(batch) >= min(BATCH, BATCH_SECONDS / self._seconds) or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def took(self, batch: list[_Job], seconds: float) -> None:
        self._seconds = max(seconds / len(batch), 1e-6)  # a coarse clock may say 0


def _on_all_cores(work: Callable, jobs: Iterable[_Job], detector: Detector, aligner: Aligner, workers: int | None) -> Iterator:
    """What `work(batch, detector, aligner)` yields for all jobs, in order; no two threads use one detector at a time."""
    workers = workers or device.cores()
    kits = queue.SimpleQueue()
    for kit in [(detector, aligner)] + [(dataclasses.replace(detector), dataclasses.replace(aligner)) for _ in range(workers - 1)]:
        kits.put(kit)

    batches = _Batches(jobs)

    def with_kit(batch: list[_Job]):
        kit = kits.get()
        began = time.monotonic()
        try:
            return work(batch, *kit)
        finally:
            batches.took(batch, time.monotonic() - began)
            kits.put(kit)

    with _one_thread_each():
        yield from chain.from_iterable(ordered_map(with_kit, batches, workers))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """OpenCV on one thread a call: the frames already keep all cores busy, and its own threads would get in their way."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _jobs(source: FrameSource, store: AlignmentStore, plan: _Plan, every: int, write: bool, losses: list[str]) -> Iterator[_Job]:
    """Decodes what is needed; adds to `losses` what cannot be."""
    for start, stop in plan.segments:
        for frame in source.frames(start, stop):
            index = frame.index
            if index in plan.needed or index >= plan.end and index % every == 0:
                yield _Job(frame, store.faces(index) if index in plan.done else None, write and index not in plan.written)
        losses += source.losses


def _plan(source: FrameSource, store: AlignmentStore, sink: FaceFolder | None, maskers: Sequence[str], every: int) -> _Plan:
    done = store.done()
    complete = any(every % other == 0 for other in store.settings.get("complete", []))
    end = max(done, default=-1) + 1
    if not complete and source.count is not None:
        end = max(end, source.count)
    if sink and sink.is_empty():
        store.forget_written(sink.path)
    written = store.written(sink.path) if sink else set()
    unmasked = set().union(*(store.without_mask(masker) for masker in maskers))
    wanted = [index for index in range(0, end, every) if not complete or index in done]
    needed = [index for index in wanted if index not in done or index in unmasked or sink and index not in written]

    gap = 1 if _pictures(source) else GAP
    segments: list[tuple[int, int | None]] = []
    for index in needed:
        if segments and index - segments[-1][1] < gap:
            segments[-1] = (segments[-1][0], index + 1)
        else:
            segments.append((index, index + 1))
    if not complete:  # on to the very end: the number of frames that a video announces may be wrong
        if segments and end - segments[-1][1] < gap:
            segments[-1] = (segments[-1][0], None)
        else:
            segments.append((end, None))
    return _Plan(segments, set(needed), end, done, written, len(wanted) if complete or source.count is not None else None)


def _check_source(source: FrameSource, store: AlignmentStore) -> None:
    """Raises FaceswapError if `store` was begun with another source; fits it to a folder with new pictures."""
    recorded = store.settings.get("source")
    if recorded is None:
        return
    other = FaceswapError(f"{store.path} belongs to {recorded['path']}, which is not the same as {source.path} now. "
                          "Delete that file to start anew, or name another with -p.")
    pictures = _pictures(source)
    if not pictures:
        if recorded["video"] != _identity(source)["video"]:
            raise other
        return
    names = [file.name for file in pictures]
    before = store.names()
    if all(index < len(names) and names[index] == name for index, name in before.items()) and recorded["pictures"] == len(names):
        return
    if before and not set(before.values()) & set(names):
        raise other
    logger.info("%s has other pictures than before: those already searched keep their faces.", source.path)
    store.renumber(names)
    store.update({"complete": [], "losses": [], "source": _identity(source)})


def _pictures(source: FrameSource) -> list[Path]:
    """The files of a source that reads one for each frame; none for a video."""
    return getattr(source, "files", [])


def _identity(source: FrameSource) -> dict[str, Any]:
    """What tells one source from another, wherever it is moved."""
    path = os.path.abspath(source.path)
    if pictures := _pictures(source):
        return {"path": path, "video": None, "pictures": len(pictures)}
    size = os.path.getsize(path) if os.path.isfile(path) else None  # frames may be made, not read
    return {"path": path, "video": {"bytes": size, "size": list(source.size)}, "pictures": None}


def _check_wishes(store: AlignmentStore, recorded: dict[str, Any], wishes: dict[str, Any]) -> None:
    for key, wish in wishes.items():
        if recorded.get(key, wish) != wish:
            raise FaceswapError(f"{store.path} was begun with {_words(key, recorded[key])}, this run asks for {_words(key, wish)}. "
                                "Ask for the same, delete that file to start anew, or name another with -p.")


def _words(key: str, setting: Any) -> str:
    if not isinstance(setting, dict):
        return f"--{key.replace('_', '-')} {setting}"
    return f"{key} {setting['name']}" + "".join(f" {name}={value}" for name, value in setting["options"].items())


def _description(plugin: Any, registry: Registry) -> dict[str, Any]:
    """A plugin and its options as the store keeps them."""
    return json.loads(json.dumps({"name": registry.name_of(plugin), "options": dataclasses.asdict(plugin)}, default=str))
