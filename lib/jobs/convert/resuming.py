"""What an earlier run left, and what this one leaves to the next: finished frames that are used
again, failed ones that are tried again.

A frame that fails is written unchanged (`lib/swapping/failure.py` says how that comes about).
`Outcome` notes it in the record of the run, OUTPUT.run.json, while the run goes on; the next run of
the same command finds it there and tries it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path

from lib.alignments.store import AlignmentStore
from lib.jobs.convert.models import Models
from lib.jobs.convert.settings import ConvertSettings
from lib.jobs.shared.marking import option_values
from lib.media.base import FrameSource
from lib.provenance.run_record import Record, content_id, named_files
from lib.swapping.pipeline import Finished
from lib.system.logs import counted

logger = logging.getLogger(__name__)
# Options that finished frames do not depend on
ELSEWHERE = ("input", "output", "model_dir", "checkpoint", "alignments", "shard", "detector",
             "aligner")
INCOMPLETE = "Incomplete input: "


def key_of(settings: ConvertSettings, source: FrameSource, store: AlignmentStore,
           models: Models) -> str:
    """Stands for all that finished frames depend on: those of an earlier run with the same key are
    used."""
    options = {name: value for name, value in option_values(settings).items()
               if name not in ELSEWHERE}
    if models.enhancer:
        options["enhance"] = models.enhancer.digest()
    names = store.names()
    fingerprints = {names[index]: content for index, _, content, _ in store.files() if content}
    photos = [content_id(photo) for photo in (Path(who).expanduser()
                                              for who in models.cast.values()) if photo.exists()]
    depends = [options, content_id(source.path, source.files or None, fingerprints),
               named_files(settings, ELSEWHERE), photos, store.digest(),
               [swapper.digest for swapper in models.swappers.values()]]
    return hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()


class Outcome:
    """Counts what becomes of the frames of a run, and notes those that fail in its record."""

    def __init__(self, record: Record):
        self.frames = self.frames_swapped = self.faces = self.faint = 0
        self.failures: dict[str, None] = {}  # a sentence each, in order
        self._record, self._before = record, record.earlier()
        # Frames, until they are done: a run that is killed leaves them to the next
        self._failed: dict[int, None] = {}

    def resume(self, key: str, models: Models) -> list[int]:
        """The frames that failed in an earlier run with the same `key`, to try again."""
        self._record.note(models=models.digests, key=key)
        self._same = self._before.get("key") == key
        again = self._record.failed_before(key)
        self._failed = dict.fromkeys(again)
        self._record.note(failed=again)
        return again

    def begin(self, missing: list[tuple[int, int | None]], whole: tuple[int, int | None]) -> None:
        """Takes over what the earlier run noted of the frames that are used: those of `whole` that
        are not `missing`."""
        finished = self._before.get("finished")
        if self._failed and not (finished and missing == [whole]):
            logger.info("%s that failed in an earlier run: tried again.",
                        counted(len(self._failed), "frame"))
        if self._same and not (finished and missing):
            self.failures |= {failure: None for failure in self._before.get("failures", ())
                              if failure.startswith(INCOMPLETE)}

    def add(self, done: Finished) -> None:
        """Counts a frame."""
        self.frames += 1
        self.frames_swapped += done.swapped > 0
        self.faces += done.swapped
        self.faint += done.faint
        if done.failure:
            name = done.frame.name or f"Frame {done.frame.index + 1}"
            self.failures[f"{name} was written unchanged: {done.failure}."] = None
            self._failed[done.frame.index] = None
            self._record.note(failures=list(self.failures), failed=list(self._failed))
        elif done.frame.index in self._failed:
            del self._failed[done.frame.index]
            self._record.note(failed=list(self._failed))
        self._record.save()

    def end(self, losses: Iterable[str]) -> None:
        """Notes the result, and the frames that the source lost."""
        self.failures |= dict.fromkeys(f"{INCOMPLETE}{loss}" for loss in losses)
        self._record.note(frames=self.frames, frames_swapped=self.frames_swapped, faces=self.faces,
                          failures=list(self.failures), failed=list(self._failed))
