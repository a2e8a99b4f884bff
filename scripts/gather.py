"""`faceswap.py gather`: pictures and videos from a list of addresses."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lib.errors import DONE, SOME_FAILED, FaceswapError
from lib.options import option
from lib.settings import Settings
from lib.system.logs import counted

logger = logging.getLogger(__name__)
NAMED = 20  # failed addresses at most that are named
REST = {"duplicate": "with the same content as another", "left out": "left out", "failed": "failed"}  # status -> words


def run(options: Gather) -> int:
    from lib.gathering import report
    from lib.gathering.addresses import read_list
    from lib.gathering.checking import Wishes
    from lib.gathering.gather import gather

    listed = read_list(options.input)
    if options.output.exists() and not options.output.is_dir():
        raise FaceswapError(f"{options.output} is a file. Name a folder with -o.")
    wishes = Wishes(options.timeout, round(options.max_size * 1e6), options.only, options.min_side, options.max_minutes * 60)
    entries = gather(listed, options.output, wishes, options.jobs, options.retries, options.again)
    count = Counter(entry.status for entry in entries)
    failed = [entry for entry in entries if entry.status == report.FAILED]
    for entry in failed[:NAMED]:
        logger.warning("%s: %s.", entry.address, entry.error)
    if len(failed) > NAMED:
        logger.warning("%d more failed; %s says why.", len(failed) - NAMED, options.output / report.NAME)
    if len(failed) == len(entries):
        raise FaceswapError(f"Nothing of {options.input} could be had. {options.output / report.NAME} says why, for each address.")
    rest = [f"{count[status]} {words}" for status, words in REST.items() if count[status]]
    there = sum(entry.status == report.DONE and (options.output / entry.file).is_file() for entry in entries)
    if gone := count[report.DONE] - there:
        rest.insert(0, f"{gone} deleted since it was fetched (--again fetches it anew)")
    logger.info("%s in %s%s.", counted(there, "file"), options.output, "".join(f", {words}" for words in rest))
    return SOME_FAILED if failed else DONE


@dataclass(kw_only=True)
class Gather(Settings):
    """Download pictures and videos from a list of addresses.

    The list is a text file with one address (http:// or https://) a line; blank lines and lines that begin with # are passed over.
    Run the same command again after an interruption, or when some failed: what is there is not fetched again, half-fetched files are
    gone on with, failed ones are tried anew, and what you deleted stays deleted. FOLDER/gather.json tells of each address what became
    of it.

    A file counts by its content: pictures are decoded, videos opened, damaged ones refused, and the same content is kept once.
    """

    input: Path = option(help="Text file with one address a line.", short="-i")
    output: Path = option(help="Folder for the files.", short="-o")
    jobs: int = option(4, "Files that are fetched at once, two of them at most from the same host.", low=1, high=64, short="-j")
    retries: int = option(4, "Further tries after a try that failed, after 1, 2, 4 ... seconds.", low=0, high=20)
    timeout: float = option(20.0, "Seconds to wait for a server, and between two pieces of a file.", low=0.1, high=3600)
    max_size: float = option(4000.0, "Refuse files of more than so many MB.", low=0.001)
    max_minutes: float = option(720.0, "Give up a file that is not whole after so many minutes; what has come is kept for the next run.",
                                low=0.01)
    min_side: int = option(0, "Leave files out whose shorter side has fewer pixels.", low=0)
    only: str | None = option(None, "Leave all else out.", choices=("pictures", "videos"))
    again: bool = option(False, "Fetch anew what was fetched before and is not there any more.")
