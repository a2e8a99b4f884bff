"""The work on each frame, on all cores: faces found, masked, cut out and written."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from lib.alignments import masking, tracks
from lib.alignments.sources import file_identity
from lib.alignments.store import StoredFace
from lib.faces.finding import find_faces
from lib.faces.following import follow_faces
from lib.faces.geometry import DEFAULT_COVERAGE
from lib.faces.quality import LEAST_SURE, is_face
from lib.facesets.folder import FaceCropper
from lib.media.base import FrameSource
from lib.plugin import Aligner, Detector, Masker
from lib.system import device
from lib.system.parallel import opencv_on_one_thread, ordered_map
from lib.system.profile import Stages
from lib.types import AlignedFace, Face, Frame

# Frames that a thread takes at a time, and how long and how large they may be: a batch that is
# broken off is lost
BATCH, BATCH_SECONDS, BATCH_BYTES = 8, 0.25, 32 << 20
# Likewise where faces are followed, through one block after the other
BLOCK, BLOCK_BYTES = 16, 48 << 20


@dataclass(frozen=True)
class FrameJob:
    """A frame that is to be searched, masked or written."""

    frame: Frame
    known: list[StoredFace] | None  # the faces, where an earlier run found them
    # Numbers of the faces that were written before; the others are to be; None: none is
    written: frozenset[int] | None


@dataclass(frozen=True)
class FrameResult:
    """What came of a job."""

    job: FrameJob
    faces: list[StoredFace]
    look: np.ndarray | None = None  # (18, 32, 3) uint8 of a frame that was searched
    # Stamp and fingerprint of the file of a picture that was searched
    file: tuple[str, str] | None = None

    @property
    def newly_written(self) -> list[int]:
        """Numbers of the faces that this run wrote."""
        return [stored.number for stored in self.faces if stored.dropped is None
                and stored.number not in self.job.written]


@dataclass(frozen=True)
class FrameWork:
    """How frames are worked on. Threads share it."""

    source: FrameSource
    cropper: FaceCropper
    maskers: Sequence[Masker]
    min_face: int
    rotate: Sequence[int]
    stages: Stages

    def on_all_cores(self, jobs: Iterable[FrameJob], detector: Detector, aligner: Aligner,
                     workers: int | None) -> Iterator[FrameResult]:
        """The results of all jobs, in order. No two threads use one detector at a time."""
        workers = workers or device.cores()
        kits: queue.SimpleQueue[tuple[Detector, Aligner]] = queue.SimpleQueue()
        kits.put((detector, aligner))
        for _ in range(workers - 1):
            kits.put((detector.copy(), aligner.copy()))
        batches = _Batches(jobs, follows(aligner, self.source))

        def work(batch: list[FrameJob]) -> list[FrameResult]:
            kit = kits.get()
            began = time.monotonic()
            try:
                return self.on_batch(batch, *kit)
            finally:
                batches.note(batch, time.monotonic() - began)
                kits.put(kit)

        with opencv_on_one_thread():
            yield from chain.from_iterable(ordered_map(work, batches, workers))

    def on_batch(self, jobs: list[FrameJob], detector: Detector,
                 aligner: Aligner) -> list[FrameResult]:
        """All frames go through one stage before the next begins, so that a stage finds its weights
        in the processor's cache: dlib's landmarks take 3 ms a frame where they took 5.
        """
        rows = iter(self._find([job.frame for job in jobs if job.known is None], detector, aligner))
        results = []
        for job in jobs:
            if job.known is not None:
                results.append(FrameResult(job, job.known))
                continue
            faces = [_judged(job.frame, number, face) for number, face in enumerate(next(rows))]
            files = self.source.files
            results.append(FrameResult(job, faces, tracks.look(job.frame.image),
                                       file_identity(files[job.frame.index]) if files else None))
        for result in results:
            self._finish(result)
        return results

    def _find(self, frames: list[Frame], detector: Detector,
              aligner: Aligner) -> list[list[Face]]:
        """The faces of each frame."""
        if not frames:
            return []
        images = [frame.image for frame in frames]
        if follows(aligner, self.source) and frames[-1].index - frames[0].index < len(frames):
            return follow_faces(images, detector, aligner, self.min_face, self.rotate, self.stages)
        # pictures that show no face are looked at twice more; frames of videos are not,
        # since their neighbours tell
        return find_faces(images, detector, aligner, self.min_face, self.rotate,
                          bool(self.source.files), self.stages)

    def _finish(self, result: FrameResult) -> None:
        """Writes the faces that the job says are to be written, and makes the masks that are
        missing.
        """
        job, faces = result.job, result.faces
        if job.frame.name and job.written is not None and not job.written:
            self.cropper.remove_others(self.source, job.frame,
                               {stored.number for stored in faces if not stored.dropped})
        for place, stored in enumerate(faces):
            if stored.dropped:
                continue
            aligned = None
            if job.written is not None and stored.number not in job.written:
                aligned = self._written(job.frame, stored)
            missing = masking.missing_maskers(stored, self.maskers)
            if missing:
                with self.stages("mask"):
                    masks = masking.masks(job.frame.image, stored.fitted, missing,
                                          aligned if self.cropper.coverage == DEFAULT_COVERAGE
                                          else None)
                faces[place] = replace(stored, masks=stored.masks | masks)

    def _written(self, frame: Frame, stored: StoredFace) -> AlignedFace:
        with self.stages("crop"):
            aligned = self.cropper.crop(frame.image, stored.fitted)
        with self.stages("write"):
            self.cropper.write(self.source, frame, stored.number, aligned)
        return aligned


def _judged(frame: Frame, number: int, face: Face) -> StoredFace:
    """The face, left out if it is too small, which it is where it has no landmarks, if they are no
    face's, or if the aligner is not sure of them.
    """
    dropped = None
    if not len(face.landmarks):
        dropped = "size"
    elif not is_face(face):
        dropped = "landmarks"
    elif face.shape and face.shape.score < LEAST_SURE:
        dropped = "unsure"
    return StoredFace(replace(face, frame=frame.index, number=number, left_out=dropped is not None),
                      dropped=dropped)


def follows(aligner: Aligner, source: FrameSource) -> bool:
    """Whether faces are followed from frame to frame."""
    return aligner.follows and not source.files


class _Batches:
    """Cuts jobs into batches of up to BATCH, fewer where their frames are large or take long.

    Where faces are followed, a batch ends before each frame whose index is a multiple of BLOCK
    instead, however long it takes: what is found does not depend on how fast the machine is.
    """

    def __init__(self, jobs: Iterable[FrameJob], follows: bool):
        self._jobs, self._follows = jobs, follows
        self._seconds = BATCH_SECONDS  # that a frame takes

    def __iter__(self) -> Iterator[list[FrameJob]]:
        batch, size = [], 0
        for job in self._jobs:
            batch.append(job)
            size += 3 * job.frame.size[0] * job.frame.size[1]
            is_last = len(batch) >= min(BATCH, BATCH_SECONDS / self._seconds)
            if self._follows:
                is_last = job.frame.index % BLOCK == BLOCK - 1
            if is_last or size >= (BLOCK_BYTES if self._follows else BATCH_BYTES):
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def note(self, batch: list[FrameJob], seconds: float) -> None:
        """Notes how long a batch took."""
        self._seconds = max(seconds / len(batch), 1e-6)  # a coarse clock may say 0
