"""A picture to look at after extract: whose faces were found, some of each person."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from lib.alignments.store import AlignmentStore
from lib.facesets.folder import FaceFolder, Origin, read_face
from lib.media.pictures import picture_file
from lib.sampling import evenly
from lib.system.logs import counted

TILE, ACROSS, LINE = 112, 8, 24  # pixels a side of a face, faces a row, pixels of a line of text
PEOPLE = 12  # that have a row each
ROWS = 6  # where people were not told apart
BACKGROUND, INK = 24, (230, 230, 230)


def write_sheet(path: Path, folder: FaceFolder, source: Path, store: AlignmentStore) -> None:
    """Writes a PNG with a row of faces of each person, the most frequent first; of all faces where nobody was told apart.

    The faces are those in `folder`; what is not there any more is left out.
    """
    names = store.names()
    rows = []
    people = store.whose()
    shown = [person for person in people if person is not None][:PEOPLE] + [None] * (None in people)
    for person, faces in ((person, people[person]) for person in shown):
        count = ACROSS * (ROWS if len(people) == 1 else 1)
        found = [folder.find(Origin(os.path.abspath(source), frame, number, names[frame])) for frame, number in evenly(faces, count)]
        tiles = [cv2.resize(read_face(one).image, (TILE, TILE), interpolation=cv2.INTER_AREA) for one in found if one]
        who = "faces of nobody in particular" if person is None else f"person {person}"
        rows += [_line(f"{who}: {counted(len(faces), 'face')}"),
                 *(_row(tiles[start:start + ACROSS]) for start in range(0, len(tiles), ACROSS))]
    if others := [faces for person, faces in people.items() if person not in shown]:
        more = "1 more person" if len(others) == 1 else f"{len(others)} more people"
        rows.append(_line(f"and {more} with {counted(sum(map(len, others)), 'face')}"))
    picture_file.write(path, np.vstack(rows))


def _line(text: str) -> np.ndarray:
    image = np.full((LINE, TILE * ACROSS, 3), BACKGROUND, np.uint8)
    cv2.putText(image, text, (6, LINE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return image


def _row(tiles: list[np.ndarray]) -> np.ndarray:
    row = np.full((TILE, TILE * ACROSS, 3), BACKGROUND, np.uint8)
    for place, tile in enumerate(tiles):
        row[:, place * TILE:(place + 1) * TILE] = tile
    return row
