"""What a run records: log, events, previews, plots, the report, and the live page.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.evaluation.measures import BY_KEY
from lib.files.writing import open_append
from lib.system import device
from lib.system.progress import status
from lib.training.plan import Plan
from lib.training.watch import preview, report
from lib.training.watch.events import Events
from lib.training.watch.gan_balance import Balance
from lib.training.watch.page import Page
from lib.training.watch.preview import COVERS, TOLD

logger = logging.getLogger(__name__)

STILL = 300  # iterations after the warm-up, within which any network that learns gets better
# of the first loss; a sum of A's and B's losses: where it is less, something was learnt before
HARDLY, AT_ALL = 0.95, 0.3


class Record:
    """Writes and shows how training goes; a context manager. A full disk ends no training: it is
    logged.
    """

    def __init__(self, folder: Path, plan: Plan):
        # iterations, and how the held-out faces were swapped then
        self.history: list[tuple[int, dict[str, float]]] = []
        # iterations, and the sum of the losses of A and B
        self.losses: list[tuple[int, float]] = []
        self._folder, self._plan, self._log = folder, plan, folder / "log.jsonl"
        self._stack = contextlib.ExitStack()
        self._from = 0  # iteration that this run started from
        self._moves = True  # False once it was logged that nothing is learnt
        self._balance = Balance()
        self._events: Events | None = None
        self._page: Page | None = None
        self._tell: Callable[[str, dict], None] | None = None

    def __enter__(self) -> Record:
        self._tell = self._stack.enter_context(status())
        if self._plan.page:
            self._page = self._stack.enter_context(Page(self._folder))
            logger.info("Look at %s while it trains.", self._page.url)
        self._stack.callback(self._close_events)
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()

    def resume(self, iteration: int) -> None:
        """Forgets later rows: no checkpoint holds them."""
        with unessential(self._log):
            preview.forget_after(self._log, iteration)
        rows = preview.read_log(self._log)
        self.history = [(row["iteration"], row["progress"])
                        for row in rows if isinstance(row.get("progress"), dict)]
        self.losses = [(row["iteration"], row["a"] + row["b"])
                       for row in rows if {"a", "b"} <= row.keys()]
        self._close_events()
        self._from = iteration

    def wishes(self) -> set[str]:
        """Requests made on the page since the last call: "save", "preview", "stop"."""
        return self._page.take() if self._page else set()

    def report(self, row: dict, progress: Mapping[str, float] | None) -> None:
        """Writes a row to the log, the events and the screen; `progress` holds measures taken now.
        """
        iteration = row["iteration"]
        if progress is not None:
            row["progress"] = dict(progress)
            self.history.append((iteration, row["progress"]))
        if {"a", "b"} <= row.keys():
            self.losses.append((iteration, row["a"] + row["b"]))
        with unessential(self._log), open_append(self._log) as file:
            file.write(json.dumps(row).encode() + b"\n")
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        numbers |= {f"swap/{name}": value for name, value in (progress or {}).items()}
        with unessential(self._folder / "events"):
            self._open_events().scalars(iteration, numbers)
        line = _line(self._plan, row, self.history[-1][1] if self.history
                     and self._plan.progress_minutes else {})
        self._tell(line, row)
        if self._page:
            self._page.tell(row, line)
        if mishap := self._balance.mishap(row):
            logger.warning("%s", mishap)
        (began, first), (_, last) = (self.losses[0], self.losses[-1]) if self.losses \
            else ((0, 0.0), (0, 0.0))
        if self._moves and iteration - began >= self._plan.warm_up + STILL and last > max(HARDLY
                                                                                          * first,
                                                                                          AT_ALL):
            self._moves = False
            logger.warning("The loss is %.3f, and was %.3f at first: the networks learn nothing. "
                           "Most often the learning rate is too high. "
                           "Ctrl-C ends this; --find-rate looks for a better one, to be used with "
                           "a new folder -m.", last, first)

    def show(self, sheet: np.ndarray) -> None:
        """preview.png, of (H, W, 3) uint8 RGB."""
        with unessential(self._folder / "preview.png"):
            preview.write_png(self._folder / "preview.png", sheet)

    def plot(self) -> None:
        with unessential(self._folder / "loss.png"):
            preview.plot(self._log, self._folder / "loss.png")

    def save(self, iteration: int, sheet: np.ndarray, weights: Mapping[str, np.ndarray]) -> None:
        """Updates previews, plots and report at a checkpoint; `weights` are those for histograms.
        """
        self.show(sheet)
        self.plot()
        if self._plan.time_lapse:
            with unessential(self._folder / "timelapse"):
                preview.write_jpg(self._folder / "timelapse" / f"{iteration:08d}.jpg", sheet)
        with unessential(self._folder / "events"):
            self._open_events().picture(iteration, "preview", sheet)
            for name, values in weights.items():
                self._open_events().histogram(iteration, name, values)
        with unessential(self._folder / "report.html"):
            report.write(self._folder)

    def _open_events(self) -> Events:
        if self._events is None:
            self._events = Events(self._folder / "events", self._from)
        return self._events

    def _close_events(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None


@contextlib.contextmanager
def unessential(path: Path) -> Iterator[None]:
    """Logs and previews that cannot be written are a warning, unlike checkpoints.
    """
    try:
        yield
    except (OSError, FaceswapError) as error:
        logger.warning("Cannot write %s: %s. Training goes on.", path,
                       getattr(error, "strerror", None) or error)


def _line(plan: Plan, row: dict, progress: Mapping[str, float]) -> str:
    parts = [f"iteration {row['iteration']}"]
    if losses := [f"{name} {row[name]:.4f}" for name in ("a", "b") if name in row]:
        parts.append(f"loss {' '.join(losses)}")
    for prefix in TOLD:
        if values := [value for name, value in row.items() if name.startswith(prefix)]:
            parts.append(f"{prefix} {sum(values) / len(values):.2f}")
    parts += [f"{name} {row[name]:.3f}" for name in COVERS if name in row]
    if "distance_b" in progress:
        parts.append(f"to B {progress['distance_b']:.3f} landmarks "
                     f"{progress['landmark_error']:.1f} %")
    elif progress:
        parts.append(" ".join(f"{BY_KEY[key].title} {value:.3f}"
                              for key, value in progress.items() if key in BY_KEY))
    if row["speed"]:  # known from the second iteration of a run on: the first is compiled
        parts += [f"{row['speed']:.1f} it/s", f"{row['images']:.0f} images/s"]
    for gpu in device.gpus():
        used = f" {gpu.utilization} %" if gpu.utilization is not None else ""
        parts.append(f"GPU{used} {gpu.memory_used / 2**30:.1f} of {gpu.memory / 2**30:.0f} GiB")
    left = plan.left(row["iteration"], row["seconds"], row["speed"]) if row["speed"] else None
    if left is not None:
        minutes, rest = divmod(round(left), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02d}:{rest:02d} left")
    return "  ".join(parts)
