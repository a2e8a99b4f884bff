"""python -m tests.fuzz KIND COUNT [SEED]: runs COUNT cases of a kind, or of all, and prints the faults by kind.

Each fault is followed by the seeds that repeat it: `python -m tests.fuzz KIND 1 SEED` runs that case alone.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.fuzz.kinds import KINDS, SLOW
from tests.fuzz.running import Outcome, run

SHOWN = 5  # seeds of a fault


def main(argv: list[str]) -> int:
    if len(argv) not in (2, 3) or argv[0] not in (*KINDS, "all") or not all(text.isdecimal() for text in argv[1:]):
        print(f"{__doc__}\nKinds: all, {', '.join(KINDS)}")
        return 2
    count, first = int(argv[1]), int(argv[2]) if len(argv) == 3 else 0
    names = list(KINDS) if argv[0] == "all" else [argv[0]]
    shares = {name: 1.0 / SLOW.get(name, 1) for name in names}
    faults = 0
    for name in names:
        cases = max(1, round(count * shares[name] / sum(shares.values())))
        began = time.monotonic()
        outcome = run(
            KINDS[name],
            range(first, first + cases),
            processes=min(os.cpu_count() or 1, 2),
            told=lambda outcome: _progress(name, outcome, cases),
        )
        print(
            f"\r{name:10} {outcome.cases} cases in {time.monotonic() - began:.0f} s, {outcome.refused} refused, the slowest "
            f"{outcome.slowest:.1f} s, {sum(map(len, outcome.faults.values()))} faults",
            flush=True,
        )
        for fault, seeds in sorted(outcome.faults.items(), key=lambda item: -len(item[1])):
            print(f"  {len(seeds):5}  {fault}  seeds {', '.join(map(str, seeds[:SHOWN]))}", flush=True)
        faults += len(outcome.faults)
    return bool(faults)


def _progress(name: str, outcome: Outcome, cases: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{name:10} {outcome.cases} of {cases}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
