"""What an alignments store holds, as facts for programs and as a table for people."""

from __future__ import annotations

from typing import Any

from lib.alignments.left_out import count_by_reason
from lib.alignments.store import AlignmentStore
from lib.system.logs import counted
from lib.words import escaped

SHOWN = 10  # gaps in the table, the longest


def facts(store: AlignmentStore) -> dict[str, Any]:
    """All that `table` tells, and more, as JSON values. Frames are counted from 0."""
    faces, with_face, frames = store.counts()
    tracks, filled = store.track_counts()
    gaps: list[dict[str, Any]] = []
    none, several = [], []
    before = 1  # faces in the frame before
    for index, name, time, count in store.frame_counts():
        if count > 1:
            several.append(index)
        if count == 0:
            none.append(index)
            if before:
                gaps.append({"first": index, "first_name": name, "first_time": time, "frames": 0})
            gaps[-1] |= {"last": index, "last_name": name, "last_time": time, "frames": gaps[-1]["frames"] + 1}
        before = count
    return {"alignments": str(store.path), "settings": store.settings, "frames": frames, "frames_with_face": with_face, "faces": faces,
            "tracks": tracks, "filled": filled, "people": store.people(),
            "nobodys": len(store.whose().get(None, [])), "left_out": store.dropped_counts(),
            "masks": store.mask_counts(), "gaps": gaps, "frames_without_face": none, "frames_with_several_faces": several}


def table(found: dict[str, Any]) -> str:
    """Lines for a terminal, of `facts`."""
    settings = found["settings"]
    masks = ", ".join(f"{name} ({counted(count, 'face')})" for name, count in found["masks"].items())
    people = [f"person {person} {counted(count, 'face')}" for person, count in found["people"].items()]
    if people and found["nobodys"]:
        people.append(f"nobody in particular {counted(found['nobodys'], 'face')}")
    left_out = count_by_reason(found["left_out"])
    rows = [("alignments", found["alignments"]),
            ("source", settings.get("source", {}).get("path", "not begun yet")),
            ("detector", _plugin(settings, "detector")),
            ("aligner", _plugin(settings, "aligner")),
            ("masks", masks or "none"),
            ("searched", _searched(settings)),
            ("frames", f"{found['frames']}: {found['frames_with_face']} with a face, {len(found['frames_without_face'])} without, "
                       f"{len(found['frames_with_several_faces'])} with several"),
            ("faces", f"{found['faces']}, {found['filled']} of them filled in" if found["filled"] else str(found["faces"])),
            ("tracks", str(found["tracks"] or ("none yet" if settings.get("source", {}).get("video") else "none"))),
            ("landmarks", "smoothed" if settings.get("smooth") else "as they were fitted"),
            ("people", ", ".join(people) or "not told apart"),
            ("left out", left_out or "none")]
    lines = [f"{name:11} {value}" for name, value in rows]
    gaps = sorted(sorted(found["gaps"], key=lambda gap: -gap["frames"])[:SHOWN], key=lambda gap: gap["first"])
    lines.append(f"{'gaps':11} {len(found['gaps'])} without a face" + (f", the longest {SHOWN}:" if len(found["gaps"]) > SHOWN else ""))
    return "\n".join(map(escaped, lines + [f"{'':11} {_gap(gap)}" for gap in gaps]))


def _plugin(settings: dict[str, Any], kind: str) -> str:
    if kind not in settings:
        return f"import of {settings['imported']['file']}" if "imported" in settings else "none yet"
    return settings[kind]["name"] + "".join(f" {name}={value}" for name, value in settings[kind]["options"].items())


def _searched(settings: dict[str, Any]) -> str:
    complete = settings.get("complete", [])
    parts = ["every frame" if 1 in complete else " and ".join(f"every {every}. frame" for every in complete) or "not to the end yet"]
    if settings.get("shard"):
        parts.append("part {} of {}".format(*settings["shard"]))
    parts += settings.get("losses", [])
    return "; ".join(parts)


def _gap(gap: dict[str, Any]) -> str:
    if gap["first_name"]:
        between = "" if gap["frames"] == 1 else f" to {gap['last_name']}"
        return f"{gap['first_name']}{between} ({counted(gap['frames'], 'picture')})"
    between = "" if gap["frames"] == 1 else f" to {gap['last']}"
    times = "" if gap["first_time"] is None or gap["last_time"] is None else f", {_clock(gap['first_time'])} to {_clock(gap['last_time'])}"
    return f"frame {gap['first']}{between} ({counted(gap['frames'], 'frame')}{times})"


def _clock(seconds: float) -> str:
    """1:02:03.45, 2:03.45 or 3.45 s."""
    hundredths = round(seconds * 100)
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{hundredths // 100:02d}.{hundredths % 100:02d}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}" if minutes else f"{hundredths / 100:.2f} s"
