"""Reports of a swap: a table, JSON, CSV, and an HTML page that needs no other file."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from lib.evaluation.aggregates import MEDIANS
from lib.evaluation.clip import ClipScores, Total
from lib.evaluation.compare import Compared, Difference
from lib.evaluation.frames import FrameScores
from lib.evaluation.measures import BY_KEY, MEASURES, Measure
from lib.evaluation.reports import html_page
from lib.evaluation.reports.html_page import number
from lib.evaluation.verdict import verdict
from lib.system.logs import counted, listed
from lib.words import escaped, escaped_html

FORMAT = 1
LISTED = 12  # names of pictures in a sentence
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "1": "1 is best"}


def table(clip: ClipScores) -> str:
    """Lines for a terminal."""
    lines: list[str] = []
    for group, measures in groupby(_measures(clip), lambda measure: measure.group):
        lines += ["", group]
        for measure in measures:
            total = clip.totals[measure.key]
            original = "" if total.original is None else f"(original {number(total.original)})"
            lines.append(f"  {measure.title:30} {number(total.value):>8} {measure.unit:15} "
                         f"{original:18} {DIRECTIONS[measure.better]}".rstrip())
    lines += ["", conclusion(clip)]
    failures = _failures(clip)
    return "\n".join(lines[1:] + [""] * bool(failures) + list(map(escaped, failures)))


def conclusion(clip: ClipScores) -> str:
    """The verdict, in a sentence."""
    if clip.frames and len(clip.unswapped) == len(clip.frames):
        return "Nothing was swapped: the numbers are those of the original itself."
    return verdict({key: total.value for key, total in clip.totals.items()}, clip.same_distance)


def _measures(clip: ClipScores) -> list[Measure]:
    """The measures that the clip has."""
    return [measure for measure in MEASURES if measure.key in clip.totals]


def _failures(clip: ClipScores) -> list[str]:
    """Frames without a swap, without a face, or with somebody else's, a sentence each."""
    sentences = []
    if clip.unswapped:
        sentences.append(f"Not swapped: {_frames(clip.unswapped)}.")
    if clip.unswapped and len(clip.unswapped) < len(clip.frames):
        sentences.append("All measures but coverage, time and 'Taken for B' are those of the "
                         "swapped frames alone.")
    if clip.lost:
        sentences.append(f"No face found where the original's was: {_frames(clip.lost)}. Identity, "
                         "attributes and picture are not measured there.")
    wrong = Counter(scores.nearest for scores in clip.frames if scores.nearest not in ("", "b"))
    if wrong:
        names = [f"{'A' if name == 'a' else name.removeprefix('gallery/')} in "
                 f"{counted(count, 'frame')}"
                 for name, count in wrong.most_common(5)]
        sentences.append(f"Taken for somebody else than B: {', '.join(names)}.")
    return sentences


def _frames(frames: Sequence[FrameScores]) -> str:
    """Their numbers, or the names of pictures."""
    if not frames[0].name:
        return f"frames {ranges([scores.number for scores in frames])}"
    return listed([scores.name for scores in frames], LISTED)


def comparison(differences: dict[str, Difference]) -> str:
    """Lines for a terminal: both swaps over the frames that both have, and the 95 % confidence
    interval of their difference."""
    lines = [f"  {'':30} {'first':>8} {'second':>8}  difference"]
    for measure, (first, second), verdict_words in _compared(differences):
        lines.append(f"  {measure.title:30} {first:>8} {second:>8}  {verdict_words}".rstrip())
    return "\n".join(lines)


def _compared(differences: dict[str, Difference]) -> list[tuple[Measure, tuple[str, str], str]]:
    """Each measure that both have, both values, and their difference in words."""
    rows = []
    for key, difference in differences.items():
        words = "too few frames to tell chance from difference"
        if difference.low is not None:
            better = _better(BY_KEY[key],
                             difference) if difference.is_clear else "no clear difference"
            interval = f"{_signed(difference.low)} to {_signed(difference.high)}"
            words = f"{_signed(difference.value)} ({interval})  {better}"
        rows.append((BY_KEY[key], (number(difference.first), number(difference.second)), words))
    return rows


