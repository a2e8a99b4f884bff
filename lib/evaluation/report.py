"""What an evaluation says: a table, JSON, CSV, and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lib.evaluation.clip import ClipScores
from lib.evaluation.compare import Difference, differences
from lib.evaluation.frames import FrameScores
from lib.evaluation.measures import BY_KEY, MEASURES, Measure
from lib.media.files import disk_errors, part_of, publish

FORMAT = 1
PLOT_WIDTH, PLOT_HEIGHT = 860, 130
POINTS = 860  # most of a plot: longer clips are averaged
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
    """Lines for a terminal: both swaps' totals, and by how much the second differs with 95 % confidence where frames tell."""
    apart, lines = differences(first, second), [f"  {'':28} {'first':>8} {'second':>8}  difference"]
    for measure in MEASURES:
        if measure.key not in first.totals or measure.key not in second.totals:
            continue
        totals = [number(clip.totals[measure.key].value) for clip in (first, second)]
        said = ""
        if measure.key in apart:
            found = apart[measure.key]
            verdict = _verdict(measure, found) if found.is_clear else "no clear difference"
            said = f"{_signed(found.mean)} ({_signed(found.low)} to {_signed(found.high)})  {verdict}"
        lines.append(f"  {measure.title:28} {totals[0]:>8} {totals[1]:>8}  {said}".rstrip())
    return "\n".join(lines)


def _verdict(measure: Measure, found: Difference) -> str:
    if measure.better == "1":
        return "larger in the second" if found.mean > 0 else "smaller in the second"
    return "second is better" if (found.mean > 0) == (measure.better == "higher") else "first is better"


def _signed(value: float) -> str:
    return ("-" if value < 0 else "+") + number(abs(value))


def write(folder: Path, clip: ClipScores, heading: str) -> list[Path]:
    """`report.json`, `frames.csv` and `report.html` in `folder`. Raises FaceswapError where they cannot be written."""
    texts = {"report.json": json.dumps(as_json(clip), indent=1, allow_nan=False), "frames.csv": _csv(clip),
             "report.html": _page(clip, heading)}
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            part = part_of(folder / name)
            part.write_text(text, encoding="utf-8")
            publish(part, folder / name)
    return [folder / name for name in texts]


def as_json(clip: ClipScores) -> dict[str, Any]:
    """The totals, for programs."""
    return {"format": FORMAT, "frames": clip.frame_count, "frames_with_face": len(clip.frames), "not_swapped": clip.unswapped,
            "measures": {key: {"value": total.value, "unit": BY_KEY[key].unit, "better": BY_KEY[key].better}
                         | ({} if total.original is None else {"original": total.original}) for key, total in clip.totals.items()}}


def number(value: float | None) -> str:
    """Three figures that count."""
    if value is None:
        return ""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


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


def _page(clip: ClipScores, heading: str) -> str:
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
    plots = "".join(_plot(measure, clip.frames) for measure in MEASURES)
    openings = "".join(_openings(clip.frames, row, title) for row, title in enumerate(("Eye opening", "Mouth opening")))
    return (f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>{html.escape(heading)}</title><style>{STYLE}</style><h1>{html.escape(heading)}</h1>"
            f"<p>{len(clip.frames)} of {clip.frame_count} frames show a face.</p>{unswapped}<table>{''.join(rows)}</table>"
            f"<h2>Worst frames</h2>{_pictures(clip.worst)}<h2>Best frames</h2>{_pictures(clip.best)}"
            f"<h2>Over time</h2>{openings}{plots}</html>")


STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
th{padding-top:1.2rem}.n{white-space:nowrap;font-variant-numeric:tabular-nums}cite,small{color:#666;font-size:.85em}
figure{display:inline-block;margin:0 1rem 1rem 0}figcaption{font-size:.85em;color:#444}img{display:block}
svg{width:100%;height:auto;background:#fafafa}h3{margin:.8rem 0 .2rem;font-size:1rem}"""


def _pictures(frames: Sequence[FrameScores]) -> str:
    figures = []
    for scores in frames:
        picture = np.hstack(list(scores.thumbnails))
        _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
        address = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
        said = ", ".join(f"{BY_KEY[key].title.lower()} {number(scores.values[key])}"
                         for key in ("distance_b", "landmark_error", "pose_error") if key in scores.values)
        figures.append(f'<figure><img width={picture.shape[1]} height={picture.shape[0]} src="{address}" '
                       f'alt="frame {scores.index}, original and swapped"><figcaption>'
                       f"Frame {scores.index}{'' if scores.swapped else ', not swapped'}: {said}</figcaption></figure>")
    return "".join(figures)


def _plot(measure: Measure, frames: Sequence[FrameScores]) -> str:
    lines = []
    for part, color in (("originals", "#999"), ("values", "#06c")):
        points = [(scores.index, getattr(scores, part)[measure.key]) for scores in frames if measure.key in getattr(scores, part)]
        if points:
            lines.append((color, points))
    if not lines or measure.key in ("retrieved", "found"):
        return ""
    return _chart(f"{measure.title} {f'({measure.unit})' if measure.unit else ''}, {DIRECTIONS[measure.better]}", lines)


def _openings(frames: Sequence[FrameScores], row: int, title: str) -> str:
    lines = [(color, [(scores.index, float(scores.openings[which, row])) for scores in frames])
             for which, color in ((0, "#999"), (1, "#06c"))]
    return _chart(f"{title}: original grey, swapped blue", lines) if frames else ""


def _chart(title: str, lines: Sequence[tuple[str, list[tuple[int, float]]]]) -> str:
    lines = [(color, _thinned(points)) for color, points in lines]
    every = np.concatenate([points for _, points in lines])
    (left, low), (right, high) = every.min(0), every.max(0)
    across, up = PLOT_WIDTH / max(right - left, 1e-9), (PLOT_HEIGHT - 20) / max(high - low, 1e-9)
    drawn = []
    for color, points in lines:
        path = " ".join(f"{(x - left) * across:.1f},{PLOT_HEIGHT - 10 - (y - low) * up:.1f}" for x, y in points)
        drawn.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.2" points="{path}"/>')
    return (f'<h3>{html.escape(title)}</h3><svg viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}" role="img">{"".join(drawn)}'
            f'<text x="4" y="12" font-size="11">{number(high)}</text>'
            f'<text x="4" y="{PLOT_HEIGHT - 2}" font-size="11">{number(low)}</text></svg>')


def _thinned(points: list[tuple[int, float]]) -> np.ndarray:
    """At most POINTS of them, each the mean of its neighbours."""
    array = np.array(points, float)
    return array if len(array) <= POINTS else np.stack([part.mean(0) for part in np.array_split(array, POINTS)])
