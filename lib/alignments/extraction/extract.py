"""Finding the faces of a source: the loop that extract, train, convert and swap share. It resumes
where an earlier run stopped.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lib.alignments import masking, tracking
from lib.alignments.database.state import PluginRecord
from lib.alignments.extraction.frames import BLOCK, FrameJob, FrameResult, FrameWork, follows
from lib.alignments.extraction.plan import Plan, make_plan
from lib.alignments.extraction.setup import ExtractionSetup, Summary
from lib.alignments.identity import recognize, tell_apart
from lib.alignments.sources import ChangedPictures, check_source, source_identity
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.faces.finding import OFF
from lib.faces.likeness import PeopleFilter
from lib.facesets.folder import FaceCropper, FaceFolder
from lib.files.reading import as_json
from lib.media.base import FrameSource
from lib.plugin import ALIGNERS, DEFAULT_ALIGNER, DETECTORS, RECOGNIZERS, Aligner, Detector, Plugin
from lib.registry import Registry
from lib.system.progress import progress
from lib.types import Shard

logger = logging.getLogger(__name__)


def extract_faces(source: FrameSource, store: AlignmentStore, setup: ExtractionSetup) -> Summary:
    """Finds the faces of `source` into `store` and writes them where `setup` has a sink.

    What the store has is not searched again, and faces are not written again that were written
    before. Pictures whose files changed since they were searched are searched again. One decoder
    feeds all threads. When all frames are known, faces are linked through time, people are told
    apart, and the faces of those who are kept are written. Raises FaceswapError if the store
    belongs to another source or was made with other settings.
    """
    began = time.monotonic()
    check_source(source, store, forget_changed=True)
    search = _Search.begin(store, setup)
    people = _begin_choice(store, setup.people, setup.sink)
    masking.begin(store, setup.maskers)

    # Each frame by itself. Where people are chosen, faces are written when all frames are known.
    cropper = setup.cropper
    without_sink = replace(cropper, sink=None)
    first = _search_frames(source, store, setup, search, without_sink if people else cropper)
    written = first.written

    # What needs all frames
    if not setup.shard:
        with setup.stages("tracks"):
            filled = tracking.follow(source, store, search.aligner, setup.smooth,
                                     without_sink if people else cropper)
        with setup.stages("people"):
            _recognize(source, store, setup, people)
        if people and setup.sink or filled and setup.maskers:
            written += _search_frames(source, store, setup, search, cropper).written
        written += len(filled) if setup.sink and not people else 0

    detector = store.state.detector
    return Summary(*store.counts(setup.every), first.searched, written, first.losses,
                   detector.name if detector else "", time.monotonic() - began,
                   *store.track_counts(), store.dropped_counts(), store.people())


def search_changed(source: FrameSource, store: AlignmentStore) -> None:
    """Searches those pictures again that changed since they were searched, with what the store was
    made with.

    Raises FaceswapError as `check_source` does.
    """
    try:
        check_source(source, store)
    except ChangedPictures as changed:
        detector = store.state.detector or PluginRecord("auto")
        aligner = store.state.aligner or PluginRecord(DEFAULT_ALIGNER)
        extract_faces(source, store, ExtractionSetup(
            lambda: DETECTORS.create(detector.name, **detector.options),
            lambda: ALIGNERS.create(aligner.name, **aligner.options), only=changed.indices))


@dataclass(frozen=True)
class _Search:
    """What frames are searched with, as an earlier run recorded it, or this one does."""

    detector: Detector
    aligner: Aligner
    min_face: int
    rotate: tuple[int, ...]
    shard: Shard | None

    @classmethod
    def begin(cls, store: AlignmentStore, setup: ExtractionSetup) -> _Search:
        """Raises FaceswapError where `setup` asks for something else than earlier runs used."""
        state = store.state
        min_face = (state.min_face or 0) if setup.min_face is None else setup.min_face
        rotate = (state.rotate or ()) if setup.rotate is None else tuple(setup.rotate)
        search = cls(setup.make_detector(), setup.make_aligner(), min_face, rotate, setup.shard)
        _check_wish(store, "aligner", state.aligner, describe(search.aligner, ALIGNERS))
        _check_wish(store, "--min-face", state.min_face, min_face)
        _check_wish(store, "--rotate", state.rotate, rotate)
        # One that chooses is content with what the store was made with
        if not search.detector.chooses:
            _check_wish(store, "detector", state.detector, describe(search.detector, DETECTORS))
        if state.source:
            _check_shard(store, state.shard, setup.shard)
        return search

    def resolved(self, source: FrameSource, store: AlignmentStore) -> Detector:
        """The detector that does the work; notes in a new store what it is made with."""
        recorded = store.state.detector
        if recorded:
            return self.detector.resolve(recorded.name, **recorded.options)
        detector = self.detector.resolve(None)
        part = {"shard": self.shard} if self.shard else {}
        store.update(aligner=describe(self.aligner, ALIGNERS), min_face=self.min_face,
                     rotate=self.rotate, **part, detector=describe(detector, DETECTORS),
                     source=source_identity(source))
        return detector


@dataclass(frozen=True)
class _Searched:
    """What came of the frames."""

    searched: int = 0  # frames
    written: int = 0  # faces
    losses: list[str] = dataclasses.field(default_factory=list)


def _search_frames(source: FrameSource, store: AlignmentStore, setup: ExtractionSetup,
                   search: _Search, cropper: FaceCropper) -> _Searched:
    """Searches what is not searched, and masks and writes what is not masked or written."""
    plan = make_plan(source, store, setup, cropper.sink,
                     BLOCK if follows(search.aligner, source) else 1)
    if not plan.segments:
        return _Searched()
    detector = search.resolved(source, store)
    if plan.segments[-1][1] is None or plan.needed - plan.done:
        logger.info("Finding faces in %s with %s.", os.path.basename(os.path.abspath(source.path)),
                    DETECTORS.name_of(detector))

    work = FrameWork(source, cropper, setup.maskers, search.min_face, search.rotate, setup.stages)
    losses: list[str] = []
    jobs = _jobs(source, store, plan, setup.every, bool(cropper.sink), losses)
    results = work.on_all_cores(jobs, detector, search.aligner, setup.workers)
    searched = written = 0
    for result in progress(results, "extract", plan.total,
                           plan.total - len(plan.needed) if plan.total else 0):
        with setup.stages("store"):
            written += _store_result(store, result, setup, cropper.sink)
        searched += result.job.known is None

    state = store.state
    if not searched and not losses:  # what was lost before was lost between frames that were read
        losses = list(state.losses)
    complete = set(state.complete)
    if not losses and setup.only is None:
        complete.add(setup.every)
    store.update(losses=losses, complete=sorted(complete))
    return _Searched(searched, written, losses)


def _jobs(source: FrameSource, store: AlignmentStore, plan: Plan, every: int, writes: bool,
          losses: list[str]) -> Iterator[FrameJob]:
    """Decodes what is needed; adds to `losses` what cannot be."""
    for start, stop in plan.segments:
        for frame in source.frames(start, stop):
            index = frame.index
            if plan.needs(index, every):
                yield FrameJob(frame, store.faces(index) if index in plan.done else None,
                               frozenset(plan.written.get(index, ())) if writes else None)
        losses += source.losses


def _store_result(store: AlignmentStore, result: FrameResult, setup: ExtractionSetup,
                  sink: FaceFolder | None) -> int:
    """Adds a frame's faces, masks, and which were written; returns how many were written."""
    frame = result.job.frame
    if result.job.known is None:
        store.add(frame.index, frame.name, frame.time, result.faces, result.look, result.file)
    elif setup.maskers:
        for stored in result.faces:
            store.add_masks(frame.index, stored.number, stored.masks)
    if sink is None:
        return 0
    numbers = result.newly_written
    store.add_written(sink.path, frame.index, numbers)
    return len(numbers)


