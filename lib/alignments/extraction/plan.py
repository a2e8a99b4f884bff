"""What earlier runs left to do: the frames that are to be searched, masked or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.facesets.folder import FaceFolder
from lib.media.base import NEARBY_FRAMES, FrameSource
from lib.plugin import MASKERS


@dataclass(frozen=True)
class Plan:
    """The frames to decode, and what is known of them."""

    # First frame and the one after the last; None: to the end, which only reading tells
    segments: list[tuple[int, int | None]]
    needed: frozenset[int]
    open_from: int | None  # every frame from here on is needed; None where there is a last one
    done: set[int]  # frames that were searched before
    written: dict[int, set[int]]  # numbers of the faces that were written before, by frame
    total: int | None  # frames, for the progress bar

    def needs(self, index: int, every: int) -> bool:
        if self.open_from is not None and index >= self.open_from:
            return index in self.needed or index % every == 0
        return index in self.needed


def make_plan(source: FrameSource, store: AlignmentStore, setup: ExtractionSetup,
              sink: FaceFolder | None, block: int) -> Plan:
    """The plan of a run that writes its faces into `sink`.

    Frames are searched in blocks of this many: all of a block again where some are not done.
    """
    done, every = store.done(), setup.every
    complete = any(every % searched == 0 for searched in store.state.complete)
    first, end, to_the_end = _bounds(source, setup, done, complete)

    # What was written, masked
    if sink and sink.is_empty():
        store.forget_written(sink.path)
    written: dict[int, set[int]] = {}
    for index, number in store.written(sink.path) if sink else ():
        written.setdefault(index, set()).add(number)
    unfinished = store.unwritten(sink.path) if sink else set()
    for masker in setup.maskers:
        unfinished |= store.without_mask(MASKERS.name_of(masker))

    # What is needed
    asked = setup.only
    if asked is None:
        asked = [index for index in range(first + -first % every, end, every)
                 if not complete or index in done]
    if block > 1 and every == 1 and not complete:
        partial = {index // block for index in asked if index not in done}
        if to_the_end:
            partial.add(end // block)
        done -= {index for index in done if index // block in partial}
    needed = [index for index in asked if index not in done or index in unfinished]
    segments = _segments(needed, 1 if source.files else NEARBY_FRAMES, end,
                         to_the_end and not complete)
    return Plan(segments, frozenset(needed), end if to_the_end else None, done, written,
                len(asked) if complete or source.count is not None else None)


def _bounds(source: FrameSource, setup: ExtractionSetup, done: set[int],
            complete: bool) -> tuple[int, int, bool]:
    """First frame, the one after the last as far as that is known, and whether the work goes on to
    the very end.
    """
    first, end = 0, max(done, default=-1) + 1
    if not complete and source.count is not None:
        end = max(end, source.count)
    if not setup.shard:
        return first, end, setup.only is None
    if source.count is None:
        raise FaceswapError(f"The number of frames of {source.path} is only known when all are "
                            "read, so it cannot be cut into shards. Put it into a container with "
                            "an index, such as MP4, first.")
    first, stop = setup.shard.frames(source.count)
    is_last = setup.shard.number == setup.shard.count
    return first, end if is_last else stop, is_last


def _segments(needed: Sequence[int], gap: int, end: int,
              to_the_end: bool) -> list[tuple[int, int | None]]:
    """Stretches to decode: frames less than `gap` apart are read in one go, since finding a frame
    costs about as much.

    With `to_the_end` the last stretch is open: the number of frames that a video announces may be
    wrong.
    """
    segments: list[tuple[int, int | None]] = []
    for index in needed:
        if segments and index - segments[-1][1] < gap:
            segments[-1] = (segments[-1][0], index + 1)
        else:
            segments.append((index, index + 1))
    if to_the_end:
        if segments and end - segments[-1][1] < gap:
            segments[-1] = (segments[-1][0], None)
        else:
            segments.append((end, None))
    return segments
