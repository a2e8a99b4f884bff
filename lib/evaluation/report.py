"""What an evaluation says: a table, JSON, CSV, and one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.evaluation import page
from lib.evaluation.clip import ClipScores
from lib.evaluation.compare import Difference, differences
from lib.evaluation.frames import FrameScores
from lib.evaluation.measures import BY_KEY, MEASURES, Measure
from lib.evaluation.page import number

FORMAT = 1
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
        lines.append(f"  {row[1]:28} {row[2]:>8} {row[3]:15} {original:18} {row[5]}".rstrip())
    if clip.unswapped:
        lines += ["", f"Not swapped: frames {ranges(clip.unswapped)}"]
    return "\n".join(lines[1:])


def comparison(first: ClipScores, second: ClipScores) -> str:
    """Lines for a terminal: both swaps' totals, and by how much the second differs with 95 % confidence."""
    lines = [f"  {'':28} {'first':>8} {'second':>8}  difference"]
    for measure, totals, said in _compared(first, second):
        lines.append(f"  {measure.title:28} {totals[0]:>8} {totals[1]:>8}  {said}".rstrip())
    return "\n".join(lines)


def _compared(first: ClipScores, second: ClipScores) -> list[tuple[Measure, list[str], str]]:
    """Each measure that both have, both totals, and what is to be said of their difference."""
    apart, rows = differences(first, second), []
    for measure in MEASURES:
        if measure.key in first.totals and measure.key in second.totals:
            said = ""
            if found := apart.get(measure.key):
                verdict = _verdict(measure, found) if found.is_clear else "no clear difference"
                said = f"{_signed(found.mean)} ({_signed(found.low)} to {_signed(found.high)})  {verdict}"
            rows.append((measure, [number(clip.totals[measure.key].value) for clip in (first, second)], said))
    return rows


def _verdict(measure: Measure, found: Difference) -> str:
    if measure.better == "1":
        return "larger in the second" if found.mean > 0 else "smaller in the second"
    return "second is better" if (found.mean > 0) == (measure.better == "higher") else "first is better"


def _signed(value: float) -> str:
    return ("-" if value < 0 else "+") + number(abs(value))


def write(folder: Path, names: Sequence[str], clip: ClipScores, other: ClipScores | None = None) -> list[Path]:
    """`report.json`, `frames.csv` and `report.html` in `folder`; with another swap of the same original, that beside it.

    `names` are those of the original, the swap and the other. Raises FaceswapError where they cannot be written.
    """
    said = as_json(clip)
    if other:
        said["compared"] = as_json(other) | {"differences": {key: {"mean": found.mean, "low": found.low, "high": found.high}
                                                             for key, found in differences(clip, other).items()}}
    return page.write_all(folder, {"report.json": json.dumps(said, indent=1, allow_nan=False), "frames.csv": _csv(clip),
                                   "report.html": _page(names, clip, other)})


def as_json(clip: ClipScores) -> dict[str, Any]:
    """The totals, for programs."""
    return {"format": FORMAT, "frames": clip.frame_count, "frames_with_face": len(clip.frames), "not_swapped": clip.unswapped,
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
    writer.writerow(["frame", "swapped", *keys, "eyes_original", "eyes_swapped", "mouth_original", "mouth_swapped"])
    for scores in clip.frames:
        writer.writerow([scores.index, int(scores.swapped), *(f"{scores.values[key]:.5g}" if key in scores.values else "" for key in keys),
                         *(f"{value:.5g}" for value in scores.openings.T.ravel())])
    return text.getvalue()


def _page(names: Sequence[str], clip: ClipScores, other: ClipScores | None) -> str:
    rows, group = [], None
    for measure in MEASURES:
        if measure.key not in clip.totals:
            continue
        if measure.group != group:
            group = measure.group
            rows.append(f'<tr><th colspan="4">{group}</th></tr>')
        total = clip.totals[measure.key]
        original = f" <small>original {number(total.original)}</small>" if total.original is not None else ""
        source = f" <cite>{html.escape(measure.source)}</cite>" if measure.source else ""
        rows.append(f"<tr><td>{measure.title}</td><td class=n>{number(total.value)} {measure.unit}{original}</td>"
                    f"<td>{DIRECTIONS[measure.better]}</td><td>{html.escape(measure.meaning)}{source}</td></tr>")
    unswapped = f"<p>Not swapped: frames {ranges(clip.unswapped)}.</p>" if clip.unswapped else ""
    heading = f"{names[1]} against {names[0]}"
    plots = "".join(_plot(measure, clip.frames, other.frames if other else []) for measure in MEASURES)
    openings = "".join(_openings(clip.frames, other.frames if other else [], row, title)
                       for row, title in enumerate(("Eye opening", "Mouth opening")))
    return page.document(heading, (
        f"<p>{len(clip.frames)} of {clip.frame_count} frames show a face.</p>{unswapped}<table>{''.join(rows)}</table>"
        f"{_beside(names, clip, other) if other else ''}"
        f"<h2>Worst frames</h2>{_pictures(clip.worst)}<h2>Best frames</h2>{_pictures(clip.best)}"
        f"<h2>Over time</h2>{page.key(names)}{openings}{plots}"))


def _beside(names: Sequence[str], clip: ClipScores, other: ClipScores) -> str:
    rows = "".join(f"<tr><td>{measure.title}</td><td class=n>{totals[0]}</td><td class=n>{totals[1]}</td><td>{html.escape(said)}</td></tr>"
                   for measure, totals, said in _compared(clip, other))
    first, second = (html.escape(name) for name in names[1:])
    return (f"<h2>{first} (first) and {second} (second)</h2><p>By how much the second is larger, and where that lies with 95 % "
            f"confidence.</p><table><tr><th></th><th>first</th><th>second</th><th>difference</th></tr>{rows}</table>"
            f"<h2>Worst frames of the second</h2>{_pictures(other.worst)}")


def _pictures(frames: Sequence[FrameScores]) -> str:
    figures = []
    for scores in frames:
        said = ", ".join(f"{BY_KEY[key].title.lower()} {number(scores.values[key])}"
                         for key in ("distance_b", "landmark_error", "pose_error") if key in scores.values)
        figures.append(page.figure(np.hstack(list(scores.thumbnails)),
                                   f"Frame {scores.index}{'' if scores.swapped else ', not swapped'}: {said}",
                                   f"frame {scores.index}, original and swapped"))
    return "".join(figures)


def _plot(measure: Measure, frames: Sequence[FrameScores], others: Sequence[FrameScores]) -> str:
    lines = []
    for color, part, these in zip(page.COLORS, ("originals", "values", "values"), (frames, frames, others)):
        points = [(scores.index, getattr(scores, part)[measure.key]) for scores in these if measure.key in getattr(scores, part)]
        if points:
            lines.append((color, points))
    if not lines or measure.key in ("retrieved", "found"):
        return ""
    return page.chart(f"{measure.title} {f'({measure.unit})' if measure.unit else ''}, {DIRECTIONS[measure.better]}", lines)


def _openings(frames: Sequence[FrameScores], others: Sequence[FrameScores], row: int, title: str) -> str:
    lines = [(color, [(scores.index, float(scores.openings[which, row])) for scores in these])
             for color, which, these in zip(page.COLORS, (0, 1, 1), (frames, frames, others)) if these]
    return page.chart(title, lines) if lines else ""
