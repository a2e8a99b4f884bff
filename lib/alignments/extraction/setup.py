"""What an extraction is asked to do, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib.faces.geometry import DEFAULT_COVERAGE, DEFAULT_SIZE
from lib.faces.likeness import PeopleFilter
from lib.facesets.folder import FaceCropper, FaceFolder
from lib.plugin import ALIGNERS, DEFAULT_ALIGNER, DETECTORS, Aligner, Detector, Masker, Recognizer
from lib.system.profile import Stages
from lib.types import Shard


@dataclass(frozen=True)
class ExtractionSetup:
    """How the faces of a source are found, and what is made of them."""

    make_detector: Callable[[], Detector]
    make_aligner: Callable[[], Aligner]
    maskers: Sequence[Masker] = ()

    sink: FaceFolder | None = None  # where faces are written, aligned; None: nowhere
    size: int = DEFAULT_SIZE  # side of the faces written, pixels
    coverage: str = DEFAULT_COVERAGE  # of the faces written

    # Smallest face to find, frame pixels; 0: what the detector finds; None: as in earlier runs
    min_face: int | None = None
    # Degrees by which frames are turned where that may help; None: as in earlier runs
    rotate: Sequence[int] | None = None
    every: int = 1  # every how-many-th frame is searched
    # Only this part of the frames is searched, and nothing is done that needs all frames
    shard: Shard | None = None
    only: Sequence[int] | None = None  # only these frames are searched, indices that ascend

    # Smooth landmarks; None: in a video, unless earlier runs did otherwise
    smooth: bool | None = None
    recognizer: Recognizer | None = None  # tells people apart; None: they are not
    people: PeopleFilter | None = None  # whose faces are kept; None: as in earlier runs

    workers: int | None = None  # threads, each with a detector of its own; None: as many as cores
    stages: Stages = field(default_factory=Stages)  # measures the time of each stage

    @classmethod
    def of(cls, detector: str, aligner: str = DEFAULT_ALIGNER, **options: Any) -> ExtractionSetup:
        """With the plugins of these names, without options."""
        return cls(lambda: DETECTORS.create(detector), lambda: ALIGNERS.create(aligner), **options)

    @property
    def cropper(self) -> FaceCropper:
        return FaceCropper(self.sink, self.size, self.coverage)


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
    tracks: int  # of all faces, as far as frames follow one another
    filled: int  # faces that the detector missed within a track
    dropped: dict[str, int]  # faces left out, by the reason: a key of `left_out.REASONS`
    people: dict[int, int]  # faces of each person; empty where people were not told apart
