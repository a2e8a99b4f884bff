"""HTML that needs nothing else: no script, no other file."""

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

COLORS = "#777", "#06c", "#d60"  # of the original, of what is measured, of what that is compared with
PLOT_WIDTH, PLOT_HEIGHT = 860, 130
POINTS = 860  # most of a plot: longer clips are averaged
BARS = 24
STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
th{padding-top:1.2rem}.n{white-space:nowrap;font-variant-numeric:tabular-nums}cite,small{color:#666;font-size:.85em}
figure{display:inline-block;margin:0 1rem 1rem 0;vertical-align:top}figcaption{font-size:.85em;color:#444}img{display:block;max-width:100%}
svg{width:100%;height:auto;background:#fafafa}h3{margin:.8rem 0 .2rem;font-size:1rem}.key span{margin-right:1.2rem}
.pairs figure{width:47%}.pairs img{width:100%;height:auto}"""


def number(value: float | None) -> str:
    """Three figures that count, and four decimals at most."""
    if value is None:
        return ""
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    text = f"{value:.{decimals}f}"
    return text if float(text) else "0"


def check_folder(folder: Path) -> None:
    """Raises FaceswapError where no report can be written into `folder`: told before the work, not after it."""
    if folder.exists() and not folder.is_dir():
        raise FaceswapError(f"{folder} is a file. Name a folder for the report with -o.")
    with disk_errors(folder):
        make_folder(folder)
        probe(folder)


def write_all(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Writes `texts`, by file name, into `folder`. Raises FaceswapError where they cannot be written."""
    with disk_errors(folder):
        make_folder(folder)
        for name, text in texts.items():
            write_text(folder / name, text)
    return [folder / name for name in texts]


def document(heading: str, body: str) -> str:
    title = escaped_html(heading)
    return ("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}</html>")


def key(names: Sequence[str], colors: Sequence[str] = COLORS) -> str:
    """Which line is whose."""
    return "<p class=key>" + "".join(f'<span style="color:{color}">&#9632; {escaped_html(name)}</span>'
                                     for name, color in zip(names, colors)) + "</p>"


def figure(picture: np.ndarray, caption: str, alt: str) -> str:
    """`picture` (H, W, 3) uint8 RGB as a JPEG inside the page."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    address = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
    height, width = picture.shape[:2]
    return (f'<figure><img width={width} height={height} src="{address}" alt="{escaped_html(alt)}">'
            f"<figcaption>{escaped_html(caption)}</figcaption></figure>")


def chart(title: str, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> str:
    """A plot of `lines` over the frames, each a colour and its points; nothing where there is no line to draw."""
    lines = [(color, _thinned(np.array(points, float))) for color, points in lines if len(points) > 1]
    if not lines:
        return ""
    every = np.concatenate([points for _, points in lines])
    (left, low), (right, high) = every.min(0), every.max(0)
    drawn = []
    for color, points in lines:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _placed(points, (left, right), (low, high)))
        drawn.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.2" points="{path}"/>')
    return _svg(title, "".join(drawn), (number(low), number(high)), (f"frame {left:.0f}", f"frame {right:.0f}"))


def histogram(title: str, columns: Sequence[tuple[str, np.ndarray]]) -> str:
    """How `columns`, each a colour and its values (N,), are spread: shares of each column."""
    every = np.concatenate([values for _, values in columns])
    edges = np.linspace(every.min(), max(every.max(), every.min() + 1e-6), BARS + 1)
    shares = [(color, np.histogram(values, edges)[0] / len(values)) for color, values in columns]
    highest = max(share.max() for _, share in shares)
    wide = PLOT_WIDTH / BARS
    drawn = [f'<rect x="{place * wide:.1f}" y="{PLOT_HEIGHT - 14 - share / highest * (PLOT_HEIGHT - 30):.1f}" width="{wide - 2:.1f}" '
             f'height="{share / highest * (PLOT_HEIGHT - 30):.1f}" fill="{color}" fill-opacity="0.55"/>'
             for color, bars in shares for place, share in enumerate(bars) if share]
    return _svg(title, "".join(drawn), ("", f"{highest:.0%}"), (number(edges[0]), number(edges[-1])))


def scatter(title: str, clouds: Sequence[tuple[str, np.ndarray]]) -> str:
    """Points of `clouds`, each a colour and (N, 2)."""
    every = np.concatenate([points for _, points in clouds])
    (left, low), (right, high) = every.min(0), every.max(0)
    drawn = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}" fill-opacity="0.45"/>' for color, points in clouds
                    for x, y in _placed(_some(points), (left, right), (low, high), 2 * PLOT_HEIGHT))
    return _svg(title, drawn, (number(low), number(high)), (number(left), number(right)), 2 * PLOT_HEIGHT)


def _svg(title: str, drawn: str, up: tuple[str, str], across: tuple[str, str], height: int = PLOT_HEIGHT) -> str:
    """`up` says what is at the bottom and the top, `across` at the left and the right."""
    texts = "".join(f'<text x="{x}" y="{y}" font-size="11" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in
                    ((4, height - 16, "start", up[0]), (4, 12, "start", up[1]), (4, height - 2, "start", across[0]),
                     (PLOT_WIDTH - 4, height - 2, "end", across[1])))
    return f'<h3>{escaped_html(title)}</h3><svg viewBox="0 0 {PLOT_WIDTH} {height}" role="img">{drawn}{texts}</svg>'


def _placed(points: np.ndarray, across: tuple[float, float], up: tuple[float, float], height: int = PLOT_HEIGHT) -> np.ndarray:
    """(N, 2) places in the drawing."""
    x = (points[:, 0] - across[0]) / max(across[1] - across[0], 1e-9) * PLOT_WIDTH
    y = height - 14 - (points[:, 1] - up[0]) / max(up[1] - up[0], 1e-9) * (height - 28)
    return np.stack([x, y], 1)


def _thinned(points: np.ndarray) -> np.ndarray:
    """At most POINTS of them, each the mean of its neighbours."""
    return points if len(points) <= POINTS else np.stack([part.mean(0) for part in np.array_split(points, POINTS)])


def _some(points: np.ndarray, most: int = 2000) -> np.ndarray:
    return np.stack(evenly(points, most))
