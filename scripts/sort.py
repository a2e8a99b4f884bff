from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from lib.errors import DONE, SOME_FAILED
from lib.facesets.sorting.moves import Move, Undo
from lib.jobs.sort import SortResult, SortSettings, sort, undo_sort
from lib.system.logs import counted, listed
from lib.words import escaped

logger = logging.getLogger(__name__)
SHOWN = 10  # lines of a dry run


def run(settings: SortSettings) -> int:
    if settings.undo:
        return _tell_undo(undo_sort(settings), settings.dry_run)
    result = sort(settings)
    if result.not_faces:
        logger.warning("Left alone, since extract did not make them: %s.", listed(result.not_faces))
    for error in result.damaged:
        logger.warning("Left alone: %s", error)
    if settings.dry_run:
        _print_moves(result.moves)
        for group in result.groups:
            if group.name:
                print(escaped(f"{len(group.faces):7} in {group.name}"))
        logger.info("%s would be sorted by %s. Nothing was changed.",
                    counted(len(result.moves), "face"), settings.by)
    else:
        _tell_sorted(result, settings.by, settings.input.absolute(), settings.output)
    return SOME_FAILED if result.damaged else DONE


def _tell_sorted(result: SortResult, by: str, folder: Path, output: Path | None) -> None:
    if not output and not result.changed:
        logger.info("%s are in this order already.", counted(len(result.moves), "face"))
        return
    if result.vanished:
        logger.warning("Taken away while the faces were measured: %s.", listed(result.vanished))
    for group in result.groups:
        if group.name:
            logger.info("%6d in %s", len(group.faces), group.name)
    faces = counted(len(result.moves) - len(result.vanished), "face")
    if output:
        logger.info("Copied %s, sorted by %s, into %s.", faces, by, output)
    else:
        logger.info("Sorted %s by %s. faceswap.py sort -i %s --undo takes it back.", faces, by,
                    folder)


def _tell_undo(undo: Undo, dry_run: bool) -> int:
    files = counted(len(undo.moves), "file")
    if dry_run:
        _print_moves([Move(move.after, move.before) for move in undo.moves])
        logger.info("%s would get their names from before the sort by %s. Nothing was changed.",
                    files, undo.by)
        return DONE
    if undo.gone:
        logger.info("No longer there: %s.", listed(undo.gone))
    logger.info("Took back the sort by %s: %s have their old names.", undo.by, files)
    if undo.blocked:
        names = [f"{move.after} ({move.before})" for move in undo.blocked]
        logger.warning("Another file has the old name of: %s. Move it away and run --undo again.",
                       listed(names))
        return SOME_FAILED
    if undo.earlier:
        logger.info("%s can be taken back too.", counted(undo.earlier, "earlier sort"))
    return DONE


def _print_moves(moves: Sequence[Move]) -> None:
    for move in moves[:SHOWN]:
        print(escaped(f"{move.before} -> {move.after}"))
    if len(moves) > SHOWN:
        print(f"... and {len(moves) - SHOWN} more")
