"""When the pictures of a taken-apart video were shown: a small file beside them, so that they can
be put together again exactly."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.reading import read_json
from lib.files.writing import write_json
from lib.media.video.video_source import VideoSource

SIDECAR = "frames.json"
FRACTION = re.compile(r"[0-9]{1,12}(/[0-9]{1,12})?")


@dataclass(frozen=True)
class FrameTimes:
    """Times of pictures in units of `time_base` seconds, on the clock of the video `source`, which
    begins at its beginning."""

    source: str
    time_base: Fraction
    length: int  # of a frame, where no next one ends it
    colours: tuple[int, int, int]  # matrix, primaries and transfer, in FFmpeg's numbers
    times: dict[str, int]  # by the picture's name
    statement: str = ""  # what the video says of being synthetic

    def write(self, path: Path) -> None:
        write_json(path, asdict(self) | {"time_base": str(self.time_base)}, indent=0)

    @classmethod
    def read(cls, folder: Path) -> FrameTimes | None:
        """Those of the pictures in `folder`; None where it has none."""
        path = folder / SIDECAR
        try:
            fields = read_json(path, named=False)
            if not FRACTION.fullmatch(fields["time_base"]):  # "1e999999999" would take for ever
                raise ValueError("its time_base is no fraction")
            return cls(str(fields["source"]), Fraction(fields["time_base"]), int(fields["length"]),
                       tuple(map(int, fields["colours"])),
                       {str(name): int(time) for name, time in fields["times"].items()},
                       str(fields.get("statement", "")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError,
                OverflowError) as error:
            raise FaceswapError(f"{path} cannot be read ({error}). Delete it, and name the video "
                                "with -r/--reference instead.") from error


def ticks_of(source: VideoSource, frames: int | None = None) -> list[int]:
    """Times of all `frames` of a video from its beginning, in its `time_base`; where its packets do
    not tell them, it is decoded."""
    times = source.ticks()
    if times is None or frames not in (None, len(times)):
        times = [round(Fraction(frame.time) / source.time_base) for frame in source]
    begins = round(Fraction(source.origin) / source.time_base)
    return [time - begins for time in times]


def frame_length(source: VideoSource) -> int:
    """How long a frame is usually shown, in units of the video's `time_base`."""
    return max(1, round(1 / (source.steady_rate or Fraction(25)) / source.time_base))
