from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.errors import DONE, FIXABLE, SOME_FAILED
from lib.jobs.provenance import ProvenanceSettings, provenance
from lib.provenance.reading import CHANGED, INTACT, PARTLY, SYNTHETIC, UNMARKED, Provenance
from lib.system.logs import counted
from lib.words import escaped

logger = logging.getLogger(__name__)
VERDICTS = {
    INTACT: "carries Content Credentials and is unchanged since it was signed.",
    PARTLY: "carries Content Credentials. What they cover is unchanged since it was signed, but "
            "the file has more, which may have been added since.",
    CHANGED: "was CHANGED after it was signed, or its mark is damaged.",
    UNMARKED: "carries no Content Credentials. That does not tell how it was made.",
}


def run(settings: ProvenanceSettings) -> int:
    result = provenance(settings)
    if settings.inspect:
        return _print_folder(result.files, settings.inspect, settings.json)
    file, = result.files
    if settings.json:
        checks = {check.name: check.passed for check in result.checks}
        print(json.dumps(_as_json(file) | {"checks": checks}, indent=1, ensure_ascii=False))
    else:
        print(describe(file, [check.sentence for check in result.checks]))
    passed = file.state == INTACT and all(check.passed for check in result.checks)
    return DONE if passed else FIXABLE


def _print_folder(files: Sequence[Provenance], folder: Path, as_json: bool) -> int:
    if as_json:
        print(json.dumps([_as_json(file) for file in files], indent=1, ensure_ascii=False))
    else:
        for file in files:
            name = file.path.relative_to(folder)
            print(escaped(f"{file.state:9} {name}  {_describe_briefly(file)}"))
    counts = Counter(file.state for file in files)
    states = [state for state in VERDICTS if counts[state] or state != PARTLY]
    logger.info("%s: %s", counted(len(files), "file"),
                ", ".join(f"{counts[state]} {state}" for state in states))
    return SOME_FAILED if counts[CHANGED] or counts[PARTLY] else DONE


def _as_json(file: Provenance) -> dict[str, Any]:
    return asdict(file) | {"path": str(file.path), "synthetic": file.synthetic}


def _describe_briefly(file: Provenance) -> str:
    if file.problems:
        return file.problems[0]
    if file.state == UNMARKED:
        return f"says, unsigned: {file.statement}" if file.statement else "no mark"
    signer = ("signed with your own key" if file.known else
              f"signed by an unknown signer, whose certificate says {file.signer!r}")
    return f"{signer}, {file.tool}{', synthetic' if file.synthetic else ''}"


def describe(file: Provenance, checks: Sequence[str] = ()) -> str:
    """What is known of a file, in lines. What the file itself says cannot pass for one of them."""
    lines = [f"{file.path} {VERDICTS[file.state]}", *(f"  {problem}" for problem in file.problems)]
    if file.signer:
        signer = (f"your own key ({file.signer})" if file.known else
                  f"an unknown signer, whose certificate says {file.signer!r}: no signer that this "
                  "program knows confirms that name")
        consents = file.swap.get("consent", ())
        lines += [f"Signed by:    {signer}", f"Made with:    {file.tool}",
                  f"Time stamp:   {file.signed_at or 'none: the time of signing is not confirmed'}"]
        lines += [f"Source type:  {kind}{' (synthetic)' if kind in SYNTHETIC else ''}"
                  for kind in file.source_types]
        lines += [f"Actions:      {action}" for action in file.actions]
        lines += [f"Made from:    {ingredient}" for ingredient in file.ingredients]
        lines += [f"Consent:      a record of {record['bytes']} bytes, SHA-256 {record['sha256']}"
                  for record in consents]
    if file.statement:
        label = "Statement:    " if file.state == INTACT else "Unsigned:     "
        lines.append(label + file.statement)
    lines += [f"Checked:      {check}" for check in checks]
    return "\n".join(escaped(line) for line in lines)
