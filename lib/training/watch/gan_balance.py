"""Whether generator and discriminator are in balance."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

import numpy as np

from lib.training.watch.preview import TOLD

REPORTS = 30  # in a row, before anything is reported
# D(real) less D(fake); the spread of what is made, of the real; a gradient's norm, of its median
WON, ALIKE, WILD = 0.97, 0.03, 100.0


class Balance:
    """Watches the rows of a log, one after another. Each kind of problem is reported once."""

    def __init__(self):
        self._rows: deque[dict[str, float]] = deque(maxlen=REPORTS)
        self._reported: dict[str, bool] = defaultdict(bool)

    def mishap(self, row: Mapping[str, object]) -> str | None:
        """The problem and what to do; None if all is well."""
        self._rows.append({name: value for name, value in row.items() if isinstance(value, float)})
        rows = self._rows
        if len(rows) < REPORTS:
            return None
        for real in [name for name in rows[-1] if name.startswith(TOLD[0])]:
            fake = real.replace(*TOLD)
            if all(WON < report.get(real, 0) - report.get(fake, 1) <= 1.5
                   for report in rows) and self._first(real):
                return (f"The discriminator has won: {real} {rows[-1][real]:.2f}, {fake} "
                        f"{rows[-1][fake]:.2f}. The generator learns no "
                        "more from it. Most often there are too few pictures; try a lower "
                        "--learning-rate, or go back with --restore.")
        for name, value in rows[-1].items():
            before = [report[name] for report in list(rows)[:-1] if name in report]
            usual = float(np.median(before)) if name.startswith("gradient ") and before else 0.0
            if value > WILD * usual > 0 and self._first("gradient"):
                return (f"The {name} is {value:.3g}, where {usual:.3g} was usual: "
                        "training may be about to diverge. Should the "
                        "pictures get worse, go back with --restore previous and a lower "
                        "--learning-rate.")
        if all(report.get("spread", 1.0) < ALIKE for report in rows) and self._first("spread"):
            return ("All pictures that are made look alike (the mode has collapsed). Go back with "
                    "--restore, and go on with a lower --learning-rate.")
        return None

    def _first(self, kind: str) -> bool:
        before, self._reported[kind] = self._reported[kind], True
        return not before
