"""Whether networks that work against each other still teach each other something."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

import numpy as np

from lib.training.watch.preview import TOLD

REPORTS = 30  # in a row, before anything is told
WON, ALIKE, WILD = 0.97, 0.03, 100.0  # D(real) less D(fake); the spread of what is made, of the real; a gradient's norm, of its median


class Balance:
    """Looks at the rows of a log, one after another. Each kind of mishap is told once."""

    def __init__(self):
        self._rows: deque[dict[str, float]] = deque(maxlen=REPORTS)
        self._told: dict[str, bool] = defaultdict(bool)

    def mishap(self, row: Mapping[str, object]) -> str | None:
        """What is wrong, and what to do; None while all is well."""
        self._rows.append({name: value for name, value in row.items() if isinstance(value, float)})
        rows = self._rows
        if len(rows) < REPORTS:
            return None
        for real in [name for name in rows[-1] if name.startswith(TOLD[0])]:
            fake = real.replace(*TOLD)
            if all(WON < one.get(real, 0) - one.get(fake, 1) <= 1.5 for one in rows) and self._first(real):
                return (f"The discriminator has won: {real} {rows[-1][real]:.2f}, {fake} {rows[-1][fake]:.2f}. The generator learns no "
                        "more from it. Most often there are too few pictures; try a lower --learning-rate, or go back with --restore.")
        for name, value in rows[-1].items():
            before = [one[name] for one in list(rows)[:-1] if name in one]
            if name.startswith("gradient ") and before and value > WILD * float(np.median(before)) > 0 and self._first("gradient"):
                return (f"The {name} is {value:.3g}, where {np.median(before):.3g} was usual: training may be about to diverge. Should the "
                        "pictures get worse, go back with --restore previous and a lower --learning-rate.")
        if all(one.get("spread", 1.0) < ALIKE for one in rows) and self._first("spread"):
            return ("All pictures that are made look alike (the mode has collapsed). Go back with --restore, and go on with a lower "
                    "--learning-rate.")
        return None

    def _first(self, kind: str) -> bool:
        told, self._told[kind] = self._told[kind], True
        return not told
