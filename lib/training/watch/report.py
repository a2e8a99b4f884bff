"""report.html in the model's folder: how training went, on one page without other files."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.evaluation.measures import BY_KEY
from lib.evaluation.reports import html_page
from lib.evaluation.reports.html_page import number
from lib.evaluation.reports.swap_report import DIRECTIONS
from lib.files.reading import NotRegular, read_bytes
from lib.files.writing import write_text
from lib.media.opening import decoded
from lib.sampling import evenly
from lib.system.logs import counted
from lib.training.saved import checkpoint, model_folder
from lib.training.watch.preview import PANELS, read_log
from lib.words import escaped_html

MOST_BYTES = 64 << 20  # of a picture that is shown
POINTS = 600  # most of a curve: longer ones are averaged
FRAMES = 24  # most of the time-lapse
LEAST = 1e-300  # that a logarithmic chart shows
LATEST = 10  # reports whose mean is the current loss
WIDTH, HEIGHT = 420, 240  # of a chart
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 10, 22  # its margins
LONGEST = 300  # letters of an option's value
COLORS = ("#1f77b4", "#e6740a", "#2a9d3a", "#d03a3a", "#8e63c4", "#a06a5a", "#d45fb0", "#808080",
          "#a8a800", "#12a5b5")
# of a log's row; other numbers are losses
OWN = ("iteration", "seconds", "rate", "speed", "images", "progress", "left")
STYLE = """:root{color-scheme:light dark}[hidden]{display:none!important}body{margin:1rem auto}
h2{margin:2rem 0 .4rem;font-size:1.25rem}
table{max-width:54rem}td{overflow-wrap:break-word}td small{display:block;color:inherit;opacity:.75}
svg{background:none;display:block}svg text{fill:currentColor;font-size:12px}
svg .grid{stroke:currentColor;stroke-opacity:.16}
.charts{display:grid;
grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:0 1.5rem}
.sheet img{width:100%;height:auto;max-width:48rem}input[type=range]{width:100%;max-width:48rem}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#16181b}
td,th{border-color:#3a3d42}cite,small,figcaption{color:#a5a9ae}
a{color:#7db8ff}}"""
SCRIPT = """const range=document.querySelector("#lapse"),
frames=[...document.querySelectorAll("#frames figure")];
if(range)range.oninput=()=>frames.forEach((frame,at)=>frame.hidden=at!=range.value)"""

Points = Sequence[tuple[int, float]]


def write(folder: Path) -> None:
    """Writes `report.html` from what lies in a model's folder, at any time.

    Raises FaceswapError where `folder` holds no model, OSError where the page cannot be written.
    """
    options = model_folder.read_options(folder)
    path = folder / "report.html"
    text = _page(folder, options, read_log(folder / "log.jsonl"))
    write_text(path, text, durable=False)


def document(heading: str, body: str, policy: str, script: str = "") -> str:
    """A page for light and dark screens, large and small. `policy` is its Content-Security-Policy,
    besides that of style and script.
    """
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; {policy}"
    return ("<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport "
            "content='width=device-width,initial-scale=1'>"
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            f"<title>{escaped_html(heading)}</title>"
            f"<style>{html_page.STYLE}\n{STYLE}</style></head>\n<body>"
            f"<h1>{escaped_html(heading)}</h1>{body}"
            f"{f'<script>{script}</script>' if script else ''}</body></html>\n")


def _page(folder: Path, options: dict[str, Any], rows: list[dict]) -> str:
    sentences = "".join(f"<p>{escaped_html(sentence)}</p>" for sentence in _sentences(rows))
    parts = (sentences, _progress(rows), _curves(rows), _preview(folder), _time_lapse(folder),
             _options(folder, options))
    body = "".join(parts)
    return document(f"{options['model']} in {folder.resolve().name}", body, "img-src data:", SCRIPT)


def _sentences(rows: list[dict]) -> list[str]:
    """The headline figures in words."""
    if not rows:
        return ["Nothing has been reported of this training yet."]
    sentences = [f"{rows[-1]['iteration']:,} iterations"]
    if seconds := _of("seconds")(rows[-1]):
        sentences[0] += f" in {_duration(seconds)} of training"
    if speed := _of("speed")(rows[-1]):
        images = _of("images")(rows[-1])
        sentences.append(f"{number(speed)} iterations a second" + (f", {number(images)} images a "
                                                                   "second" if images else ""))
    losses = []
    for name in ("a", "b"):
        if values := [value for _, value in _points(rows, _of(name))]:
            losses.append(f"{name.upper()}: {number(float(np.mean(values[-LATEST:])))}, at first "
                          f"{number(values[0])}")
    if losses:
        sentences.append(f"Loss of {'; '.join(losses)} (now: the mean of the last {LATEST} "
                         "reports)")
    return [f"{sentence}." for sentence in sentences]


def _progress(rows: list[dict]) -> str:
    """How good the swap of held-out faces was when last measured, and at first."""
    measured = [row for row in rows if isinstance(row.get("progress"), dict)]
    shown = []
    for key in measured[-1]["progress"] if measured else ():
        points = _points(measured, _of_progress(key))
        if key in BY_KEY and points:
            measure = BY_KEY[key]
            meaning = f"{measure.meaning} {DIRECTIONS[measure.better].capitalize()}."
            shown.append(f"<tr><td>{measure.title}<small>{escaped_html(meaning)}</small>"
                         f"<td>{number(points[-1][1])} {measure.unit}<td>{number(points[0][1])}")
    if not shown:
        return ""
    heading, what = "What it draws", "192 faces drawn from noise, with averaged weights if any"
    if "distance_b" in measured[-1]["progress"]:
        heading, what = "The swap", "Faces of A held out from training"
    return (f"<h2>{heading}</h2><p>{what}, measured at iteration "
            f"{measured[-1]['iteration']:,}.</p><table><tr><th><th>now<th>at "
            f"first{''.join(shown)}</table>")


def _curves(rows: list[dict]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row if name not in OWN))
    mains = [name for name in ("a", "b") if name in names]
    panels = [(title, scale, shown) for title, scale, begins in PANELS
              if (shown := [name for name in names if name.startswith(begins)])]
    others = [name for name in names if name not in (*mains,
                                                     *(name for _, _, shown in panels
                                                       for name in shown))]
    measures = list(dict.fromkeys(key for row in rows if isinstance(row.get("progress"), dict)
                                  for key in row["progress"] if key in BY_KEY))
    losses = chart("Loss", [(f"loss {name.upper()}", _points(rows, _of(name))) for name in mains],
                   log=True)
    losses += "".join(chart(title, [(name, _points(rows, _of(name))) for name in shown],
                            log=scale == "log") for title, scale, shown in panels)
    losses += chart("Parts of the loss, and other losses",
                    [(name, _points(rows, _of(name))) for name in others], log=True)
    progress = "".join(chart(f"{_titled(key)}, {DIRECTIONS[BY_KEY[key].better]}",
                             [("", _points(rows, _of_progress(key)))]) for key in measures)
    images = any("images" in row for row in rows)
    pace = chart("Learning rate", [("", _points(rows, _of("rate")))])
    pace += chart("Images a second" if images else "Iterations a second",
                  [("", _points(rows, _of("images" if images else "speed")))])
    return "".join(f"<h2>{title}</h2><div class=charts>{charts}</div>" for title, charts in
                   (("Losses", losses), ("Progress", progress), ("Pace", pace)) if charts)


def _titled(key: str) -> str:
    return BY_KEY[key].title + (f" ({BY_KEY[key].unit})" if BY_KEY[key].unit else "")


def chart(title: str, curves: Sequence[tuple[str, Points]], log: bool = False) -> str:
    """A plot over the iterations of `curves`, each a name and its points; with `log`, of those
    above 0. Nothing without two points.
    """
    drawn = [(name, _thinned(np.array([point for point in points if point[1] > LEAST or not log],
                                      float))) for name, points in curves]
    drawn = [(name, points) for name, points in drawn if len(points) > 1]
    if not drawn:
        return ""
    scale = np.log10 if log else np.asarray
    every = np.concatenate([points for _, points in drawn])
    left, right = every[:, 0].min(), every[:, 0].max()
    low, high = scale(every[:, 1].min()), scale(every[:, 1].max())
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def across(x):
        return LEFT + (x - left) / max(right - left, 1) * (WIDTH - LEFT - RIGHT)

    def down(y):
        return HEIGHT - BOTTOM - (scale(y) - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    lines = []
    for value in _ticks(low, high, log):
        y = float(down(value))
        lines.append(f'<path class=grid d="M{LEFT} {y:.1f}H{WIDTH}"/>'
                     f'<text x={LEFT - 5} y={y + 4:.1f} text-anchor=end>{_short(value)}</text>')
    for value in _ticks(left, right, False):
        x = float(across(value))
        lines.append(f'<path class=grid d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
                     f'<text x={x:.1f} y={HEIGHT - 4} text-anchor=middle>{_short(value)}</text>')
    for place, (_, points) in enumerate(drawn):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across(points[:, 0]),
                                                           down(points[:, 1])))
        dashes = ' stroke-dasharray="6 3"' if place >= len(COLORS) else ""
        lines.append(f'<polyline fill=none stroke="{COLORS[place % len(COLORS)]}" '
                     f'stroke-width=1.6{dashes} points="{path}"/>')
    named = html_page.key([name for name, _ in drawn],
                          [COLORS[place % len(COLORS)]
                           for place in range(len(drawn))]) if drawn[0][0] else ""
    return (f"<section><h3>{escaped_html(title)}</h3>{named}<svg viewBox='0 0 {WIDTH} {HEIGHT}' "
            "role=img " f'aria-label="{escaped_html(title)}">{"".join(lines)}</svg></section>')


