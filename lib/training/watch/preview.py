"""Previews of training: a sheet of faces and a plot of the losses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.evaluation.measures import BY_KEY
from lib.files.reading import parse_json, read_bytes
from lib.files.writing import make_inner_folder, write_bytes, write_text
from lib.sampling import evenly
from lib.training.batches.augmentation import NONE
from lib.training.batches.faces import Faces
from lib.training.saved.description import good_row

TILE = 128  # pixels
PLAIN = ("Rebuilding faces of A and B", "log", ["a", "b"])
# how the names begin of what discriminators say of pictures, on average
TOLD = ("D(real)", "D(fake)")
# What a model says of itself that finds covers: shares, 1 is best
COVERS = ("overlap of covers", "seen as seen")
MOST_LOG = 256 << 20  # bytes
# title, scale, how the names of its curves begin
PANELS = (("What the discriminators say: 1 is real, 0 is made, at 0.5 they cannot tell", "linear",
           TOLD), ("Covers: overlap with the truth; and how much of the face is left", "linear", COVERS),
          ("Losses of generators (G) and discriminators (D)", "linear",
                   ("G ", "D ", "cycle ", "identity ")),
          ("Norms of the gradients", "log", ("gradient ",)),)
ROWS = 6


def sheet(faces: dict[str, Faces], rebuild) -> np.ndarray:
    """(H, W, 3) uint8 RGB: original A, A rebuilt, A swapped to B; and B likewise.

    `rebuild(pictures, to)` takes (N, S, S, 3) float32 RGB in [0, 1], and gives the same, of any
    side.
    """
    shown = []
    for identity, swapped in (("a", "b"), ("b", "a")):
        original, name = chosen(faces[identity]), identity.upper()
        shown += [(name, original), (f"{name} rebuilt", rebuild(original, identity)),
                  (f"{name} as {swapped.upper()}", rebuild(original, swapped))]
    return columns(shown)


def chosen(faces: Faces, most: int = ROWS) -> np.ndarray:
    """(N, S, S, 3) float32 RGB in [0, 1]: at most so many faces, evenly from first to last."""
    return faces.batch(np.array(evenly(range(len(faces)), most)), NONE,
                       np.random.default_rng(0)).input.astype(np.float32) / 255


def columns(shown: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: side by side, each with its title above it, pictures (N, S, S, 3 or
    more) in [0, 1] one below the other.
    """
    columns, most = [], max(len(pictures) for _, pictures in shown)
    for _, pictures in shown:
        tiles = [cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
                 for picture in pictures[..., :3]]
        columns.append(np.vstack(tiles + [np.zeros((TILE, TILE, 3), np.float32)]
                                 * (most - len(tiles))))
    picture = (np.clip(np.hstack(columns), 0, 1) * 255).round().astype(np.uint8)
    head = np.full((22, picture.shape[1], 3), 255, np.uint8)
    for number, (title, _) in enumerate(shown):
        cv2.putText(head, title, (number * TILE + 6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0),
                    1, cv2.LINE_AA)
    return np.vstack([head, picture])


