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
    graph, before = None, None
    for tick, frame in frames:
        if graph is not None and not graph.takes(frame):
            yield from graph.rest()
            graph, before = None, None
        if graph is None and not frame.interlaced_frame:
            before = frame
            yield Decoded(tick, frame, frame)
            continue
        if graph is None:
            graph = _Graph(frame, DEINTERLACE)
            if before is not None and graph.takes(before):
                graph.push(None, before, wanted=False)
        graph.push(tick, frame)
        yield from graph.ready()
    if graph is not None:
        yield from graph.rest()


def of_one_size(frames: Iterator[Decoded], first: av.VideoFrame) -> Iterator[Decoded]:
    """`frames`, all of the size and layout of `first`: others are scaled into it, with black beside
    them."""
    graphs: dict[tuple, _Graph] = {}
    for decoded in frames:
        picture = decoded.picture
        if (picture.width, picture.height, picture.format.name) == (first.width, first.height, first.format.name):
            yield decoded
            continue
        key = picture.width, picture.height, picture.format.name
        if key not in graphs:
            graphs[key] = _Graph(picture, *fitted((first.width, first.height)),
                                 f"format={plain(first.format.name)}")
        graphs[key].push(decoded.tick, picture)
        for made in graphs[key].ready():
            yield Decoded(decoded.tick, made.picture, decoded.stored)


def is_top_first(frame: av.VideoFrame) -> bool:
    """Whether the field of the first line of an interlaced frame was filmed first."""
    graph = _Graph(frame, "select=eq(interlace_type,TOPFIRST)")
    graph.push(0, frame)
    return any(True for _ in graph.rest())


def fitted(size: tuple[int, int]) -> list[str]:
    """Filters that leave pictures of this size (width, height) as they are, and set others into
    it."""
    width, height = size
    return [f"scale={width}:{height}:force_original_aspect_ratio=decrease:flags=bicubic+accurate_rnd",
            f"pad={width}:{height}:-1:-1"]


class _Graph:
    """Filters that make a picture of each; several may be held back."""

    def __init__(self, like: av.VideoFrame, *filters: str):
        self._kind = like.width, like.height, like.format.name
        self._graph = av.filter.Graph()
        buffer = self._graph.add("buffer", f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}"
                                           f":time_base=1/1000000:colorspace={int(like.colorspace)}:range={int(like.color_range)}")
        last = buffer
        for words in filters:
            name, _, arguments = words.partition("=")
            following = self._graph.add(name, arguments)
            last.link_to(following)
            last = following
        sink = self._graph.add("buffersink")
        last.link_to(sink)
        self._graph.configure()
        self._waiting: deque[tuple[int | None, av.VideoFrame, bool]] = deque()

    def takes(self, frame: av.VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._kind

    def push(self, tick: int | None, frame: av.VideoFrame, wanted: bool = True) -> None:
        self._waiting.append((tick, frame, wanted))
        self._graph.push(frame)

    def ready(self) -> Iterator[Decoded]:
        while self._waiting:
            try:
                picture = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            tick, stored, wanted = self._waiting.popleft()
            picture.pts, picture.time_base = stored.pts, stored.time_base
            picture.colorspace, picture.color_range = stored.colorspace, stored.color_range
            picture.color_primaries, picture.color_trc = stored.color_primaries, stored.color_trc
            if wanted:
                yield Decoded(tick, picture, stored)

    def rest(self) -> Iterator[Decoded]:
        self._graph.push(None)
        yield from self.ready()
