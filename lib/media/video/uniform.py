"""Decoded pictures of one video made alike: whole pictures instead of two fields, and all of one
size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import av

from lib.media.samples import plain

# a picture for each; those that are whole stay as they are
DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"


class Decoded(NamedTuple):
    tick: int | None  # when it is shown, in the stream's time base; None where there is no clock
    picture: av.VideoFrame
    stored: av.VideoFrame  # as it came from the decoder


def progressive(frames: Iterator[tuple[int | None, av.VideoFrame]]) -> Iterator[Decoded]:
    """`frames`; those of two fields, filmed one after the other, become whole pictures of the time
    of the first field.

    What is made of one depends on the frames before and after it.
    """
    graph, previous = None, None
    for tick, frame in frames:
        if graph is not None and not graph.takes(frame):
            yield from graph.flush()
            graph, previous = None, None
        if graph is None and not frame.interlaced_frame:
            previous = frame
            yield Decoded(tick, frame, frame)
            continue
        if graph is None:
            graph = _Graph(frame, DEINTERLACE)
            if previous is not None and graph.takes(previous):
                graph.push(None, previous, is_shown=False)
        graph.push(tick, frame)
        yield from graph.pull()
    if graph is not None:
        yield from graph.flush()


def of_one_size(frames: Iterator[Decoded], first: av.VideoFrame) -> Iterator[Decoded]:
    """`frames`, all of the size and layout of `first`: others are scaled into it, with black beside
    them."""
    graphs: dict[tuple, _Graph] = {}
    for decoded in frames:
        kind = _kind_of(decoded.picture)
        if kind == _kind_of(first):
            yield decoded
            continue
        if kind not in graphs:
            graphs[kind] = _Graph(decoded.picture, *fitted((first.width, first.height)),
                                  f"format={plain(first.format.name)}")
        graphs[kind].push(decoded.tick, decoded.picture)
        for scaled in graphs[kind].pull():
            yield Decoded(decoded.tick, scaled.picture, decoded.stored)


def is_top_first(frame: av.VideoFrame) -> bool:
    """Whether the field of the first line of an interlaced frame was filmed first."""
    graph = _Graph(frame, "select=eq(interlace_type,TOPFIRST)")
    graph.push(0, frame)
    return any(True for _ in graph.flush())


def fitted(size: tuple[int, int]) -> list[str]:
    """Filters that leave pictures of this size (width, height) as they are, and set others into
    it."""
    width, height = size
    scale = f"scale={width}:{height}:force_original_aspect_ratio=decrease"
    return [f"{scale}:flags=bicubic+accurate_rnd",
            f"pad={width}:{height}:-1:-1"]


def _kind_of(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


class _Graph:
    """Filters that make a picture of each; several may be held back."""

    def __init__(self, like: av.VideoFrame, *filters: str):
        self._kind = _kind_of(like)
        self._graph = av.filter.Graph()
        last = self._graph.add("buffer", (
            f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}:time_base=1/1000000"
            f":colorspace={int(like.colorspace)}:range={int(like.color_range)}"))
        for words in filters:
            name, _, arguments = words.partition("=")
            following = self._graph.add(name, arguments)
            last.link_to(following)
            last = following
        last.link_to(self._graph.add("buffersink"))
        self._graph.configure()
        self._held: deque[tuple[int | None, av.VideoFrame, bool]] = deque()

    def takes(self, frame: av.VideoFrame) -> bool:
        """Whether `frame` has the size and layout that the filters were made for."""
        return _kind_of(frame) == self._kind

    def push(self, tick: int | None, frame: av.VideoFrame, is_shown: bool = True) -> None:
        """Gives a frame, for the first one that is to come out; not `is_shown`: it does not."""
        self._held.append((tick, frame, is_shown))
        self._graph.push(frame)

    def pull(self) -> Iterator[Decoded]:
        """What is ready."""
        while self._held:
            try:
                picture = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            tick, stored, is_shown = self._held.popleft()
            picture.pts, picture.time_base = stored.pts, stored.time_base
            picture.colorspace, picture.color_range = stored.colorspace, stored.color_range
            picture.color_primaries, picture.color_trc = stored.color_primaries, stored.color_trc
            if is_shown:
                yield Decoded(tick, picture, stored)

    def flush(self) -> Iterator[Decoded]:
        """All that is held back."""
        self._graph.push(None)
        yield from self.pull()
