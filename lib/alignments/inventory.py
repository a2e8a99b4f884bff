"""What an alignments store holds, as facts for programs and as a table for people."""

from __future__ import annotations

from typing import Any

from lib.alignments.database.state import StoreState
from lib.alignments.left_out import count_by_reason
from lib.alignments.store import AlignmentStore
from lib.system.logs import counted
from lib.words import escaped

SHOWN = 10  # gaps in the table, the longest


def facts(store: AlignmentStore) -> dict[str, Any]:
    """All that `table` tells, and more, as JSON values. Frames are counted from 1."""
    faces, with_face, frames = store.counts()
    tracks, filled = store.track_counts()
    gaps: list[dict[str, Any]] = []
    without, several = [], []
    in_gap = False
    for index, name, time, count in store.frame_counts():
        number = index + 1
        if count > 1:
            several.append(number)
        if count == 0:
            without.append(number)
            if not in_gap:
                gaps.append({"first": number, "first_name": name, "first_time": time, "frames": 0})
            gaps[-1] |= {"last": number, "last_name": name, "last_time": time,
                         "frames": gaps[-1]["frames"] + 1}
        in_gap = count == 0
    return {"alignments": str(store.path), "settings": store.settings, "frames": frames,
            "frames_with_face": with_face, "faces": faces, "tracks": tracks, "filled": filled,
            "people": store.people(), "nobodys": len(store.whose().get(None, [])),
            "left_out": store.dropped_counts(), "masks": store.mask_counts(), "gaps": gaps,
            "frames_without_face": without, "frames_with_several_faces": several}


def table(facts: dict[str, Any]) -> str:
    """Lines for a terminal, of `facts`."""
    state = StoreState.from_json(facts["settings"])
    masks = ", ".join(f"{name} ({counted(count, 'face')})"
                      for name, count in facts["masks"].items())
    people = [f"person {person} {counted(count, 'face')}"
              for person, count in facts["people"].items()]
    if people and facts["nobodys"]:
        people.append(f"not recognized {counted(facts['nobodys'], 'face')}")
    no_tracks = "none yet" if state.source and state.source.video else "none"
    rows = [("alignments", facts["alignments"]),
            ("source", state.source.path if state.source else "not started yet"),
            ("detector", _plugin(state, state.detector)),
            ("aligner", _plugin(state, state.aligner)), ("masks", masks or "none"),
            ("searched", _searched(state)), ("frames", f"{facts['frames']}: "
                                             f"{facts['frames_with_face']} with a face, "
                                             f"{len(facts['frames_without_face'])} without, "
                                             f"{len(facts['frames_with_several_faces'])} with "
                                             "several"),
            ("faces", f"{facts['faces']}, " f"{facts['filled']} of them filled in"
             if facts["filled"] else str(facts["faces"])),
            ("tracks", str(facts["tracks"] or no_tracks)),
            ("landmarks", "smoothed" if state.smooth else "as they were fitted"),
            ("people", ", ".join(people) or "not told apart"),
            ("left out", count_by_reason(facts["left_out"]) or "none")]
    longest = sorted(facts["gaps"], key=lambda gap: -gap["frames"])[:SHOWN]
    lines = [f"{name:11} {value}" for name, value in rows]
    lines.append(f"{'gaps':11} {len(facts['gaps'])} without a face"
                 + (f", the longest {SHOWN}:" if len(facts["gaps"]) > SHOWN else ""))
    lines += [f"{'':11} {_gap(gap)}" for gap in sorted(longest, key=lambda gap: gap["first"])]
    return "\n".join(map(escaped, lines))


def _plugin(state: StoreState, plugin: Any) -> str:
    if plugin is None:
        return f"import of {state.imported.file}" if state.imported else "none yet"
    return str(plugin)


def _searched(state: StoreState) -> str:
    every = "every frame" if 1 in state.complete else " and ".join(f"every {every}. frame"
                                                                   for every in state.complete)
    parts = [every or "not to the end yet"]
    if state.shard:
        parts.append(f"part {state.shard.number} of {state.shard.count}")
    return "; ".join([*parts, *state.losses])


def _gap(gap: dict[str, Any]) -> str:
    if gap["first_name"]:
        until = "" if gap["frames"] == 1 else f" to {gap['last_name']}"
        return f"{gap['first_name']}{until} ({counted(gap['frames'], 'picture')})"
    until = "" if gap["frames"] == 1 else f" to {gap['last']}"
    times = ""
    if gap["first_time"] is not None and gap["last_time"] is not None:
        times = f", {_clock(gap['first_time'])} to {_clock(gap['last_time'])}"
    return f"frame {gap['first']}{until} ({counted(gap['frames'], 'frame')}{times})"


def _clock(seconds: float) -> str:
    """1:02:03.45, 2:03.45 or 3.45 s."""
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{hundredths // 100:02d}.{hundredths % 100:02d}"
    if hours:
        return f"{hours}:{minutes:02d}:{rest}"
    return f"{minutes}:{rest}" if minutes else f"{hundredths / 100:.2f} s"
