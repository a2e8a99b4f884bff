"""HTML pages that need no script and no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, make_folder, probe, write_text
from lib.sampling import evenly
from lib.words import escaped_html

COLORS = "#777", "#06c", "#d60"  # of the original, the swap, the second swap
PLOT_WIDTH, PLOT_HEIGHT = 860, 130
POINTS = 860  # of a plot at most: longer clips are averaged
BARS = 24
DOTS = 2000  # of a scatter plot at most
STYLE = """\
body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}
table{border-collapse:collapse;width:100%}
td,th{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
th{padding-top:1.2rem}.n{white-space:nowrap;font-variant-numeric:tabular-nums}
cite,small{color:#666;font-size:.85em}
figure{display:inline-block;margin:0 1rem 1rem 0;vertical-align:top}
figcaption{font-size:.85em;color:#444}img{display:block;max-width:100%}
svg{width:100%;height:auto;background:#fafafa}h3{margin:.8rem 0 .2rem;font-size:1rem}
.key span{margin-right:1.2rem}.pairs figure{width:47%}.pairs img{width:100%;height:auto}"""


def number(value: float | None) -> str:
    """`value` with three significant digits, and four decimals at most."""
    if value is None:
        return ""
    size = abs(value)
    decimals = sum(size < bound for bound in (100, 10, 1, 0.1))
    text = f"{value:.{decimals}f}"
    return text if float(text) else "0"


def check_folder(folder: Path) -> None:
    """Raises FaceswapError, before the work, where no report can be written into `folder`."""
    if folder.exists() and not folder.is_dir():
        raise FaceswapError(f"{folder} is a file. Name a folder for the report with -o.")
    with disk_errors(folder):
        make_folder(folder)
        probe(folder)


def write_all(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Writes `texts`, by file name, into `folder`; returns the paths. Raises FaceswapError."""
    with disk_errors(folder):
        make_folder(folder)
        for name, text in texts.items():
            write_text(folder / name, text)
    return [folder / name for name in texts]


def document(heading: str, body: str) -> str:
    """A whole page; `heading` is text, `body` HTML."""
    title = escaped_html(heading)
    return ("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            "content='width=device-width'>"
            f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}</html>")


def key(names: Sequence[str], colors: Sequence[str] = COLORS) -> str:
    """The legend of plots."""
    spans = (f'<span style="color:{color}">&#9632; {escaped_html(name)}</span>'
             for name, color in zip(names, colors))
    return f"<p class=key>{''.join(spans)}</p>"


def figure(picture: np.ndarray, caption: str, alt: str) -> str:
    """`picture` (H, W, 3) uint8 RGB as a JPEG inside the page."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, 88])
    address = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
    height, width = picture.shape[:2]
    return (f'<figure><img width={width} height={height} src="{address}" alt="{escaped_html(alt)}">'
            f"<figcaption>{escaped_html(caption)}</figcaption></figure>")


def chart(title: str, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> str:
    """A plot of `lines` over the frames, each a colour and (frame, value) points; nothing where no
    line has two points."""
    lines = [(color, _averaged(np.array(points, float))) for color, points in lines if len(points)
             > 1]
    if not lines:
        return ""
    (left, low), (right, high) = _bounds(lines)
    elements = []
    for color, points in lines:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _placed(points, (left, right), (low, high)))
        elements.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.2" '
                        f'points="{path}"/>')
    return _svg(title, elements, (number(low), number(high)),
                (f"frame {left:.0f}", f"frame {right:.0f}"))


def histogram(title: str, columns: Sequence[tuple[str, np.ndarray]]) -> str:
    """The distribution of `columns`, each a colour and its values (N,), as shares of each."""
    values = np.concatenate([column for _, column in columns])
    edges = np.linspace(values.min(), max(values.max(), values.min() + 1e-6), BARS + 1)
    shares = [(color, np.histogram(column, edges)[0] / len(column)) for color, column in columns]
    highest = max(share.max() for _, share in shares)
    width = PLOT_WIDTH / BARS
    elements = []
    for color, bars in shares:
        for place in np.flatnonzero(bars):
            height = bars[place] / highest * (PLOT_HEIGHT - 30)
            elements.append(f'<rect x="{place * width:.1f}" y="{PLOT_HEIGHT - 14 - height:.1f}" '
                            f'width="{width - 2:.1f}" height="{height:.1f}" fill="{color}" '
                            'fill-opacity="0.55"/>')
    return _svg(title, elements, ("", f"{highest:.0%}"), (number(edges[0]), number(edges[-1])))


def scatter(title: str, clouds: Sequence[tuple[str, np.ndarray]]) -> str:
    """Points of `clouds`, each a colour and (N, 2)."""
    (left, low), (right, high) = _bounds(clouds)
    elements = []
    for color, points in clouds:
        points = np.stack(evenly(points, DOTS))
        elements += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}" '
                     'fill-opacity="0.45"/>'
                     for x, y in _placed(points, (left, right), (low, high), 2 * PLOT_HEIGHT)]
    return _svg(title, elements, (number(low), number(high)), (number(left), number(right)),
                2 * PLOT_HEIGHT)


def _svg(title: str, elements: Sequence[str], vertical: tuple[str, str],
         horizontal: tuple[str, str], height: int = PLOT_HEIGHT) -> str:
    """A drawing with labels: `vertical` at the bottom and the top, `horizontal` at the left and the
    right."""
    labels = ((4, height - 16, "start", vertical[0]), (4, 12, "start", vertical[1]),
              (4, height - 2, "start", horizontal[0]),
              (PLOT_WIDTH - 4, height - 2, "end", horizontal[1]))
    texts = [f'<text x="{x}" y="{y}" font-size="11" text-anchor="{anchor}">{text}</text>'
             for x, y, anchor, text in labels]
    return (f'<h3>{escaped_html(title)}</h3><svg viewBox="0 0 {PLOT_WIDTH} {height}" role="img">'
            f"{''.join(elements)}{''.join(texts)}</svg>")


def _bounds(parts: Sequence[tuple[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """(2,) smallest and (2,) largest coordinates of all points."""
    points = np.concatenate([points for _, points in parts])
    return points.min(0), points.max(0)


def _placed(points: np.ndarray, x_range: tuple[float, float], y_range: tuple[float, float],
            height: int = PLOT_HEIGHT) -> np.ndarray:
    """(N, 2) places in the drawing."""
    x = (points[:, 0] - x_range[0]) / max(x_range[1] - x_range[0], 1e-9) * PLOT_WIDTH
    y_share = (points[:, 1] - y_range[0]) / max(y_range[1] - y_range[0], 1e-9)
    y = height - 14 - y_share * (height - 28)
    return np.stack([x, y], 1)


def _averaged(points: np.ndarray) -> np.ndarray:
    """At most POINTS, each the mean of its neighbours."""
    if len(points) <= POINTS:
        return points
    return np.stack([part.mean(0) for part in np.array_split(points, POINTS)])
