"""The faces of a source: those that an earlier run stored, and the rest, found and stored now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lib.alignments.database.state import PluginRecord, StoreState
from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.left_out import all_left_out
from lib.alignments.sources import check_source
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError
from lib.jobs.shared.options import FindingOptions
from lib.media.base import FrameSource
from lib.plugin import REGISTRIES
from lib.system.logs import counted


def open_alignments(source: FrameSource, path: Path | None, options: FindingOptions,
                    only: Sequence[int] | None = None, search: bool = True) -> AlignmentStore:
    """The store, opened for reading, with the faces of all frames of `source`, or of those in
    `only`. Missing ones are found first.

    `path` None: the usual place beside the source. Without `search` nothing is found, and
    FaceswapError raised where anything is missing: several runs may share the store. What was begun
    with another detector or aligner is continued with that one, unless `options` ask for another.
    """
    path = path or default_store(source.path)
    if not search:
        return _complete(source, path, only)
    if store := _known(source, path, options):
        return store
    with AlignmentStore.open(path) as store:
        def create(kind: str) -> Any:
            before = _plugins(store.state)[kind]
            if before and not _asked(options, kind, before.name):
                return REGISTRIES[f"{kind}s"].create(before.name, **before.options)
            return options.create(kind)

        setup = ExtractionSetup(lambda: create("detector"), lambda: create("aligner"), only=only)
        summary = extract_faces(source, store, setup)
        if not summary.faces and summary.dropped:
            raise FaceswapError(all_left_out(source.path, summary.dropped))
        if not summary.faces:
            raise FaceswapError(
                f"No faces found in {source.path} ({summary.frames} frames). Check that it shows "
                "faces; then try another -D/--detector.")
    return AlignmentStore.open(path, read_only=True)  # others may use it meanwhile


def _complete(source: FrameSource, path: Path, only: Sequence[int] | None) -> AlignmentStore:
    """The store at `path`. Raises FaceswapError where it lacks frames."""
    store = AlignmentStore.open(path, read_only=True)
    check_source(source, store)
    missing = set(range(source.count) if only is None else only) - store.done()
    if missing and 1 not in store.state.complete:
        store.close()
        raise FaceswapError(
            f"{path} lacks {counted(len(missing), 'frame')}. Run faceswap.py extract -i "
            f"{source.path} first: shards only convert.")
    return store


def _known(source: FrameSource, path: Path, options: FindingOptions) -> AlignmentStore | None:
    """The store at `path` where all of a video was searched and linked before: nothing is written
    to it, and no detector is needed."""
    if source.rate is None or not path.is_file():
        return None
    store = AlignmentStore.open(path, read_only=True)
    try:
        check_source(source, store)
        (faces, _, frames), state = store.counts(), store.state
        known = faces and 1 in state.complete and state.followed == frames and not any(
            _asked(options, kind, plugin.name if plugin else None)
            for kind, plugin in _plugins(state).items())
    except BaseException:
        store.close()
        raise
    if not known:
        store.close()
    return store if known else None


def _plugins(state: StoreState) -> dict[str, PluginRecord | None]:
    """What the store was begun with."""
    return {"detector": state.detector, "aligner": state.aligner}


def _asked(options: FindingOptions, kind: str, before: str | None) -> bool:
    """Whether a detector or aligner is asked for that is not the one called `before` with its usual
    options."""
    default = next(item.default for item in fields(options) if item.name == kind)
    return getattr(options, kind) not in (default, before) or bool(options.plugin_options.get(kind))
