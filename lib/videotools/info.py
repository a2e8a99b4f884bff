"""What a video file holds: its streams, its times, its colours and what it says of itself."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from lib.errors import FaceswapError
from lib.media.opening import open_container
from lib.media.video.container import pick_stream
from lib.media.video.video_source import VideoSource
from lib.system.progress import progress

RANGES = {0: None, 1: "limited", 2: "full"}
# Names of matrices, primaries and transfers as ISO/IEC 23091-2 and FFmpeg number them
MATRICES = {0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m",
            8: "ycgco", 9: "bt2020nc", 10: "bt2020c",
            14: "ictcp"}
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
             9: "bt2020", 11: "smpte431", 12: "smpte432"}
TRANSFERS = {1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
             13: "srgb", 14: "bt2020-10",
             15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67"}


def facts(path: Path, quick: bool = False) -> dict[str, Any]:
    """What the file at `path` holds, for JSON. Frames are decoded and counted; `quick`: as its
    index or its packets announce them.

    Raises FaceswapError where it holds neither pictures nor sound that can be read.
    """
    try:
        container = open_container(path)
    except av.error.FFmpegError:
        VideoSource(path)  # knows why
        raise
    with container:
        streams = container.streams
        covers = [stream for stream in streams.video
                  if stream.disposition & av.stream.Disposition.attached_pic]
        holds = _of_container(path, container) | {
            "audio": [sound_of(stream) for stream in streams.audio],
            "subtitles": [{"codec": _codec(stream), "language": stream.metadata.get("language")}
                          for stream in streams.subtitles],
            "chapters": [_chapter(chapter) for chapter in container.chapters()],
            "metadata": dict(container.metadata), "cover_pictures": len(covers)}
        if len(covers) == len(streams.video) and holds["audio"]:
            return holds | {"video": False}
        video = pick_stream(container)
        of_stream = _of_stream(video) if video and video.codec_context else {}
    return holds | of_stream | _of_frames(VideoSource(path), quick)


def _of_container(path: Path, container: av.container.InputContainer) -> dict[str, Any]:
    length = None if container.duration is None else round(container.duration / av.time_base, 3)
    start = None if container.start_time is None else round(container.start_time / av.time_base, 4)
    return {"file": path.name, "bytes": path.stat().st_size, "container": container.format.name,
            "duration_s": length, "start_s": start,
            "bit_rate": container.bit_rate or None}


def _of_stream(stream: av.video.stream.VideoStream) -> dict[str, Any]:
    context = stream.codec_context
    return {"codec": _codec(stream), "decoder": context.name, "profile": context.profile,
            "pix_fmt": context.pix_fmt,
            "stored": [context.width, context.height],
            "sar": _ratio(stream.sample_aspect_ratio) or "1",
            "time_base": _ratio(stream.time_base), "language": stream.metadata.get("language"),
            "video_bit_rate": stream.bit_rate or None}


def _of_frames(source: VideoSource, quick: bool) -> dict[str, Any]:
    """What only the frames tell. A time is None where the file has no clock."""
    ticks, count, losses, interlaced = source.ticks(), source.count, [], None
    if quick:
        rotation = next(source.frames(0, 1)).stored.rotation
    else:
        stored = [(frame.stored.pts, frame.stored.interlaced_frame, frame.stored.rotation)
                  for frame in progress(source, "info", source.count)]
        times, fields, rotations = zip(*stored)
        count, losses = len(stored), source.losses
        interlaced, rotation = any(fields), rotations[0]
        if ticks is None or len(ticks) != count:
            ticks = None if None in times else sorted(times)
    jumps = source.jumps.count if count is not None else None
    facts = {"shown": list(source.size), "frames": count, "avg_fps": _ratio(source.rate),
             "first_s": None, "last_s": None, "vfr": None, "rotation_ccw_deg": rotation % 360,
             "interlaced": interlaced, "losses": losses, "clock_jumps": jumps}
    if ticks:
        first, last = (float(ticks[place] * source.time_base) for place in (0, -1))
        facts |= {"first_s": round(first, 4), "last_s": round(last, 4),
                  "vfr": is_variable(ticks, source.time_base)}
        if source.moves and source.last_length:
            facts["duration_s"] = round(last + source.last_length, 3)
        if jumps:
            end = max(last + 1 / float(source.rate or 25), source.sound_end)
            facts["duration_s"] = round(end - source.origin, 3)
    colours = source.colours
    return facts | {"colours": {
        "matrix": MATRICES.get(colours.matrix), "matrix_assumed": MATRICES.get(source.matrix),
        "range": RANGES.get(colours.range), "primaries": PRIMARIES.get(colours.primaries),
        "transfer": TRANSFERS.get(colours.transfer), "hdr": source.hdr_coded is not None}}


def is_variable(times: list[int], time_base: Fraction) -> bool:
    """Whether frames do not follow each other at one rate, beyond the rounding of the clock (of at
    least 1 ms)."""
    if len(times) < 3:
        return False
    steady, unit = (times[-1] - times[0]) / (len(times) - 1), max(1.0, 0.002 / float(time_base))
    return any(abs(after - before - steady) > unit for before, after in pairwise(times))


def sound_of(stream: av.audio.stream.AudioStream) -> dict[str, Any]:
    """What a sound track is, for JSON; None throughout where its format is not known."""
    context, base = stream.codec_context, stream.time_base
    if context is None:
        return {"codec": None, "rate": None, "channels": None, "layout": None}
    start, length = (None if ticks is None else round(float(ticks * base), 4)
                     for ticks in (stream.start_time, stream.duration))
    return {"codec": _codec(stream), "decoder": context.name, "rate": context.sample_rate,
            "channels": context.layout.nb_channels, "layout": context.layout.name,
            "start_s": start, "duration_s": length, "bit_rate": stream.bit_rate or None,
            "language": stream.metadata.get("language")}


def _chapter(chapter: dict) -> dict[str, Any]:
    begin, end = (round(float(chapter[key] * chapter["time_base"]), 3) for key in ("start", "end"))
    return {"start_s": begin, "end_s": end, "title": chapter["metadata"].get("title")}


def _codec(stream: av.stream.Stream) -> str | None:
    """The format, whichever of its decoders is used: "mp3", not "mp3float"."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else None


def _ratio(value: Fraction | None) -> str | None:
    return None if value is None else str(Fraction(value))


def check_sound(path: Path, count: int) -> None:
    """Raises FaceswapError unless the file at `path` has so many sound tracks, each with something
    in it."""
    with open_container(path) as container:
        tracks = container.streams.audio
        if len(tracks) != count:
            raise FaceswapError(f"ffmpeg wrote {len(tracks)} sound tracks where {count} were asked "
                                "for. Try .mkv, which holds everything.")
