"""Which stored masks -M may name, before faces are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lib.alignments.store import AlignmentStore, default_store
from lib.errors import UsageError
from lib.facesets.face_file import read_origin
from lib.facesets.folder import is_face_folder, list_faces
from lib.facesets.packed import PackedFaces, is_packed
from lib.jobs.train.settings import TrainSettings
from lib.options import nearest
from lib.plugin import MASKERS


def check_mask(settings: TrainSettings) -> None:
    """Raises UsageError where -M names masks that no masker makes, and that the alignments of
    neither person have."""
    if not settings.mask:
        return
    names, known = settings.mask.split("*"), MASKERS.names()
    if any(name.strip() not in known for name in names):
        known = list(dict.fromkeys([*known, *_stored(settings)]))
    for name in names:
        if name.strip() not in known:
            raise UsageError(f"-M/--mask: there is no mask {name.strip()!r}."
                             f"{nearest(name.strip(), known)} There are: {', '.join(known)}; "
                             "several are joined by *.")


def _stored(settings: TrainSettings) -> Iterator[str]:
    """The names of the masks in the alignments of both people."""
    for paths, store in ((settings.input_a, settings.alignments_a),
                         (settings.input_b, settings.alignments_b)):
        for path in {store or default_store(_source(path)) for path in paths}:
            if path.is_file():
                with AlignmentStore.open(path, read_only=True) as opened:
                    yield from opened.mask_counts()


def _source(path: Path) -> Path:
    """The video or pictures that the first face in `path` is from; else `path` itself."""
    if is_packed(path):
        with PackedFaces(path) as faces:
            return Path(faces.read(0).origin.source) if len(faces) else path
    if is_face_folder(path):
        return Path(read_origin(list_faces(path)[0])[0].source)
    return path
