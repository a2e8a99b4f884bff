"""`faceswap.py provenance`: what a file says of its origin, and whether it was changed since."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.errors import DONE, FIXABLE, SOME_FAILED, FaceswapError, UsageError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS, natural_key
from lib.files.reading import NotRegular, read_json
from lib.options import option
from lib.provenance.marking import file_hash
from lib.provenance.reading import CHANGED, INTACT, PARTLY, SYNTHETIC, UNMARKED, Provenance, provenance_of
from lib.provenance.run_record import record_of
from lib.settings import Settings
from lib.system.logs import counted
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.words import escaped

logger = logging.getLogger(__name__)
READERS = 2


def run(options: ProvenanceCommand) -> int:
    if (options.file is None) == (options.inspect is None):
        raise UsageError("provenance needs one of FILE, a picture or video, and --inspect FOLDER, for all in a folder.")
    if options.inspect:
        if options.consent or options.original:
            raise UsageError("--consent and --original belong to one FILE, not to --inspect.")
        return _inspect(options)
    found = provenance_of(options.file)
    checks = _checks(found, options)
    told = _as_json(found) | {"checks": {name: good for name, good, _ in checks}}
    print(json.dumps(told, indent=1, ensure_ascii=False) if options.json else _words(found, [line for *_, line in checks]))
    return DONE if found.state == INTACT and all(good for _, good, _ in checks) else FIXABLE


def _inspect(options: ProvenanceCommand) -> int:
    if not options.inspect.is_dir():
        raise FaceswapError(f"{options.inspect} is no folder. Name a folder, or the file without --inspect.")
    files = sorted((file for file in options.inspect.rglob("*") if file.is_file() and not file.name.startswith(".")
                    and file.suffix.lower() in PICTURE_ENDINGS | VIDEO_ENDINGS), key=lambda file: natural_key(str(file)))
    if not files:
        raise FaceswapError(f"There is no picture and no video in {options.inspect}. Name another folder.")
    found = list(progress(ordered_map(_or_error, files, READERS), "provenance", len(files), unit="file"))
    if options.json:
        print(json.dumps([_as_json(one) for one in found], indent=1, ensure_ascii=False))
    else:
        for one in found:
            print(escaped(f"{one.state:9} {one.path.relative_to(options.inspect)}  {_short(one)}"))
    counts = Counter(one.state for one in found)
    logger.info("%s: %s", counted(len(found), "file"), ", ".join(f"{counts[state]} {state}" for state in (INTACT, PARTLY, CHANGED, UNMARKED)
                                                                  if counts[state] or state != PARTLY))
    return SOME_FAILED if counts[CHANGED] or counts[PARTLY] else DONE


def _or_error(path: Path) -> Provenance:
    try:
        return provenance_of(path)
    except FaceswapError as error:
        return Provenance(path, CHANGED, problems=(str(error),))


def _checks(found: Provenance, options: ProvenanceCommand) -> list[tuple[str, bool, str]]:
    """What was asked besides, and what the record of the run knows: name, whether it is so, and a sentence."""
    checks = []
    if options.original:
        _check_there(options.original, "--original")
        good = found.swap.get("original_sha256") == file_hash(options.original)
        checks.append(("original", good, f"{options.original} is {'' if good else 'NOT '}the original that it names."))
    for consent in options.consent:
        _check_there(consent, "--consent")
        good = file_hash(consent) in [record["sha256"] for record in found.swap.get("consent", ())]
        checks.append(("consent", good, f"{consent} is {'' if good else 'NOT '}a record of consent that it names."))
    if wanted := _recorded(found.path):
        good = wanted == file_hash(found.path)
        checks.append(("record", good, f"{record_of(found.path).name}: byte for byte it is {'' if good else 'NOT '}what was written then."))
    return checks


def _check_there(path: Path, flag: str) -> None:
    if not path.is_file():
        raise FaceswapError(f"{flag} {path}: there is no such file. Check the name.")


def _recorded(path: Path) -> str | None:
    """SHA-256 of the file as the run that wrote it left it, where its record lies beside it."""
    try:
        return read_json(record_of(path), named=False, finite=False).get("output_sha256")
    except (OSError, ValueError, AttributeError, NotRegular):
        return None


def _as_json(found: Provenance) -> dict[str, Any]:
    return asdict(found) | {"path": str(found.path), "synthetic": found.synthetic}


def _short(found: Provenance) -> str:
    if found.problems:
        return found.problems[0]
    if found.state == UNMARKED:
        return f"says, unsigned: {found.statement}" if found.statement else "no mark"
    who = "signed with your own key" if found.known else f"signed by an unknown signer, whose certificate says {found.signer!r}"
    return f"{who}, {found.tool}{', synthetic' if found.synthetic else ''}"


def _words(found: Provenance, checks: list[str]) -> str:
    heads = {INTACT: "carries Content Credentials and is as it was signed.",
             PARTLY: "carries Content Credentials. What they cover is as it was signed, but it has more, which may have been added since.",
             CHANGED: "was CHANGED after it was signed, or its mark is damaged.",
             UNMARKED: "carries no Content Credentials. That says nothing about how it came about."}
    lines = [f"{found.path} {heads[found.state]}"]
    lines += [f"  {problem}" for problem in found.problems]
    if found.signer:
        who = (f"your own key ({found.signer})" if found.known else
               f"an unknown signer, whose certificate says {found.signer!r}: nobody whom this program knows vouches for that name")
        lines += [f"Signed by:    {who}", f"Made with:    {found.tool}",
                  f"Time stamp:   {found.signed_at or 'none: when it was signed is not confirmed'}"]
        lines += [f"Source type:  {kind}{' (synthetic)' if kind in SYNTHETIC else ''}" for kind in found.source_types]
        lines += [f"Done:         {action}" for action in found.actions]
        lines += [f"Made of:      {ingredient}" for ingredient in found.ingredients]
        lines += [f"Consent:      a record of {record['bytes']} bytes, SHA-256 {record['sha256']}"
                  for record in found.swap.get("consent", ())]
    if found.statement:
        lines.append(f"{'Says plainly' if found.state == INTACT else 'Unsigned'}:{'' if found.state == INTACT else '    '} {found.statement}")
    return "\n".join(escaped(line) for line in [*lines, *(f"Checked:      {check}" for check in checks)])


@dataclass(kw_only=True)
class ProvenanceCommand(Settings):
    """Tell what a picture or video says of its origin, and whether it was changed since.

    Reads Content Credentials (C2PA) of any maker and verifies them, without a network. The exit code is 0 where the file is as it was
    signed, 1 where it was changed or carries none; with --inspect 0, or 3 where a file was changed.
    """

    file: Path | None = option(None, "A picture or a video.", positional=True)
    inspect: Path | None = option(None, "All pictures and videos in this folder and those in it.")
    original: Path | None = option(None, "Also check that this is the original that FILE was made of.")
    consent: list[Path] = option([], "Also check that these are records of consent that FILE names.")
    json: bool = option(False, "Print JSON.")