def _begin_choice(store: AlignmentStore, people: PeopleFilter | None,
                  sink: FaceFolder | None) -> PeopleFilter:
    """Whose faces are kept, by this run or as in earlier runs. Raises FaceswapError if `sink`
    holds those of another choice.
    """
    state, everybody = store.state, PeopleFilter()
    if people is None:
        people = state.people_filter
    folder = store.folder_key(sink.path) if sink else None
    if sink:
        in_folder = state.people_filter
        if state.folder_filters is not None:
            in_folder = state.folder_filters.get(folder, everybody)
        if in_folder != people and not sink.is_empty() and store.written(sink.path):
            raise FaceswapError(f"{sink.path} holds the faces of another choice of people. Name "
                                "another folder with -o, or empty that one.")
    if people or state.folder_filters:
        filters = {key: value for key, value in (state.folder_filters or {}).items()
                   if key != folder}
        if people and sink:
            filters[folder] = people
        store.update(folder_filters=filters)
    if not people and state.people_filter:  # everybody is kept again
        store.drop("person", [])
        store.update(people_filter=people)
    return people


def _recognize(source: FrameSource, store: AlignmentStore, setup: ExtractionSetup,
               people: PeopleFilter) -> None:
    """Tells people apart and leaves out those who are not kept, if that is not done yet for all
    frames.
    """
    state, frames, recognizer = store.state, store.counts()[2], setup.recognizer
    if recognizer is None and people:
        recognizer = RECOGNIZERS.create(state.recognizer)
    if recognizer is None:
        return
    name = RECOGNIZERS.name_of(recognizer)
    if (state.recognizer, state.recognized, state.people_filter) != (name, frames, people):
        recognize(source, store, recognizer, setup.cropper)
        tell_apart(store, recognizer, people)
        store.update(recognizer=name, recognized=frames, people_filter=people)


def _check_wish(store: AlignmentStore, what: str, recorded: Any, wish: Any) -> None:
    if recorded not in (None, wish):
        raise FaceswapError(f"{store.path} was made with {what} {_shown(recorded)}, this run asks "
                            f"for {what} {_shown(wish)}. Ask for the same, delete that file to "
                            "start again, or name another with -p.")


def _shown(setting: Any) -> str:
    return ",".join(map(str, setting)) or OFF if isinstance(setting, tuple) else str(setting)


def _check_shard(store: AlignmentStore, recorded: Shard | None, shard: Shard | None) -> None:
    if recorded == shard:
        return
    if shard is None:
        raise FaceswapError(f"{store.path} is of the part {recorded.number}/{recorded.count} "
                            "alone. Join all parts with alignments merge, or say --shard "
                            f"{recorded.number}/{recorded.count}.")
    whole = f"the part {recorded.number}/{recorded.count}" if recorded else "all frames"
    raise FaceswapError(f"{store.path} was made for {whole}, this run asks for "
                        f"{shard.number}/{shard.count}. Name another file with -p.")


def describe(plugin: Plugin, registry: Registry) -> PluginRecord:
    """A plugin and its options as the store keeps them."""
    return PluginRecord(registry.name_of(plugin), as_json(plugin.options(), str))