def stacked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB: two pictures, one below the other."""
    width = max(first.shape[1], second.shape[1])
    return np.vstack([np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)))
                      for picture in (first, second)])


def grid(pictures: np.ndarray, across: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB: pictures (N, S, S, 3) in [0, 1], row by row as they are."""
    rows = [np.hstack(pictures[start:start + across]) for start in range(0, len(pictures), across)]
    rows[-1] = np.pad(rows[-1], ((0, 0), (0, rows[0].shape[1] - rows[-1].shape[1]), (0, 0)))
    return (np.clip(np.vstack(rows), 0, 1) * 255).round().astype(np.uint8)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 RGB beside `path` and renames it."""
    coded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    write_bytes(path, coded.tobytes(), durable=False)


def write_jpg(path: Path, picture: np.ndarray) -> None:
    """Writes a JPEG, a tenth of the size, and makes its folder."""
    make_inner_folder(path.parent)
    coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
                         [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    write_bytes(path, coded.tobytes(), durable=False)


def plot(log: Path, path: Path) -> None:
    """Plots the rows of `log` (log.jsonl): losses, balance of adversarial networks, and the
    measures of the swap.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_log(log)
    measured = [row for row in rows if isinstance(row.get("progress"), dict)]
    swapped = [row for row in measured if "distance_b" in row["progress"]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    panels = [(title, scale, shown) for title, scale, begins in PANELS
              if (shown := [name for name in names if name.startswith(begins)])]
    panels = [PLAIN] * (not panels or "a" in names) + panels
    figure = Figure(figsize=(9, 5 + 3 * (len(panels) - 1 + bool(measured))))
    # what fits is dear to find out
    figure.subplots_adjust(0.14, 0.11 / (len(panels) + bool(measured)) + 0.01, 0.92, 0.95,
                           hspace=0.3)
    axes = figure.subplots(len(panels) + bool(measured), squeeze=False)[:, 0]
    for axis, (title, scale, shown) in zip(axes, panels):
        axis.set(xlabel="iteration", ylabel="mean absolute error" if shown is PLAIN[2] else "",
                 title=title, yscale=scale)
        for number, name in enumerate(shown):
            points = [(row["iteration"], row[name]) for row in rows if name in row]
            _draw(axis, points, f"C{number}", f"loss {name}" if len(name) == 1 else name)
        if axis.lines:
            axis.legend()
    if swapped:
        axes[-1].set(xlabel="iteration", ylabel="distance to B's embedding",
                     title="Swapping faces of A that were held out")
        errors = axes[-1].twinx()
        errors.set(ylabel="per cent of the distance between the eyes")
        for axis, key, color in ((axes[-1], "distance_b", "tab:green"),
                                 (errors, "landmark_error", "tab:red"),
                                 (errors, "eyes_error", "tab:pink"),
                                 (errors, "mouth_error", "tab:brown")):
            _draw(axis, [(row["iteration"], row["progress"][key])
                         for row in swapped if key in row["progress"]], color, BY_KEY[key].title)
        errors.legend(loc="upper right")
        axes[-1].legend(loc="upper center")
    elif measured:
        axes[-1].set(xlabel="iteration", title="What it makes, measured", yscale="log")
        for number, key in enumerate(measured[-1]["progress"]):
            points = [(row["iteration"], row["progress"][key])
                      for row in measured if key in row["progress"]]
            _draw(axes[-1], points, f"C{number}", BY_KEY[key].title)
        axes[-1].legend()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    write_png(path, np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))


def plot_rates(points: Sequence[tuple[float, float]], path: Path) -> None:
    """Plots the loss over the learning rate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axis = figure.subplots()
    axis.set(xlabel="learning rate", ylabel="sum of the mean absolute errors of A and B",
             xscale="log", yscale="log")
    _draw(axis, list(points), "tab:blue", "loss")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    write_png(path, np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))


def _draw(axis, points: list[tuple[int, float]], color: str, label: str) -> None:
    if points:
        axis.plot(*zip(*points), color=color, label=label)
        axis.grid(True, which="both", alpha=0.3)


def read_log(log: Path) -> list[dict]:
    """The rows of log.jsonl, without incomplete lines."""
    rows = []
    try:
        data = read_bytes(log, MOST_LOG, named=False) if log.exists() else b""
    except (ValueError, OSError) as error:
        raise FaceswapError(f"{log} cannot be read: {error}. Move it away; only curves of the past "
                            "are lost.") from None
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            row = parse_json(line, finite=False)
        except ValueError:
            continue
        if kept := good_row(row):
            rows.append(kept)
    return rows


def forget_after(log: Path, iteration: int) -> None:
    """Takes the lines beyond `iteration` out of log.jsonl: a run that was killed told of iterations
    that no save holds.
    """
    kept = [json.dumps(row) for row in read_log(log) if row["iteration"] <= iteration]
    if log.exists() and len(kept) < len(log.read_bytes().splitlines()):
        write_text(log, "".join(f"{line}\n" for line in kept))
