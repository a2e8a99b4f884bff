"""Generated faces compared with the training set: the nearest faces, and how varied they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lib.errors import FaceswapError
from lib.evaluation.distance import FEWEST, Distribution, distribution, diversity
from lib.evaluation.generator_progress import at_generated_size, mean_aligned
from lib.faces.likeness import likeness
from lib.generating.faces import draw_aligned, embed_all
from lib.jobs.generate.session import Session
from lib.media.pictures.contact_sheet import table
from lib.sampling import evenly
from lib.system.logs import counted
from lib.system.progress import progress

NEIGHBOURS = 4  # training faces beside each generated one
COMPARED = 1000  # training faces of which mean distances are calculated


class Comparison(NamedTuple):
    """What was measured of the generated faces."""

    pictures: int
    faces: int  # pictures in which a face is found
    mean_likeness: float  # of each face to the nearest training face
    largest_likeness: float
    known: int  # faces that are taken for somebody in the training set
    same: float  # likeness from which on they are
    diversity: float | None  # mean distance of embeddings of two generated faces; None of one face
    training_diversity: float | None
    path_length: float  # perceptual, in W: lower is smoother
    distances: Distribution | None  # None of too few pictures


def compare_with_training(session: Session) -> Comparison:
    """Writes each generated face beside the training faces that are most like it.

    Raises FaceswapError where the training set is not known, or no picture shows a face.
    """
    from lib.generating.measures import path_length  # imports Keras, which takes seconds

    session.output.claim("nearest.png")
    known, known_embeddings = session.training_faces, session.training_embeddings
    generator, recognizer = session.generator, session.tools.recognizer
    styles = session.styles(session.seeds)
    sample = evenly(range(len(known)), COMPARED)
    distances = _distances(session, styles,
                           sample) if len(styles) >= FEWEST <= len(sample) else None

    # the faces in the pictures, and the training faces most like each
    aligned = progress(draw_aligned(generator, styles, session.tools), "generate", len(styles),
                       unit="face")
    faces = [(seed, face) for seed, face in zip(session.seeds, aligned) if face]
    if not faces:
        raise FaceswapError(f"No face found in any of {counted(len(styles), 'picture')}. Train the "
                            "model longer, or try another -D/--detector.")
    embeddings = embed_all([face for _, face in faces], recognizer, "embed")
    likenesses = likeness(embeddings, known_embeddings, recognizer)

    # the sheet
    rows, captions = [], []
    for (seed, face), row in zip(faces, likenesses):
        nearest = np.argsort(-row)[:NEIGHBOURS]
        rows.append([face.image, *(known[index].image for index in nearest)])
        captions.append([f"seed {seed}", *(f"{row[index]:.2f}" for index in nearest)])
    session.write("nearest.png", table(rows, captions), with_real_faces=True)

    best = likenesses.max(1)
    variety, training_variety = (diversity(part) if len(part) > 1 else None
                                 for part in (embeddings, known_embeddings[sample]))
    return Comparison(len(styles), len(faces), float(best.mean()), float(best.max()),
                      int((best >= recognizer.same).sum()), recognizer.same,
                      variety, training_variety, path_length(generator), distances)


def _distances(session: Session, styles: np.ndarray, sample: list[int]) -> Distribution:
    """Generated pictures against training faces of as many pixels, as distributions."""
    generator, recognizer = session.generator, session.tools.recognizer
    generated = [mean_aligned(picture, generator.coverage)
                 for pictures in generator.batches(styles) for picture in pictures]
    known = [at_generated_size(session.training_faces[index], generator.size, generator.coverage)
             for index in sample]
    return distribution(embed_all(generated, recognizer, "embed"),
                        embed_all(known, recognizer, "embed"))
