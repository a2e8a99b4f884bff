"""Faces for and from other programs: the JSON layout that users of deepfakes/faceswap know.

`{"clip_000001.png": [{"detected": [left, top, right, bottom], "landmarks_2d": [[x, y], ... 68]},
...], ...}`, in frame pixels. A picture goes by its file name, a frame of a video by
STEM_000001.png, counted from 1. A frame without a face has an empty list.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from lib.alignments import tracking, tracks
from lib.alignments.database.state import ImportRecord
from lib.alignments.sources import file_identity, source_identity
from lib.alignments.store import AlignmentStore, StoredFace
from lib.errors import FaceswapError
from lib.faces.quality import check_landmarks
from lib.files.reading import Unreadable, json_member, opened
from lib.files.writing import disk_errors, open_new
from lib.media.base import FrameSource
from lib.system.logs import listed
from lib.system.progress import progress
from lib.types import Detection, Face

logger = logging.getLogger(__name__)

CHUNK = 1 << 20  # characters read at a time
LONGEST = 32 << 20  # characters that one frame's faces may take: thousands of faces
FARTHEST = 100_000  # pixels: no coordinate lies farther out
# By which the sides of a square box may differ, of the longer one, since they are written rounded
SQUARE = 0.02
NAMED = 5  # frames named in an error
SPACE = re.compile(r"[ \t\r\n]*")
LONGEST_NAME = 1024  # characters of a frame's name
NUMBER = re.compile(r"([0-9]{1,12})$")


def frame_name(stem: str, index: int) -> str:
    """What frame `index` (from 0) of a video is called in the JSON."""
    return f"{stem}_{index + 1:06d}.png"


def export_faces(store: AlignmentStore, stem: str, path: Path) -> tuple[int, int]:
    """Writes the faces of `store` into the JSON file `path`, which appears whole or not at all;
    `stem` names a video's frames.

    Landmarks are those that convert uses. Returns how many faces and frames.
    """
    count = frames = 0
    faces = store.all_faces()
    following = next(faces, None)
    with disk_errors(path), open_new(path) as file:
        for index, name, _, _ in store.frame_counts():
            entries = []
            while following and following[0] == index:
                entries.append(_entry(following[1].face))
                following = next(faces, None)
            key = json.dumps(name or frame_name(stem, index), ensure_ascii=False)
            text = f"{',' if frames else '{'}\n{key}: {json.dumps(entries)}"
            file.write(text.encode("utf-8", "backslashreplace"))
            count += len(entries)
            frames += 1
        file.write(b"\n}\n" if frames else b"{}\n")
    return count, frames


def import_faces(path: Path, source: FrameSource, store: AlignmentStore,
                 first_frame: int | None = None) -> tuple[int, int]:
    """Fills the new `store` with the faces of `source` that the JSON file `path` holds; returns how
    many faces and frames.

    `first_frame` is the number of a video's first frame in the names; None: 0 where a name says 0,
    else 1. The file is read a frame at a time. A video is decoded once, for its times and cuts.
    Frames that the file does not name are not looked at, and what is imported is neither smoothed
    nor added to unless that is asked for. Raises FaceswapError, naming frame and face, for what
    does not fit the layout or the source.
    """
    pictures = source.names
    if pictures:
        places = _picture_places(path, pictures)
    else:
        places = _video_places(path, source, first_frame)
    count = 0
    for name, entries in _entries(path):
        faces = _faces(path, name, entries, None if pictures else source.size)
        file = file_identity(source.files[places[name]]) if pictures else None
        store.add(places[name], name if pictures else "", None, faces, file=file)
        count += len(faces)
    if not pictures and places:
        indices, stop = set(places.values()), max(places.values()) + 1
        for frame in progress(source.frames(0, stop), "read times", stop):
            if frame.index in indices:
                store.add_look(frame.index, frame.time, tracks.look(frame.image))
        tracking.steady(store, smooth=False)
    store.update(source=source_identity(source),
                 imported=ImportRecord(os.path.abspath(path), count, len(places)), complete=[1],
                 losses=[], smooth=False, followed=len(places))
    return count, len(places)


def _entry(face: Face) -> dict[str, list]:
    box, landmarks = (array.astype(float).round(3).tolist()
                      for array in (face.detection.box, face.landmarks))
    return {"detected": box, "landmarks_2d": landmarks}


def _picture_places(path: Path, files: list[str]) -> dict[str, int]:
    """The place in the source of each name in the file."""
    known = {name: index for index, name in enumerate(files)}
    names = _names(path)
    if strangers := [name for name in names if name not in known]:
        raise FaceswapError(f"{path} names pictures that the source does not have: "
                            f"{listed(strangers, NAMED)}. Name the folder that it was made for.")
    return {name: known[name] for name in names}


def _video_places(path: Path, source: FrameSource, first_frame: int | None) -> dict[str, int]:
    """The frame of each name in the file."""
    numbers = {}
    for name in _names(path):
        match = NUMBER.search(os.path.splitext(name)[0])
        if not match:
            raise FaceswapError(f"{path}: the name {name!r} does not end in the number of a frame "
                                f"of {source.path.name}, such as "
                                f"{frame_name(source.path.stem, 0)}.")
        numbers[name] = int(match[1])
    if not numbers:
        raise FaceswapError(f"{path} names no frame: there is nothing to import.")
    if not any(name.startswith(source.path.stem) for name in numbers):
        logger.warning("The frames in %s are called %s, not after %s: look with alignments draw "
                       "whether the faces are this video's.", path.name, next(iter(numbers)),
                       source.path.name)
    least = min(numbers.values())
    if first_frame is None:
        first_frame = 0 if least == 0 else 1
        if least > 1:
            logger.info("The frames' numbers in %s are taken to begin at 1. Say --first-frame 0 if "
                        "they begin at 0.", path.name)
    if least < first_frame:
        raise FaceswapError(f"{path} names a frame {least}, but its frames are to be counted from "
                            f"{first_frame}. Leave --first-frame out.")
    places = {name: number - first_frame for name, number in numbers.items()}
    if len(set(places.values())) < len(places):
        seen: dict[int, str] = {}
        first, second = next((seen[place], name) for name, place in places.items()
                             if seen.setdefault(place, name) != name)
        raise FaceswapError(f"{path}: {first!r} and {second!r} are one frame of "
                            f"{source.path.name}. Leave one of them out.")
    last = max(places, key=places.__getitem__)
    final = places[last]
    is_known = source.count is not None and final < source.count
    if not is_known and next(source.frames(final, final + 1), None) is None:
        raise FaceswapError(f"{path} names the frame {last!r}, but {source.path.name} ends before "
                            "it. Name the video that it was made for, or say with --first-frame "
                            "whether its frames are counted from 0 or 1.")
    return places


def _names(path: Path) -> list[str]:
    """The names of all frames in the file, none of them twice."""
    names: dict[str, None] = {}
    for name, _ in _entries(path):
        if name in names:
            raise FaceswapError(f"{path} names {name!r} twice. Leave one of them out.")
        names[name] = None
    return list(names)


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Key and value of each member of the object in a JSON file, one in memory at a time."""
    try:
        with io.TextIOWrapper(opened(path), encoding="utf-8-sig") as file:
            yield from _members(path, file)
    except UnicodeDecodeError as error:
        raise FaceswapError(f"{path} is not text ({error.reason} at byte {error.start}). Name a "
                            "JSON file with -o.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}. Name the JSON file to be "
                            "imported with -o.") from error


