"""Why faces are left out, in words: the keys of `REASONS` stand in the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# Faces left out for one of the first three are not followed through time.
REASONS = {"size": "smaller than --min-face", "landmarks": "landmarks that are no face's",
           "unsure": "turned away or covered too far for landmarks",
           "person": "of somebody else", "removed": "removed by hand"}
REMEDIES = {  # how each comes back
    "size": "Move the alignments file away and search again with a smaller --min-face to find "
            "smaller ones",
    "landmarks": "Look at them with alignments draw; another --aligner may do better",
    "unsure": "convert --unsure swaps them all the same",
    "person": "extract without -f, -n and --person brings everybody back",
    "removed": "alignments remove --undo brings back what was removed"}


def count_by_reason(counts: Mapping[str, int]) -> str:
    """"3 removed by hand, 1 of somebody else"."""
    return ", ".join(f"{count} {REASONS.get(reason, reason)}" for reason, count in counts.items())


def all_left_out(source: Path, counts: Mapping[str, int]) -> str:
    """What to say where faces were found in `source`, and all are left out; `counts` by reason."""
    total = sum(counts.values())
    subject = f"The only face of {source} is"
    if total > 1:
        subject = f"All {total} faces of {source} are"
    remedies = " ".join(f"{REMEDIES[reason]}." for reason in counts if reason in REMEDIES)
    return f"{subject} left out: {count_by_reason(counts)}. {remedies}"
