"""Whether a store belongs to a source: what tells one source from another, and pictures that
changed since they were searched.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np

from lib.alignments import tracks
from lib.alignments.database.state import SourceIdentity, VideoIdentity
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.files.fingerprint import fingerprint, stamp
from lib.media.base import FrameSource
from lib.system.logs import counted

logger = logging.getLogger(__name__)


class ChangedPictures(FaceswapError):
    """Pictures show something else than when they were searched."""

    def __init__(self, message: str, indices: list[int]):
        super().__init__(message)
        self.indices = indices


def source_identity(source: FrameSource) -> SourceIdentity:
    """What tells `source` from another, wherever it is moved."""
    path = os.path.abspath(source.path)
    if source.files:
        return SourceIdentity(path, None, len(source.files))
    file = Path(path) if os.path.isfile(path) else None  # frames may be made, not read
    size, content = (os.path.getsize(file), fingerprint(file)) if file else (None, None)
    return SourceIdentity(path, VideoIdentity(size, source.size, content), None)


def file_identity(path: Path) -> tuple[str, str] | None:
    """Stamp and fingerprint of a picture's file; None where it was taken away after it was read."""
    try:
        return stamp(path), fingerprint(path)
    except OSError:
        return None


def check_source(source: FrameSource, store: AlignmentStore, forget_changed: bool = False) -> None:
    """Raises FaceswapError if `store` was made for another source; fits it to a folder with new
    pictures.

    A picture is known by its content. Of those that are not what was searched, all is forgotten
    with `forget_changed`, so that extract searches them again; else ChangedPictures is raised. A
    store that may only be read is not changed.
    """
    recorded = store.state.source
    if recorded is None:
        return
    if source.files:
        _check_pictures(source, store, recorded, forget_changed)
    elif not recorded.is_same_video(source_identity(source)):
        raise _belongs_elsewhere(source, store, recorded)


def _check_pictures(source: FrameSource, store: AlignmentStore, recorded: SourceIdentity,
                    forget_changed: bool) -> None:
    # Pictures that were added, taken away or renamed
    names, before = source.names, store.names()
    moved = any(index >= len(names) or names[index] != name for index, name in before.items())
    if before and not set(before.values()) & set(names) or moved and store.read_only:
        raise _belongs_elsewhere(source, store, recorded)
    reordered = not store.read_only and (moved or recorded.pictures != len(names))
    if reordered:
        logger.info("%s has other pictures than before: those already searched keep their faces.",
                    source.path)
        store.renumber(names)

    # Pictures that show something else
    changed = _changed_pictures(source, store)
    if not forget_changed:
        # Those that cannot be read are reported where they are needed
        changed = [frame.index for frame in source.at(changed)]
    if changed and not forget_changed:
        raise ChangedPictures(f"{counted(len(changed), 'picture')} of {source.path}, such as "
                              f"{names[changed[0]]}, changed since "
                              f"{'it was' if len(changed) == 1 else 'they were'} searched for "
                              f"faces: {'its' if len(changed) == 1 else 'their'} content is "
                              f"another. Run faceswap.py extract -i {source.path} first, which "
                              "searches again.", changed)
    if changed:
        logger.info("Changed since the last search, and searched again: %s of %s, such as %s.",
                    counted(len(changed), "picture"), source.path, names[changed[0]])
        store.forget(changed)
    if changed or reordered:
        store.update(complete=[], losses=[], followed=None, recognized=None,
                     source=source_identity(source))


def _belongs_elsewhere(source: FrameSource, store: AlignmentStore,
                       recorded: SourceIdentity) -> FaceswapError:
    encoded_again = "" if source.files else ("If it is the same film, encoded again, faceswap.py "
                                            "alignments rename --force keeps the faces that were "
                                            "found in it; if not: ")
    return FaceswapError(f"{store.path} belongs to {recorded.path}, which is not the same as "
                         f"{source.path} now. {encoded_again}Delete that file to start again, or "
                         "name another with -p.")


def _changed_pictures(source: FrameSource, store: AlignmentStore) -> list[int]:
    """The pictures that are not those that were searched, by what is known of their files, else by
    their look.

    Notes of the others how their files are now.
    """
    changed: set[int] = set()
    noted: dict[int, tuple[str, str]] = {}
    unknown: dict[int, np.ndarray] = {}
    for index, before, content, look in store.files():
        try:
            now = stamp(source.files[index])
            if now == before:
                continue
            noted[index] = now, fingerprint(source.files[index])
        except OSError:  # reported when the picture is read
            continue
        if content is None and look is not None:
            unknown[index] = look
        elif content not in (None, noted[index][1]):
            changed.add(index)
    for frame in source.at(sorted(unknown)):
        if not np.array_equal(tracks.look(frame.image), unknown[frame.index]):
            changed.add(frame.index)
    if noted and not store.read_only:
        store.set_files({index: file for index, file in noted.items() if index not in changed})
    return sorted(changed)
