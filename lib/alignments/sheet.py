"""A picture to look at after extract: whose faces were found, some of each person."""

from __future__ import annotations

import os
from pathlib import Path

from lib.alignments.store import AlignmentStore
from lib.facesets.face_file import Origin, read_face
from lib.facesets.folder import FaceFolder
from lib.media.pictures import contact_sheet, picture_file
from lib.media.pictures.contact_sheet import resized, text_line
from lib.sampling import evenly
from lib.system.logs import counted

TILE, COLUMNS = 112, 8  # pixels a side of a face, faces a row
WIDTH = TILE * COLUMNS
PEOPLE = 12  # that have a row each
ROWS = 6  # where people were not told apart


def write_sheet(path: Path, folder: FaceFolder, source: Path, store: AlignmentStore) -> None:
    """Writes a PNG with a row of faces of each person, the most frequent first.

    Where nobody was told apart it shows some of all faces. They are those in `folder`; what is not
    there any more is left out.
    """
    names = store.names()
    rows = []
    people = store.whose()
    shown = [person for person in people if person is not None][:PEOPLE] + [None] * (None in people)
    for person, faces in ((person, people[person]) for person in shown):
        count = COLUMNS * (ROWS if len(people) == 1 else 1)
        files = [folder.find(Origin(os.path.abspath(source), index, number, names[index]))
                 for index, number in evenly(faces, count)]
        tiles = [resized(read_face(file).image, TILE) for file in files if file]
        who = "not recognized" if person is None else f"person {person}"
        rows.append(text_line(f"{who}: {counted(len(faces), 'face')}", WIDTH))
        if tiles:
            rows.append(contact_sheet.grid(tiles, COLUMNS, contact_sheet.DARK))
    if rest := [faces for person, faces in people.items() if person not in shown]:
        more = "1 more person" if len(rest) == 1 else f"{len(rest)} more people"
        rows.append(text_line(f"and {more} with {counted(sum(map(len, rest)), 'face')}", WIDTH))
    picture_file.write(path, contact_sheet.stack(rows))
