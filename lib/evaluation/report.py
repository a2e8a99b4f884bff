"""What an evaluation says: a table, JSON, CSV, and one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lib.evaluation import html_page
from lib.evaluation.clip import MEDIANS, ClipScores
from lib.evaluation.compare import Compared, Difference
from lib.evaluation.frames import FrameScores
from lib.evaluation.html_page import number
from lib.evaluation.measures import BY_KEY, MEASURES, Measure
from lib.evaluation.verdict import verdict
from lib.system.logs import counted
from lib.words import escaped, escaped_html

FORMAT = 1
NAMED = 12  # pictures
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "1": "1 is best"}


def table(clip: ClipScores) -> str:
    """Lines for a terminal."""
    rows = [(measure.group, measure.title, number(clip.totals[measure.key].value), measure.unit, number(clip.totals[measure.key].original),
             DIRECTIONS[measure.better]) for measure in MEASURES if measure.key in clip.totals]
    lines, group = [], None
    for row in rows:
        if row[0] != group:
            group = row[0]
            lines += ["", group]
        original = f"(original {row[4]})" if row[4] else ""
        lines.append(f"  {row[1]:30} {row[2]:>8} {row[3]:15} {original:18} {row[5]}".rstrip())
    failures = _failures(clip)
    lines = lines + ["", conclusion(clip)]
    return "\n".join(lines[1:] + [""] * bool(failures) + list(map(escaped, failures)))


def conclusion(clip: ClipScores) -> str:
    """The verdict, in a sentence."""
    if clip.frames and len(clip.unswapped) == len(clip.frames):
        return "Nothing was swapped: the numbers are of the original itself."
    return verdict({key: total.value for key, total in clip.totals.items()}, clip.apart)


def _failures(clip: ClipScores) -> list[str]:
    """Frames without a swap, without a face, or with somebody else's, a sentence each."""
    said = []
    if clip.unswapped:
        said.append(f"Not swapped: {_frames(clip.unswapped)}.")
    if clip.unswapped and len(clip.unswapped) < len(clip.frames):
        said.append("All but coverage, time and what the face is taken for is told of the swapped frames alone.")
    if clip.lost:
        said.append(f"No face found where the original's was: {_frames(clip.lost)}. Likeness, landmarks and picture are not told of these.")
    others = Counter(scores.nearest for scores in clip.frames if scores.nearest not in ("", "b"))
    if others:
        names = [f"{'A' if name == 'a' else name.removeprefix('gallery/')} in {counted(count, 'frame')}"
                 for name, count in others.most_common(5)]
        said.append(f"Taken for somebody else than B: {', '.join(names)}.")
    return said


def _frames(these: Sequence[FrameScores]) -> str:
    """Their numbers, or the names of pictures."""
    if not these[0].name:
        return f"frames {ranges([scores.number for scores in these])}"
    names = [scores.name for scores in these]
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def comparison(found: dict[str, Difference]) -> str:
    """Lines for a terminal: both swaps over the frames that both have, and by how much the second differs with 95 % confidence."""
    lines = [f"  {'':30} {'first':>8} {'second':>8}  difference"]
    for measure, (one, other), said in _compared(found):
        lines.append(f"  {measure.title:30} {one:>8} {other:>8}  {said}".rstrip())
    return "\n".join(lines)


def _compared(differences: dict[str, Difference]) -> list[tuple[Measure, tuple[str, str], str]]:
    """Each measure that both have, both values, and what is to be said of their difference."""
    rows = []
    for key, found in differences.items():
        said = "too few frames to tell chance from difference"
        if found.low is not None:
            better = _verdict(BY_KEY[key], found) if found.is_clear else "no clear difference"
            said = f"{_signed(found.value)} ({_signed(found.low)} to {_signed(found.high)})  {better}"
        rows.append((BY_KEY[key], (number(found.first), number(found.second)), said))
    return rows


def _verdict(measure: Measure, found: Difference) -> str:
    if measure.better == "1":
        return "larger in the second" if found.value > 0 else "smaller in the second"
    return "second is better" if (found.value > 0) == (measure.better == "higher") else "first is better"


def _signed(value: float) -> str:
    return number(value) if number(value) == "0" or value < 0 else f"+{number(value)}"


def write(folder: Path, names: Sequence[str], clip: ClipScores, other: Compared | None = None) -> list[Path]:
    """`report.json`, `frames.csv` and `report.html` in `folder`; with another swap of the same original, that beside it.

    `names` are those of the original, the swap and the other. Raises FaceswapError where they cannot be written.
    """
    totals = as_json(clip)
    if other:
        totals["compared"] = as_json(other.clip) | {"differences": {key: asdict(found) for key, found in other.differences.items()}}
    return html_page.write_all(folder, {"report.json": json.dumps(totals, indent=1, allow_nan=False), "frames.csv": _csv(clip),
                                   "report.html": _page(names, clip, other)})


def as_json(clip: ClipScores) -> dict[str, Any]:
    """The totals, for programs."""
    return {"format": FORMAT, "verdict": conclusion(clip), "frames": clip.frame_count, "frames_with_face": len(clip.frames),
            "not_swapped": [scores.number for scores in clip.unswapped], "no_face": [scores.number for scores in clip.lost],
            "measures": {key: {"value": total.value, "unit": BY_KEY[key].unit, "better": BY_KEY[key].better}
                         | ({} if total.original is None else {"original": total.original}) for key, total in clip.totals.items()}}


def ranges(numbers: Sequence[int]) -> str:
    """[3, 4, 5, 9] -> "3-5, 9"."""
    parts: list[list[int]] = []
    for value in numbers:
        if parts and value == parts[-1][1] + 1:
            parts[-1][1] = value
        else:
            parts.append([value, value])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in parts)