def _members(path: Path, file: TextIO) -> Iterator[tuple[str, Any]]:
    # `before`: characters that are no longer in `text`
    text, before, name = file.read(CHUNK), 0, None
    place = _after_space(text, 0)
    if text[place:place + 1] != "{":
        raise FaceswapError(f"{path} does not begin with {{, as the JSON of faces does. Name a "
                            "file that export or another program made.")
    place = _after_space(text, place + 1)
    mark = "," if text[place:place + 1] != "}" else "}"
    place += mark == "}"
    while mark == ",":
        try:
            name, value, mark, place = _member(text, place)
        except Unreadable as error:
            where = f"after the frame {name!r}" if name is not None else "at its first frame"
            raise FaceswapError(
                f"{path} is no valid JSON {where}: {error}. Export it again.") from None
        except (ValueError, IndexError) as error:  # cut off, or wrong
            more = file.read(max(CHUNK, len(text) - place)) if len(text) - place <= LONGEST else ""
            if not more:
                where = f"after the frame {name!r}" if name is not None else "at its first frame"
                what, position = "it breaks off", len(text)
                if isinstance(error, json.JSONDecodeError):
                    what, position = error.msg, error.pos
                raise FaceswapError(f"{path} is no valid JSON {where}: {what} (character "
                                    f"{before + position}). Export it again.") from None
            before += place
            text, place = text[place:] + more, 0
            continue
        if len(name) > LONGEST_NAME:
            raise FaceswapError(f"{path} is no JSON of faces: the name of a frame has {len(name)} "
                                "characters. Name a file that export or another program made.")
        yield name, value
    if mark != "}" or text[place:].strip() or file.read(CHUNK).strip():
        raise FaceswapError(f"{path} is no valid JSON: after the frame {name!r} stands neither a "
                            "comma nor the end. Export it again.")


