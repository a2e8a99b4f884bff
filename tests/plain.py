"""What a plain ffmpeg, the one that the toolkit finds, makes of a file: the measure for times, counts and sound."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lib.videotools import ffmpeg


def plain(*words: object, check: bool = True) -> str:
    """Runs ffmpeg with `words`; returns what it says."""
    line = [ffmpeg.executable(), "-hide_banner", "-nostdin", "-y", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=600)
    assert done.returncode == 0 or not check, done.stderr[-2000:]
    return done.stderr


def plain_times(path: Path) -> list[float]:
    """Seconds at which it shows the frames of the file."""
    said = plain("-i", path, "-map", "0:V:0", "-map", "0:a?", "-c:a", "copy", "-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-")
    return [float(second) for second in re.findall(r"\bn: *\d+ pts: *\S+ pts_time:(\S+)", said)]


def plain_sound(path: Path, folder: Path) -> list[tuple[float, str]]:
    """Second and hash of each packet of its first sound track, which is copied."""
    made = folder / "sound.framehash"
    plain("-i", path, "-map", "0:V:0", "-map", "0:a:0", "-c:a", "copy", "-fps_mode", "passthrough", "-f", "framehash", made)
    text = made.read_text()
    base = [int(number) for number in re.search(r"#tb 1: (\d+)/(\d+)", text).groups()]
    rows = [line.split(",") for line in text.splitlines() if line.startswith("1,")]
    return [(int(row[2]) * base[0] / base[1], row[-1].strip()) for row in rows]


def film(path: Path, *words: object, seconds: float = 2, size: str = "96x64", rate: int = 25) -> Path:
    """A moving test picture with a tone; `words` say how it is written."""
    plain("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}", "-f", "lavfi", "-i", f"sine=f=440:r=48000:d={seconds}",
          *words, "-shortest", path)
    return path