def _ticks(low: float, high: float, log: bool) -> list[float]:
    """Round numbers between the ends, which with `log` are decimal logarithms: 1, 2 and 5 of each
    decade, or decades alone.
    """
    if log and high - low > 0.35:
        steps = (1, 2, 5) if high - low < 2.5 else (1,)
        return [step * 10.0 ** power for power in range(math.floor(low), math.ceil(high) + 1)
                for step in steps if low <= math.log10(step * 10.0 ** power) <= high]
    if log:
        low, high = 10 ** low, 10 ** high
    rough = max(high - low, 1e-300) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(round_ * power for round_ in (1, 2, 5, 10) if round_ * power >= rough * (1 - 1e-9))
    return [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _short(value: float) -> str:
    """12000 -> "12k", 0.00005 -> "5e-5"."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    if abs(value) >= 0.001 or not value:
        return f"{value:.3g}"
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def _thinned(points: np.ndarray) -> np.ndarray:
    """At most POINTS of them, each the mean of its neighbours."""
    return points if len(points) <= POINTS else np.stack([part.mean(0)
                                                          for part in np.array_split(points,
                                                                                     POINTS)])


def _of(name: str) -> Callable[[dict], float | None]:
    """What finds the number `name` in a row, if there is one that a plot can show."""

    def number_of(row: dict) -> float | None:
        value = row.get(name)
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if good and abs(value) < 1e300 else None

    return number_of


def _of_progress(key: str) -> Callable[[dict], float | None]:
    within = _of(key)
    return lambda row: within(row["progress"]) if isinstance(row.get("progress"), dict) else None


def _points(rows: list[dict], of: Callable[[dict], float | None]) -> Points:
    return [(row["iteration"], value) for row in rows if (value := of(row)) is not None]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{number(seconds / 3600)} hours"


def _preview(folder: Path) -> str:
    data = _bytes(folder / "preview.png")
    picture = None if data is None else decoded(data)
    if picture is None:
        return ""
    shown = html_page.figure(picture, "", "Faces of A and B: the original, rebuilt, and swapped")
    return f"<h2>Latest preview</h2><div class=sheet>{shown}</div>"


def _time_lapse(folder: Path) -> str:
    """Earlier previews, and a slider that chooses one. Without a script the last is shown."""
    paths = sorted((path for path in (folder / "timelapse").glob("*.jpg") if path.stem.isdecimal()),
                   key=lambda path: int(path.stem))
    paths = evenly(paths, FRAMES)
    frames = [(int(path.stem), data) for path in paths if (data := _bytes(path))
              and data.startswith(b"\xff\xd8")]
    if not frames:
        return ""
    shown = []
    for place, (iteration, data) in enumerate(frames):
        hidden = " hidden" if place < len(frames) - 1 else ""
        shown.append(f'<figure{hidden}><img '
                     f'src="data:image/jpeg;base64,{base64.b64encode(data).decode()}" '
                     'alt="Preview">' f"<figcaption>iteration {iteration:,}</figcaption></figure>")
    last = len(frames) - 1
    return (f"<h2>Time-lapse</h2><input type=range id=lapse min=0 max={last} value={last} "
            "aria-label='Which preview is shown'><div class=sheet "
            f"id=frames>{''.join(shown)}</div>")


def _options(folder: Path, options: dict[str, Any]) -> str:
    rows = [("model", options["model"])]
    rows += [(f"model.{name.replace('_', '-')}", value)
             for name, value in options["options"].items()]
    for name, value in options.items():
        if name == "faces" and isinstance(value, dict):
            rows += [(f"faces of {identity.upper()}", f"{entry.get('count', '?')} in "
                      f"{entry.get('folder', '?')}")
                     for identity, entry in value.items() if isinstance(entry, dict)]
        elif name == "held_out" and isinstance(value, list):
            rows.append(("held out", f"{counted(len(value), 'face')} of A"))
        elif name not in ("model", "options", "format"):
            rows.append((name.replace("_", " "), value))
    best = checkpoint.best(folder)
    for name, paths in (("saves", checkpoint.saves(folder)),
                        ("kept for good", checkpoint.snapshots(folder))):
        if paths:
            rows.append((name, ", ".join(f"{int(path.name):,}{' (best)' if path == best else ''}"
                                         for path in reversed(paths))))
    cells = "".join(f"<tr><td>{escaped_html(name)}<td>{escaped_html(_value(value))}"
                    for name, value in rows)
    return f"<h2>Options</h2><table>{cells}</table>"


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        text = {True: "yes", False: "no", None: "none"}[value]
    else:
        text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _bytes(path: Path) -> bytes | None:
    try:
        return read_bytes(path, MOST_BYTES, named=False)
    except (OSError, ValueError, NotRegular):
        return None
