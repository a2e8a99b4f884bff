"""New people as face sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.errors import FaceswapError
from lib.facesets.face_file import Origin
from lib.facesets.folder import write_face
from lib.generating.faces import draw_aligned, embed_all
from lib.generating.identities import GeneratedFace, choose_people, draw_person, likeness_within
from lib.jobs.generate.session import Session
from lib.system.logs import counted
from lib.system.progress import progress

CANDIDATES, FEWEST_CANDIDATES = 40, 200  # faces to choose from: for each person, and at least
FACES = 100  # of each person


@dataclass(frozen=True)
class NewPerson:
    """One face set."""

    number: int
    seed: int
    folder: Path | None  # None: no picture passed
    count: int  # faces
    mean_likeness: float  # within the set
    least_likeness: float
    stranger_likeness: float  # the largest, to anybody else


class NewPeople(NamedTuple):
    """What --identities made."""

    people: list[NewPerson]
    candidates: int
    faces_each: int  # that were asked for


def make_people(session: Session) -> NewPeople:
    """Writes face sets of new people. Raises FaceswapError where no candidate is new."""
    settings, generator, tools = session.settings, session.generator, session.tools
    count, faces_each = settings.identities, settings.faces or FACES
    session.output.check_empty(*(f"person{number}" for number in range(count)))
    known = session.training_embeddings

    # candidates, and those of them who are unlike everybody
    number_of_seeds = max(FEWEST_CANDIDATES, CANDIDATES * count)
    seeds = session.seeds if settings.seeds else range(number_of_seeds)
    w = generator.of_seeds(seeds, settings.truncation)
    aligned = progress(draw_aligned(generator, generator.styles(w), tools), "candidates",
                       len(seeds), unit="face")
    candidates = [(place, face) for place, face in enumerate(aligned) if face]
    embeddings = embed_all([face for _, face in candidates], tools.recognizer, "embed")
    chosen = choose_people(embeddings, known, count, tools.recognizer)
    if not chosen:
        raise FaceswapError(
            f"No new person found: of {counted(len(seeds), 'candidate')}, {len(candidates)} show a "
            "face, and none is clear enough and unlike everybody in the training set (likeness "
            f"below {tools.recognizer.same:.2f}). Try more --seeds or a larger --truncation, or "
            "train longer on more people.")

    people = []
    chosen_embeddings = embeddings[chosen]
    for number, index in enumerate(chosen):
        place = candidates[index][0]
        strangers = np.concatenate([known, np.delete(chosen_embeddings, number, 0)])
        faces = draw_person(generator, w[place], number, embeddings[index], strangers, faces_each,
                            tools)
        people.append(_write_person(session, number, seeds[place], faces))
    return NewPeople(people, len(seeds), faces_each)


def _write_person(session: Session, number: int, seed: int, faces: Sequence[GeneratedFace]
                  ) -> NewPerson:
    if not faces:
        return NewPerson(number, seed, None, 0, 0.0, 0.0, 0.0)
    folder = session.output.folder(f"person{number}")
    source = os.path.abspath(session.settings.model_dir or session.settings.weights)
    for index, face in enumerate(faces):
        origin = Origin(source, index, 0, f"seed{seed:04d}.png")
        path = write_face(folder, face.aligned, origin, session.generator.coverage,
                          session.generated_mark)
        session.output.note(f"{folder.name}/{path.name}")
    recognizer = session.tools.recognizer
    embeddings = recognizer.embed([face.aligned for face in faces])
    return NewPerson(number, seed, folder, len(faces), *likeness_within(embeddings, recognizer),
                     max(face.stranger for face in faces))
