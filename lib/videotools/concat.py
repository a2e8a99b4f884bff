"""Joins videos, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from lib.media.encoding.stream_copy import flags_of
from lib.system.logs import counted
from lib.videotools import encoders, ffmpeg
from lib.videotools.encoders import Encoding
from lib.videotools.inputs import Video
from lib.videotools.outputs import Expected, Output, Result

logger = logging.getLogger(__name__)
COMMON_TIME_BASE = Fraction(1, 90000)  # where those of the videos differ


def concat(paths: Sequence[Path], target: Path, encoding: Encoding | None = None,
           dry_run: bool = False) -> Result:
    """Joins the videos at `paths`. Without an `encoding` they are copied where all are alike.

    Sound is encoded again, as long as the pictures; silence stands where a video has none.
    """
    videos = [Video(path) for path in paths]
    output, first = Output.of(target, paths, dry_run), videos[0]
    lengths = [video.length for video in videos]
    tracks = _count_tracks(videos)
    copies = encoding is None and _can_copy(videos, output.container)
    encoding = Encoding() if copies else (encoding or Encoding()).on_this_machine()

    # Pictures
    arguments, stdin, graph = [], None, []
    for video in videos:
        arguments += ffmpeg.input_arguments(video.file, *encoding.decoder_arguments())
    if copies:
        stdin = _list_of_videos(videos, lengths)
        arguments += ffmpeg.list_arguments(video.format for video in videos)
        mapped = ["-map", f"{len(videos)}:V:0", "-c:v", "copy"]
        mapped += encoders.clock_arguments(output.container, first.source.time_base)
    else:
        logger.info("The videos differ in size, codec or settings, another is asked for, or a "
                    "clock jumps: they are encoded again.")
        coder, layout = encoding.encoder_arguments(output.container, first.source.layout,
                                                   first.source.size)
        graph = _join_pictures(videos, lengths, layout, encoding)
        bases = {video.source.time_base for video in videos}
        base = bases.pop() if len(bases) == 1 else COMMON_TIME_BASE
        mapped = ["-map", "[v]", *coder]
        mapped += encoders.timing_arguments(output.container, base, first.steady_rate)
        mapped += first.timecode(output.container)

    # Sound
    for track in range(tracks):
        graph += _join_sound(videos, lengths, track)
        mapped += _sound_arguments(_with_track(videos, track), track, output.container)
    arguments += ["-filter_complex", ";".join(graph)] if graph else []

    mapped += [] if _is_stitched(videos) else ["-copyts"]
    mapped += ["-map_metadata", "0", "-map_chapters", "-1", *_statement_of(paths)]
    begins = accumulate(lengths, initial=Fraction(0))
    seconds = [begin + second for begin, video in zip(begins, videos)
               for second in video.seconds_from_zero]
    expected = Expected(first.source.size, seconds, tracks, whole=True)
    return output.make([*arguments, *mapped], "concat", expected, videos, stdin)


def _can_copy(videos: Sequence[Video], container: str) -> bool:
    first = videos[0]
    return (all(video.parameters == first.parameters for video in videos)
            and encoders.holds(container, first.codec) and not _is_stitched(videos))


def _is_stitched(videos: Sequence[Video]) -> bool:
    """Whether a clock jumps, which ffmpeg repairs where it may choose all clocks itself."""
    return any(video.is_stitched for video in videos)


def _count_tracks(videos: Sequence[Video]) -> int:
    """The most sound tracks that a video has."""
    tracks = max(len(video.sound) for video in videos)
    for video in videos:
        if len(video.sound) < tracks:
            logger.info("%s has %s of sound where others have %d: silence is put there.",
                        video.path.name, counted(len(video.sound), "track"), tracks)
    return tracks


def _list_of_videos(videos: Sequence[Video], lengths: Sequence[Fraction]) -> str:
    lines = ["ffconcat version 1.0"]
    for video, length in zip(videos, lengths):
        lines += [f"file {ffmpeg.quote(video.file)}", f"duration {float(length):.6f}"]
    return "\n".join(lines) + "\n"


def _join_pictures(videos: Sequence[Video], lengths: Sequence[Fraction], layout: str,
                   encoding: Encoding) -> list[str]:
    """Filters: all pictures in the size of the first video, with black bars where they are
    needed."""
    (width, height), parts = videos[0].source.size, []
    fit = f"scale={width}:{height}:force_original_aspect_ratio=decrease"
    fit = f"{fit}:flags=lanczos+{encoders.EXACT},pad={width}:{height}:-1:-1,setsar=1"
    for number, video in enumerate(videos):
        size = video.source.size
        square = [*video.unify(), f"scale={size[0]}:{size[1]},setsar=1"]
        colours = encoders.from_rgb(layout, size, None) if video.is_rgb else [f"format={layout}"]
        # The clock of the joined video counts microseconds, to which each piece is held
        chain = [f"setpts=PTS-{_clock_start(video, videos)}/TB", *square, fit, *colours,
                 "settb=1/1000000"]
        parts.append(f"[{number}:{video.stream}]{','.join(chain)}[v{number}]")
    joined = "".join(f"[v{number}]" for number in range(len(videos)))
    upload = "".join(f",{item}" for item in encoding.upload_filters())
    return [*parts, f"{joined}concat=n={len(videos)}:v=1:a=0{upload}[v]"]


def _join_sound(videos: Sequence[Video], lengths: Sequence[Fraction], track: int) -> list[str]:
    """Filters: the sound of each video, exactly as long as its pictures are shown."""
    longest = _with_track(videos, track)
    _, channels, rate = longest.sound_facts(track)
    stored_layout = longest.sound[track]["layout"] or "stereo"
    layout = {1: "mono", 2: "stereo"}.get(channels, stored_layout)
    parts, done = [], 0
    for number, end in enumerate(accumulate(lengths)):
        samples = round(end * rate) - done  # rounded from the beginning, so that no error adds up
        done += samples
        if track >= len(videos[number].sound):
            parts.append(f"anullsrc=r={rate}:cl={layout},atrim=end_sample={samples}"
                         f"[a{track}_{number}]")
            continue
        begin = _clock_start(videos[number], videos)
        parts.append(f"[{number}:a:{track}]asetpts=PTS-{begin}/TB,"
                     f"aresample={rate}:async=1:min_hard_comp=0.001:first_pts=0,"
                     f"aformat=channel_layouts={layout},apad=whole_len={samples},"
                     f"atrim=end_sample={samples}[a{track}_{number}]")
    joined = "".join(f"[a{track}_{number}]" for number in range(len(videos)))
    return [*parts, f"{joined}concat=n={len(videos)}:v=0:a=1[a{track}]"]


def _sound_arguments(video: Video, track: int, container: str) -> list[str]:
    """Arguments that write a joined track with the format, flags and language it has in `video`."""
    arguments = ["-map", f"[a{track}]"]
    arguments += encoders.sound_arguments(track, *video.sound_facts(track), container, copy=False)
    arguments += [f"-disposition:a:{track}", flags_of(video.flagged[track][1])]
    if language := video.sound[track]["language"]:
        arguments += [f"-metadata:s:a:{track}", f"language={language}"]
    return arguments


def _with_track(videos: Sequence[Video], track: int) -> Video:
    """The first video that has so many sound tracks."""
    return next(video for video in videos if len(video.sound) > track)


def _clock_start(video: Video, videos: Sequence[Video]) -> float:
    """Second at which ffmpeg's clock stands where `video` begins; without -copyts, at 0."""
    return 0.0 if _is_stitched(videos) else float(video.source.begins)


def _statement_of(paths: Sequence[Path]) -> list[str]:
    """Arguments that say that the video is synthetic, where one of its inputs says so."""
    from lib.provenance.reading import statement_in

    statement = next(filter(None, map(statement_in, paths)), "")
    return ["-metadata", f"comment={statement}"] if statement else []
