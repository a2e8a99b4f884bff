"""convert: every frame of a source is written, its faces replaced by what a trained model draws.

What flows through: frames of the source with the faces of its alignments store, swapped by
`lib/swapping/pipeline.py`, labelled here, and handed to the sink as patches. `resuming.Outcome`
counts them and notes those that failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from lib.alignments.masking import check_stored
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError, UsageError
from lib.jobs.convert import people
from lib.jobs.convert.models import Models, check_models_named, load_models, roles_of
from lib.jobs.convert.resuming import Outcome, key_of
from lib.jobs.convert.settings import ConvertSettings
from lib.jobs.convert.steadying import SteadyFaces
from lib.jobs.shared.compositing import compositor_of, eyes_of
from lib.jobs.shared.finding import open_alignments
from lib.jobs.shared.marking import Marking, marked, marking_of, note_hash, option_values
from lib.media.base import LARGE, FrameSink, FrameSource
from lib.media.endpoints.sink import writer_for
from lib.media.endpoints.source import open_source
from lib.media.frame_range import FrameRange, parse_frame_range, parse_shard
from lib.provenance.run_record import Record, locked_output
from lib.swapping.composite import Compositor
from lib.swapping.depth import Depth
from lib.swapping.exemplars.stage import Planned
from lib.swapping.eyes import EyesFollow
from lib.swapping.label import Label
from lib.swapping.pipeline import BATCH, Finished, Role, swap_frames
from lib.swapping.steady import REACH
from lib.system import device
from lib.system.parallel import prefetch
from lib.system.progress import job, progress
from lib.types import Patch, Shard

logger = logging.getLogger(__name__)
MARKED_OPTIONS = ("color", "mask", "blender", "faces", "label")  # that Content Credentials name


@dataclass(frozen=True)
class ConvertResult:
    """What `convert` did."""

    output: Path
    frames: int  # written by this run
    frames_swapped: int  # of these, frames with a new face
    faces: int  # swapped
    faint: int  # of these, faces of which next to nothing is visible
    reused: int  # frames of an earlier run with the same options
    complete_before: bool  # an earlier run had written all of them
    # That other shards have still to write before the result can be put together
    missing_parts: int
    unmarked: tuple[str, ...]  # endings of written files that hold no Content Credentials
    # A sentence each: frames written unchanged, input that could not be read
    failures: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Scene:
    """What is converted into what, and how: all that is known before faces and models are
    loaded."""

    settings: ConvertSettings
    source: FrameSource
    frame_range: FrameRange
    shard: Shard | None
    compositor: Compositor
    eyes: EyesFollow | None
    sink: FrameSink
    marking: Marking | None
    label: Label | None


@job
def convert(settings: ConvertSettings) -> ConvertResult:
    """Swaps the faces of a source. Frames that fail are written unchanged and named in the result.

    Raises UsageError for options that exclude each other, FaceswapError where the source, the model
    or the output cannot be used.
    """
    began = time.monotonic()
    scene = _prepare(settings)
    models = load_models(settings)
    output, source, sink = settings.output, scene.source, scene.sink
    inputs = {"input": source.path}
    with locked_output(output, scene.shard), \
            Record(output, "convert", option_values(settings), inputs, scene.shard) as record:
        outcome = Outcome(record)
        mark = scene.marking.mark(source.path, models.names, partial(record.sha256, "input")) \
            if scene.marking else None
        with marked(sink, record, mark, settings.label, outcome.failures), sink:
            missing = _swap(scene, models, outcome)
        if not sink.missing_parts:  # else a file there is an earlier run's
            note_hash(record, output)
    return ConvertResult(output, outcome.frames, outcome.frames_swapped, outcome.faces,
                         outcome.faint, _reused(scene, missing), not missing, sink.missing_parts,
                         tuple(sorted(mark.unmarked_endings)) if mark else (),
                         tuple(outcome.failures), time.monotonic() - began)


def open_sink(settings: ConvertSettings, source: FrameSource) -> FrameSink:
    """Where the frames go, as -o and -w say; nothing is written yet. Raises FaceswapError if they
    cannot go there."""
    name = settings.writer or writer_for(settings.output, source)
    writer = replace(settings, writer=name).create("writer")
    if settings.keep_interlaced:
        writer = writer.keeping_interlaced()
    if writer is None:
        raise UsageError("--keep-interlaced is for an output that is a video file. Leave it out.")
    return writer.open(settings.output, source)


def marking_for(settings: ConvertSettings) -> Marking | None:
    """How the result is marked as synthetic. Raises FaceswapError where it cannot be signed."""
    named = {name: value for name, value in option_values(settings).items()
             if name in MARKED_OPTIONS}
    return marking_of(settings, settings.input, named)


def masks_store(settings: ConvertSettings, source: FrameSource) -> Path:
    """The alignments store of the input, which may hold masks."""
    return settings.alignments or default_store(source.path)


def _prepare(settings: ConvertSettings) -> Scene:
    """Everything that can be checked before anything is loaded or searched."""
    check_models_named(settings)
    if settings.preview is not None or settings.try_:
        raise UsageError("--preview and --try make a sheet of sample frames: call `preview`.")
    source = open_source(settings.input)
    frame_range = parse_frame_range(source, settings.from_, settings.to, settings.frames)
    shard = parse_shard(settings.shard)
    if shard and source.count is None:
        raise FaceswapError(
            f"{source.path} does not say how many frames it has, so it cannot be divided into "
            "shards. Put it into a container with an index, such as MP4, first.")
    if source.size and source.size[0] * source.size[1] >= LARGE:
        device.give_blocks_back()
    compositor, eyes = compositor_of(settings, masks_store(settings, source)), eyes_of(settings)
    sink, marking = open_sink(settings, source), marking_for(settings)
    label = None if settings.label is None else Label(settings.label)
    if label and sink.aligned:
        raise UsageError(
            "--label is written into frames, and -w patch writes faces apart from them. Leave "
            "one out.")
    return Scene(settings, source, frame_range, shard, compositor, eyes, sink, marking, label)


def _swap(scene: Scene, models: Models, outcome: Outcome) -> list[tuple[int, int | None]]:
    """Writes the frames that earlier runs have not written, and returns their ranges."""
    settings, source, frame_range = scene.settings, scene.source, scene.frame_range
    with open_alignments(source, settings.alignments, settings, frame_range.indices(source),
                         search=scene.shard is None) as store, ExitStack() as closing:
        # who is swapped, by which model
        roles = roles_of(settings, source, store, models, scene.compositor)
        for role in roles:
            if isinstance(role.exemplars, Planned):
                closing.callback(role.exemplars.close)
        check_stored(store, scene.compositor.maskers, source.path)
        if not settings.swap:
            people.warn_if_swapped_already(settings, source, store, models.first)

        # which frames are missing
        key = key_of(settings, source, store, models)
        again = outcome.resume(key, models)
        whole = frame_range.start, frame_range.stop
        missing = scene.sink.missing(key, *whole, scene.shard, again)
        outcome.begin(missing, whole)

        # these frames
        depth = Depth.of(store)
        parts = (_swapped(scene, store, roles, depth, start, stop) for start, stop in missing)
        labelled = _Labels(scene, store)
        for done in progress(chain.from_iterable(parts), "convert", _count(source, missing)):
            scene.sink.patch(done.frame, labelled(done))
            outcome.add(done)
        outcome.end(source.losses)
    return missing


def _swapped(scene: Scene, store: AlignmentStore, roles: Sequence[Role], depth: Depth, start: int,
             stop: int | None) -> Iterator[Finished]:
    """Frames `start` to `stop` - 1, swapped, exactly as a run over all frames would: their
    neighbours are swapped too."""
    frame_range, sink = scene.frame_range, scene.sink
    lead = max(frame_range.start, (start - REACH) // BATCH * BATCH)
    after = None if stop is None else -(-(stop + REACH) // BATCH) * BATCH
    if after is None or frame_range.stop is not None and frame_range.stop < after:
        after = frame_range.stop
    steady, unsure = SteadyFaces(store), scene.settings.unsure
    frames = ((frame, people.everybody(steady, frame.index, unsure)
               if frame_range.includes(frame.index) else [])
              for frame in prefetch(scene.source.frames(lead, after)))
    for done in swap_frames(frames, roles, scene.eyes, sink.deep, sink.aligned, depth):
        if done.frame.index >= start and (stop is None or done.frame.index < stop):
            yield done


class _Labels:
    """Adds the label to frames: in a video always in the corner that hides the fewest faces, in
    each picture in its own."""

    def __init__(self, scene: Scene, store: AlignmentStore):
        self._label, self._deep, self._store = scene.label, scene.sink.deep, store
        self._corner = None
        if self._label and scene.source.rate is not None and scene.source.size is not None:
            frames = people.frames_with_face(store, people.LOOKED_AT)
            faces = chain.from_iterable(people.faces_of(store, index) for index in frames)
            self._corner = self._label.corner(scene.source.size, faces)

    def __call__(self, done: Finished) -> list[Patch]:
        """The patches of a frame, with the label. A picture without a new face has none."""
        patches = list(done.patches)
        if self._label and (patches or self._corner):
            corner = self._corner
            if not corner:
                faces = people.faces_of(self._store, done.frame.index)
                corner = self._label.corner(done.frame.size, faces)
            patches.append(self._label.patch(done.frame, patches, self._deep, corner))
        return patches


def _count(source: FrameSource, ranges: Sequence[tuple[int, int | None]]) -> int | None:
    """How many frames `ranges` have; None where only reading tells."""
    if source.count is None and any(stop is None for _, stop in ranges):
        return None
    return sum((source.count if stop is None else stop) - start for start, stop in ranges)


def _reused(scene: Scene, missing: Sequence[tuple[int, int | None]]) -> int:
    """How many frames of earlier runs the result has; 0 where only reading tells, and for a
    shard."""
    whole = [(scene.frame_range.start, scene.frame_range.stop)]
    counts = _count(scene.source, whole), _count(scene.source, missing)
    return 0 if scene.shard or None in counts else counts[0] - counts[1]