def _better(measure: Measure, difference: Difference) -> str:
    if measure.better == "1":
        return f"{'larger' if difference.value > 0 else 'smaller'} in the second"
    is_second = (difference.value > 0) == (measure.better == "higher")
    return f"{'second' if is_second else 'first'} is better"


def _signed(value: float) -> str:
    return number(value) if number(value) == "0" or value < 0 else f"+{number(value)}"


def write(folder: Path, names: Sequence[str], clip: ClipScores, second: Compared | None = None
          ) -> list[Path]:
    """Writes `report.json`, `frames.csv` and `report.html` into `folder`; with a second swap, both.

    `names` are those of the original and of one or two swaps. Raises FaceswapError where the files
    cannot be written.
    """
    values = as_json(clip)
    if second:
        differences = {key: asdict(difference) for key, difference in second.differences.items()}
        values["compared"] = as_json(second.clip) | {"differences": differences}
    return html_page.write_all(folder, {
        "report.json": json.dumps(values, indent=1, allow_nan=False), "frames.csv": _csv(clip),
        "report.html": _page(names, clip, second)})


def as_json(clip: ClipScores) -> dict[str, Any]:
    """The totals as JSON values."""
    return {"format": FORMAT, "verdict": conclusion(clip), "frames": clip.frame_count,
            "frames_with_face": len(clip.frames),
            "not_swapped": [scores.number for scores in clip.unswapped],
            "no_face": [scores.number for scores in clip.lost],
            "measures": {key: {"value": total.value, "unit": BY_KEY[key].unit,
                               "better": BY_KEY[key].better}
                         | ({} if total.original is None else {"original": total.original})
                         for key, total in clip.totals.items()}}


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
    measured = {key for scores in clip.frames for key in scores.values}
    keys = [measure.key for measure in MEASURES if measure.key in measured]
    writer = csv.writer(text)
    writer.writerow(["frame", "name", "swapped", *keys, "taken_for", "eyes_original",
                     "eyes_swapped", "mouth_original", "mouth_swapped"])
    for scores in clip.frames:
        openings = [""] * 4
        if scores.openings is not None:
            openings = [f"{value:.5g}" for value in scores.openings.T.ravel()]
        writer.writerow([scores.number, scores.name, int(scores.swapped),
                         *(f"{scores.values[key]:.5g}" if key in scores.values else ""
                           for key in keys), scores.nearest, *openings])
    return text.getvalue()


def _page(names: Sequence[str], clip: ClipScores, second: Compared | None) -> str:
    rows = []
    for group, measures in groupby(_measures(clip), lambda measure: measure.group):
        rows.append(f'<tr><th colspan="4">{group}</th></tr>')
        rows += [_row(measure, clip.totals[measure.key]) for measure in measures]
    failures = "".join(f"<p>{escaped_html(sentence)}</p>" for sentence in _failures(clip))
    second_frames = second.clip.frames if second else []
    plots = "".join(_plot(measure, clip.frames, second_frames) for measure in MEASURES)
    openings = "".join(_openings(clip.frames, second_frames, row, title)
                       for row, title in enumerate(("Eye opening", "Mouth opening")))
    labels = [f"{role}: {name}"
              for role, name in zip(("original", "swapped", "second swap"), names)]
    return html_page.document(f"{names[1]} against {names[0]}", (
        f"<p><b>{escaped_html(conclusion(clip))}</b></p><p>Original and swapped; worst and best by "
        "distance to B (where B is known), landmarks and pose together.</p><h3>Worst "
        f"frames</h3>{_pictures(clip.worst)}<h3>Best frames</h3>{_pictures(clip.best)}"
        f"<h2>Measures</h2><p>{len(clip.frames)} of {clip.frame_count} frames show a "
        f"face.</p>{failures}<table>{''.join(rows)}</table>"
        f"{_beside(names, second.differences) if second else ''}"
        f"{f'<h3>Worst of the second swap</h3>{_pictures(second.clip.worst)}' if second else ''}"
        "<h2>Over "
        f"time</h2>{html_page.key(labels)}{openings}{plots}{_flicker(clip.frames, second_frames)}"))


