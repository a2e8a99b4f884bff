"""Pictures and videos downloaded from a list of addresses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lib.errors import FaceswapError
from lib.gathering import gather as gathering
from lib.gathering import report
from lib.gathering.addresses import read_list
from lib.gathering.checking import Wishes
from lib.gathering.report import Entry
from lib.options import option
from lib.settings import Settings
from lib.system.progress import job

MB = 1e6  # bytes


@dataclass(kw_only=True)
class GatherSettings(Settings):
    """Download pictures and videos from a list of addresses.

    The list is a text file with one address (http:// or https://) a line; blank lines and lines
    that begin with # are skipped. Run the same command again after an interruption or failures:
    interrupted downloads resume, failed ones are tried again, finished ones are not downloaded
    again, and what you deleted stays deleted. FOLDER/gather.json says what became of each address.

    The content of a file counts, not its name: pictures are decoded, videos opened, damaged files
    refused, and the same content is kept once.
    """

    input: Path = option(help="Text file with one address a line.", short="-i")
    output: Path = option(help="Folder for the files.", short="-o")
    only: str | None = option(None, "Kind of files to keep. Default: both.",
                              choices=("pictures", "videos"))
    min_side: int = option(0, "Leave out files whose shorter side has fewer pixels.", low=0)
    max_size: float = option(4000.0, "Refuse files of more MB.", low=0.001)
    again: bool = option(False, "Download again files that were deleted from the folder.")
    jobs: int = option(4, "Downloads at once, two of them at most from the same host.", low=1,
                       high=64,
                       short="-j", group="Network")
    retries: int = option(4, "Further tries after a failure, after 1, 2, 4 ... seconds.", low=0,
                          high=20,
                          group="Network")
    timeout: float = option(20.0, "Seconds to wait for a server, and between two pieces of a file.",
                            low=0.1, high=3600, group="Network")
    max_minutes: float = option(720.0, "Minutes after which a download is given up; the next run "
                                       "resumes it.", low=0.01, group="Network")


@dataclass(frozen=True)
class GatherResult:
    """What became of the addresses."""

    entries: tuple[Entry, ...]  # one for each address, in the order of the list
    report: Path
    files: int  # that lie in the folder

    @property
    def failed(self) -> list[Entry]:
        """Addresses that could not be downloaded; `error` says why."""
        return [entry for entry in self.entries if entry.status == report.FAILED]

    def count(self, status: str) -> int:
        """How many addresses have that status."""
        return Counter(entry.status for entry in self.entries)[status]

    @property
    def deleted(self) -> int:
        """Files that were downloaded and deleted since."""
        return self.count(report.DONE) - self.files


@job
def gather(settings: GatherSettings) -> GatherResult:
    """Downloads what is missing. Raises FaceswapError where the list or the folder cannot be
    used."""
    listed = read_list(settings.input)
    folder, path = settings.output, settings.output / report.NAME
    if folder.exists() and not folder.is_dir():
        raise FaceswapError(f"{folder} is a file. Name a folder with -o.")
    wishes = Wishes(settings.timeout, round(settings.max_size * MB), settings.only,
                    settings.min_side, settings.max_minutes * 60)
    entries = gathering.gather(listed, folder, wishes, settings.jobs, settings.retries,
                               settings.again)
    files = sum(entry.status == report.DONE and (folder / entry.file).is_file()
                for entry in entries)
    return GatherResult(tuple(entries), path, files)