def _member(text: str, place: int) -> tuple[str, Any, str, int]:
    """Key, value, the mark after it and the place after that. ValueError or IndexError where they
    are not whole.
    """
    key, place = json_member(text, _after_space(text, place))
    place = _after_space(text, place)
    if not isinstance(key, str) or text[place] != ":":
        raise json.JSONDecodeError("a frame's name and a colon are expected", text, place)
    value, place = json_member(text, _after_space(text, place + 1))
    place = _after_space(text, place)
    return key, value, text[place], place + 1


def _after_space(text: str, place: int) -> int:
    return SPACE.match(text, place).end()


def _faces(path: Path, name: str, entries: Any, size: tuple[int, int] | None) -> list[StoredFace]:
    """The faces of a frame, checked; `size` (width, height) of the frame, where it is known."""
    if not isinstance(entries, list):
        raise FaceswapError(f"{path}: frame {name!r} must have a list of faces, empty where there "
                            "are none.")
    faces = []
    for number, entry in enumerate(entries, 1):
        try:
            faces.append(StoredFace(_face(entry, size)))
        except ValueError as error:
            raise FaceswapError(f"{path}: frame {name!r}, face {number}: {error}.") from None
    return faces


def _face(entry: Any, size: tuple[int, int] | None) -> Face:
    if not isinstance(entry, dict):
        raise ValueError('a face must have "detected" and "landmarks_2d"')
    for key in ("detected", "landmarks_2d"):
        if key not in entry:
            raise ValueError(f'it has no "{key}"')
    box, points = entry["detected"], entry["landmarks_2d"]
    if not _are_numbers(box, 4):
        raise ValueError(f'"detected" must be four numbers of at most {FARTHEST}: left, top, '
                         'right, bottom')
    if not isinstance(points, list) or len(points) != 68:
        counted = f", not {len(points)}" if isinstance(points, list) else ""
        raise ValueError(f'"landmarks_2d" must be 68 points{counted}')
    if not all(_are_numbers(point, 2) for point in points):
        raise ValueError(f'each of "landmarks_2d" must be two numbers of at most {FARTHEST}: x, y')
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise ValueError(f'"detected" is {box}: left must be less than right, and top less than '
                         'bottom')
    if size and (right < 0 or bottom < 0 or left >= size[0] or top >= size[1]):
        raise ValueError(f'"detected" is {box}, outside the frame of {size[0]}x{size[1]} pixels')
    landmarks = np.array(points, np.float32)
    check_landmarks(landmarks)
    if abs((right - left) - (bottom - top)) > max(1.0, SQUARE * max(right - left, bottom - top)):
        return Face(Detection(_square_around(landmarks), 1.0), landmarks)
    return Face(Detection(np.array(box, np.float32), 1.0), landmarks)


def _are_numbers(values: Any, count: int) -> bool:
    return (isinstance(values, list) and len(values) == count
            and all(type(value) in (int, float) and math.isfinite(value) and abs(value) <= FARTHEST
                    for value in values))


def _square_around(landmarks: np.ndarray) -> np.ndarray:
    """(4,) float32: the square from brows to chin, as `Detection.box` has it, in place of another
    program's rectangle.
    """
    low, high = landmarks.min(0), landmarks.max(0)
    half = (high - low).max() / 2
    return np.hstack([(low + high) / 2 - half, (low + high) / 2 + half]).astype(np.float32)
