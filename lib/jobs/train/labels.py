"""What covers some of the training faces, as users said: polygons, painted masks, stored masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from lib.alignments.mask_files.pictures import read_mask
from lib.alignments.mask_files.polygons import Polygon, from_json, mask_of_polygons
from lib.alignments.masking import SIZE, laid_over
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError
from lib.facesets.face_file import FaceFile
from lib.facesets.folder import mask_beside, stem_of
from lib.files.reading import read_json

Labels = list["np.ndarray | None"]


def read_labels(texts: Sequence[str], files: Sequence[FaceFile], store: Path | None) -> Labels:
    """For each of `files` what of it is seen, (S, S) float32 in [0, 1] over its picture, 1 = seen;
    None where nobody said so. Later `texts` replace earlier ones.

    A text names a JSON file of polygons, a folder of painted masks, or the stored masks of a name,
    in `store`, else in the alignments file of each source. Raises FaceswapError where one cannot be
    read, or says nothing of any of the faces.
    """
    labels: Labels = [None] * len(files)
    for text in texts:
        path = Path(text)
        if path.suffix.lower() == ".json":
            said = _polygons(path, files)
        elif path.is_dir():
            said = _painted(path, files)
        else:
            said = _stored(text, files, store)
        if not any(label is not None for label in said):
            raise FaceswapError(f"--labels {text} says nothing of any of the {len(files)} faces of "
                                "-A. Label faces of this set, or leave it out.")
        labels = [old if new is None else new for old, new in zip(labels, said)]
    return labels


def _painted(folder: Path, files: Sequence[FaceFile]) -> Labels:
    """White where the face is seen, black where it is covered; of any size."""
    labels: Labels = []
    for file in files:
        path = mask_beside(folder / f"{stem_of(file.origin)}.png")
        if not path.is_file():
            labels.append(None)
            continue
        labels.append(cv2.resize(read_mask(path), (file.size, file.size),
                                 interpolation=cv2.INTER_AREA))
    return labels


def _stored(name: str, files: Sequence[FaceFile], path: Path | None) -> Labels:
    """The masks called `name` of those faces that have one."""
    labels: Labels = [None] * len(files)
    by_store: dict[Path, list[int]] = {}
    for place, file in enumerate(files):
        by_store.setdefault(path or default_store(Path(file.origin.source)), []).append(place)
    for store_path, places in by_store.items():
        if not store_path.exists():
            continue
        with AlignmentStore.open(store_path, read_only=True) as store:
            frames = {name: index for index, name in store.names().items() if name}
            for place in places:
                file = files[place]
                index = frames.get(file.origin.name, -1) if file.origin.name else file.origin.frame
                for stored in store.faces(index, dropped=True):
                    if name in stored.masks and stored.is_shown_by(file.aligned.face.landmarks):
                        labels[place] = laid_over(stored.masks[name], stored.fitted.landmarks,
                                                  file.aligned.matrix, file.size)[..., 0]
    return labels


def _polygons(path: Path, files: Sequence[FaceFile]) -> Labels:
    """Those in a list of faces as `mask export` writes it. "file" may name the source, and a face
    without "number" stands for all of its frame.
    """
    try:
        entries = read_json(path)
        if not isinstance(entries, list):
            raise ValueError("it is no list of faces")
        by_frame: dict[tuple[str, int], list[_Entry]] = {}
        for entry in map(_entry, entries):
            by_frame.setdefault((entry.name, entry.frame), []).append(entry)
    except FileNotFoundError:
        raise FaceswapError(f"--labels: there is no file {path}.") from None
    except OSError as error:
        raise FaceswapError(f"--labels: cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise FaceswapError(f"--labels: {path} holds no polygons: {error}. docs/mask.md says what "
                            "stands in such a file.") from error
    return [_label(file, by_frame.get((file.origin.name, 0 if file.origin.name
                                       else file.origin.frame + 1), [])) for file in files]


class _Entry(NamedTuple):
    """What a file says of a face."""

    name: str  # of the picture; "" in a video
    frame: int  # from 1; 0 for a picture
    number: int | None  # of the face; None: all of that frame
    source: str | None  # name of the file that the face is from; None: any
    polygons: list[Polygon]


def _entry(values: Any) -> _Entry:
    """Raises ValueError, which says what is wrong."""
    if not isinstance(values, dict):
        raise ValueError('a face must have "frame" or "name", and "polygons"')
    name, frame = values.get("name", ""), values.get("frame", 0)
    number, source = values.get("number"), values.get("file")
    if not isinstance(name, str) or not isinstance(source, str | None):
        raise ValueError('"name" and "file" must be texts')
    if not all(type(value) is int and value >= 0 for value in (frame, number or 0)):
        raise ValueError('"frame" and "number" must be whole numbers, of frames from 1')
    if not name and frame < 1:
        raise ValueError('a face must have a "frame", from 1, or the "name" of a picture')
    return _Entry(name, 0 if name else frame, number, source and Path(source).name,
                  from_json(values.get("polygons")))


def _label(file: FaceFile, entries: Sequence[_Entry]) -> np.ndarray | None:
    """What `entries`, of the frame of a face, say of it."""
    polygons = [polygon for entry in entries for polygon in entry.polygons
                if entry.number in (None, file.origin.number)
                and entry.source in (None, Path(file.origin.source).name)]
    if not polygons:
        return None
    fitted = file.aligned.face.landmarks
    return laid_over(mask_of_polygons(polygons, fitted, SIZE), fitted, file.aligned.matrix,
                     file.size)[..., 0]