def _csv(clip: ClipScores) -> str:
    text = io.StringIO()
    keys = [measure.key for measure in MEASURES if any(measure.key in scores.values for scores in clip.frames)]
    writer = csv.writer(text)
    writer.writerow(["frame", "name", "swapped", *keys, "taken_for", "eyes_original", "eyes_swapped", "mouth_original", "mouth_swapped"])
    for scores in clip.frames:
        openings = ["", "", "", ""] if scores.openings is None else [f"{value:.5g}" for value in scores.openings.T.ravel()]
        writer.writerow([scores.number, scores.name, int(scores.swapped),
                         *(f"{scores.values[key]:.5g}" if key in scores.values else "" for key in keys), scores.nearest, *openings])
    return text.getvalue()


def _page(names: Sequence[str], clip: ClipScores, other: Compared | None) -> str:
    rows, group = [], None
    for measure in MEASURES:
        if measure.key not in clip.totals:
            continue
        if measure.group != group:
            group = measure.group
            rows.append(f'<tr><th colspan="4">{group}</th></tr>')
        total = clip.totals[measure.key]
        original = f" <small>original {number(total.original)}</small>" if total.original is not None else ""
        source = f" <cite>{escaped_html(measure.source)}</cite>" if measure.source else ""
        median = " The median frame." if measure.key in MEDIANS else ""
        rows.append(f"<tr><td>{measure.title}</td><td class=n>{number(total.value)} {measure.unit}{original}</td>"
                    f"<td>{DIRECTIONS[measure.better]}</td><td>{escaped_html(measure.meaning)}{median}{source}</td></tr>")
    failures = "".join(f"<p>{escaped_html(sentence)}</p>" for sentence in _failures(clip))
    others = other.clip.frames if other else []
    plots = "".join(_plot(measure, clip.frames, others) for measure in MEASURES)
    openings = "".join(_openings(clip.frames, others, row, title) for row, title in enumerate(("Eye opening", "Mouth opening")))
    owners = [f"{whose}: {name}" for whose, name in zip(("original", "swapped", "second swap"), names)]
    return html_page.document(f"{names[1]} against {names[0]}", (
        f"<p><b>{escaped_html(conclusion(clip))}</b></p>"
        "<p>Original and swapped; worst and best by likeness to B (where B is known), landmarks and pose together.</p>"
        f"<h3>Worst frames</h3>{_pictures(clip.worst)}<h3>Best frames</h3>{_pictures(clip.best)}"
        f"<h2>Measures</h2><p>{len(clip.frames)} of {clip.frame_count} frames show a face.</p>{failures}<table>{''.join(rows)}</table>"
        f"{_beside(names, other.differences) if other else ''}"
        f"{f'<h3>Worst of the second swap</h3>{_pictures(other.clip.worst)}' if other else ''}"
        f"<h2>Over time</h2>{html_page.key(owners)}{openings}{plots}{_flicker(clip.frames, others)}"))


def _beside(names: Sequence[str], differences: dict[str, Difference]) -> str:
    rows = "".join(f"<tr><td>{measure.title}</td><td class=n>{one} {measure.unit}</td><td class=n>{two}</td>"
                   f"<td>{escaped_html(said)}</td></tr>" for measure, (one, two), said in _compared(differences))
    head = "<tr><th></th><th>first</th><th>second</th><th>difference</th></tr>"
    first, second = (escaped_html(name) for name in names[1:])
    return (f"<h2>{first} (first) and {second} (second)</h2><p>Over the frames that both swapped; by how much the second is larger, and "
            f"where that lies with 95 % confidence.</p><table>{head}{rows}</table>")


def _pictures(frames: Sequence[FrameScores]) -> str:
    figures = []
    for scores in frames:
        said = [f"{BY_KEY[key].title} {number(scores.values[key])}" for key in ("distance_b", "landmark_error", "pose_error")
                if key in scores.values]
        said += ["not swapped"] * (not scores.swapped) + ["no face found"] * (not scores.found)
        title = scores.name or f"Frame {scores.number}"
        figures.append(html_page.figure(np.hstack(list(scores.thumbnails)), f"{title}: {', '.join(said)}", f"{title}, original and swapped"))
    return f"<div class=pairs>{''.join(figures)}</div>" if figures else "<p>None.</p>"


def _plot(measure: Measure, frames: Sequence[FrameScores], others: Sequence[FrameScores]) -> str:
    if measure.key in ("retrieved", "found"):
        return ""
    unit = f" ({measure.unit})" if measure.unit else ""
    return _over_time(f"{measure.title}{unit}, {DIRECTIONS[measure.better]}", frames, others,
                      lambda scores, original: (scores.originals if original else scores.values).get(measure.key))


def _openings(frames: Sequence[FrameScores], others: Sequence[FrameScores], row: int, title: str) -> str:
    return _over_time(title, frames, others,
                      lambda scores, original: None if scores.openings is None else float(scores.openings[int(not original), row]))


def _flicker(frames: Sequence[FrameScores], others: Sequence[FrameScores]) -> str:
    return _over_time("Change from frame to frame inside the face, its motion taken out (levels): more than the original's is flicker",
                      frames, others, lambda scores, original: (scores.originals if original else scores.values).get("change"))


def _over_time(title: str, frames: Sequence[FrameScores], others: Sequence[FrameScores],
               of: Callable[[FrameScores, bool], float | None]) -> str:
    """A plot of `of(scores, original)` for the original, the swap, and the other swap."""
    parts = zip(html_page.COLORS, (True, False, False), (frames, frames, others))
    return html_page.chart(title, [(color, [(scores.number, value) for scores in these if (value := of(scores, original)) is not None])
                              for color, original, these in parts])