def _row(measure: Measure, total: Total) -> str:
    """A measure in the table."""
    original = ("" if total.original is None else
                f" <small>original {number(total.original)}</small>")
    source = f" <cite>{escaped_html(measure.source)}</cite>" if measure.source else ""
    median = " The median frame." if measure.key in MEDIANS else ""
    return (f"<tr><td>{measure.title}</td><td class=n>{number(total.value)} "
            f"{measure.unit}{original}"
            f"</td><td>{DIRECTIONS[measure.better]}</td><td>{escaped_html(measure.meaning)}{median}"
            f"{source}</td></tr>")


def _beside(names: Sequence[str], differences: dict[str, Difference]) -> str:
    rows = "".join(f"<tr><td>{measure.title}</td><td class=n>{values[0]} {measure.unit}</td><td "
                   f"class=n>{values[1]}</td><td>{escaped_html(words)}</td></tr>"
                   for measure, values, words in _compared(differences))
    head = "<tr><th></th><th>first</th><th>second</th><th>difference</th></tr>"
    first, second = (escaped_html(name) for name in names[1:])
    return (f"<h2>{first} (first) and {second} (second)</h2><p>Over the frames that both swapped: "
            "by how much the second is larger, and its 95 % confidence "
            f"interval.</p><table>{head}{rows}</table>")


def _pictures(frames: Sequence[FrameScores]) -> str:
    figures = []
    for scores in frames:
        facts = [f"{BY_KEY[key].title} {number(scores.values[key])}"
                 for key in ("distance_b", "landmark_error", "pose_error") if key in scores.values]
        facts += ["not swapped"] * (not scores.swapped)
        facts += ["no face found"] * (not scores.face_found)
        title = scores.name or f"Frame {scores.number}"
        figures.append(html_page.figure(np.hstack(list(scores.thumbnails)),
                                        f"{title}: {', '.join(facts)}",
                                        f"{title}, original and swapped"))
    return f"<div class=pairs>{''.join(figures)}</div>" if figures else "<p>None.</p>"


def _plot(measure: Measure, frames: Sequence[FrameScores], second: Sequence[FrameScores]) -> str:
    if measure.key in ("retrieved", "found"):
        return ""
    unit = f" ({measure.unit})" if measure.unit else ""
    return _over_time(f"{measure.title}{unit}, {DIRECTIONS[measure.better]}", frames, second,
                      _value_of(measure.key))


def _openings(frames: Sequence[FrameScores], second: Sequence[FrameScores], row: int,
              title: str) -> str:
    return _over_time(title, frames, second,
                      lambda scores, original: None if scores.openings is None
                      else float(scores.openings[int(not original), row]))


def _flicker(frames: Sequence[FrameScores], second: Sequence[FrameScores]) -> str:
    return _over_time("Change from frame to frame inside the face, its motion removed (levels): "
                      "more than the original's is flicker", frames, second, _value_of("change"))


def _value_of(key: str) -> Callable[[FrameScores, bool], float | None]:
    return lambda scores, original: (scores.originals if original else scores.values).get(key)


def _over_time(title: str, frames: Sequence[FrameScores], second: Sequence[FrameScores],
               value_of: Callable[[FrameScores, bool], float | None]) -> str:
    """A plot of `value_of(scores, is_original)` for the original, the swap and the second swap."""
    lines = []
    for color, is_original, part in zip(html_page.COLORS, (True, False, False),
                                        (frames, frames, second)):
        points = [(scores.number, value_of(scores, is_original)) for scores in part]
        lines.append((color, [point for point in points if point[1] is not None]))
    return html_page.chart(title, lines)
