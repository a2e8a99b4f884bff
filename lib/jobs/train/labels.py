"""What covers some of the training faces, as users said: polygons, painted masks, stored masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lib.alignments.masking import laid_over
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError
from lib.faces.geometry import transform_points
from lib.facesets.face_file import FaceFile
from lib.facesets.folder import stem_of
from lib.files.reading import read_json
from lib.media.pictures import picture_file

PAINTED = "_mask.png"  # what the name of a painted mask ends in
MOST_POINTS = 100_000  # of all polygons of a face
SHIFT = 4  # OpenCV draws at 1/16 of a pixel

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
        path = folder / f"{stem_of(file.origin)}{PAINTED}"
        if not path.is_file():
            labels.append(None)
            continue
        gray = picture_file.read(path).mean(-1, dtype=np.float32) / 255
        labels.append(cv2.resize(gray, (file.size, file.size), interpolation=cv2.INTER_AREA))
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
    """{"faces": [{"file": "clip.mp4", "frame": 12, "covers": [[[x, y], ...], ...]}, ...]}: polygons
    of what covers faces in pixels of the frame; of a picture without "frame". All faces of such a
    frame are labelled, or with "box": [left, top, right, bottom] those whose middle lies in it.
    """
    try:
        entries = [_entry(entry) for entry in _list_of(read_json(path))]
    except FileNotFoundError:
        raise FaceswapError(f"--labels: there is no file {path}.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error) or type(error).__name__
        raise FaceswapError(f"--labels: {path} is no file of polygons: {reason}. docs/mask.md says "
                            "what stands in one.") from error
    by_frame: dict[tuple[str, int], list[dict]] = {}
    for entry in entries:
        by_frame.setdefault((entry["name"], entry["frame"]), []).append(entry)
    return [_label(file, by_frame.get(_frame_of(file), [])) for file in files]


def _list_of(values: Any) -> Iterable:
    faces = values["faces"] if isinstance(values, Mapping) else values
    if not isinstance(faces, list):
        raise ValueError("it lacks a list of faces")
    return faces


def _entry(values: Mapping[str, Any]) -> dict:
    """What one entry says, checked. Raises ValueError, KeyError, TypeError or AttributeError."""
    frame = values.get("frame")
    if not (frame is None or type(frame) is int and frame >= 0):
        raise ValueError(f"frame {frame!r} is no number from 0")
    covers = [np.array(points, np.float64).reshape(-1, 2) for points in values["covers"]]
    count = sum(map(len, covers))
    if count > MOST_POINTS or not all(np.isfinite(points).all() and len(points) >= 3
                                      for points in covers):
        raise ValueError("a polygon is not a list of three or more [x, y]")
    box = None if values.get("box") is None else np.array(values["box"], np.float64).reshape(4)
    return {"name": Path(str(values["file"])).name, "frame": -1 if frame is None else frame,
            "covers": covers, "box": box}


def _frame_of(file: FaceFile) -> tuple[str, int]:
    origin = file.origin
    return (origin.name, -1) if origin.name else (Path(origin.source).name, origin.frame)


def _label(file: FaceFile, entries: Sequence[dict]) -> np.ndarray | None:
    middle = file.aligned.face.landmarks[27:36].mean(0)
    said = [entry for entry in entries if entry["box"] is None
            or ((entry["box"][:2] <= middle) & (middle <= entry["box"][2:])).all()]
    if not said:
        return None
    covered = np.zeros((file.size, file.size), np.uint8)
    for entry in said:
        for points in entry["covers"]:
            placed = transform_points(points, file.aligned.matrix) * (1 << SHIFT)
            drawn = np.rint(placed.clip(-1e6, 1e6)).astype(np.int32)
            cv2.fillPoly(covered, [drawn], 255, cv2.LINE_AA, SHIFT)
    return 1 - covered / np.float32(255)
