from __future__ import annotations

import logging
from pathlib import Path

from lib.errors import DONE, SOME_FAILED
from lib.jobs.generate.comparison import Comparison
from lib.jobs.generate.figures import Edit
from lib.jobs.generate.job import generate
from lib.jobs.generate.people import NewPeople
from lib.jobs.generate.projection import ProjectedFace
from lib.jobs.generate.settings import GenerateSettings
from lib.system.logs import counted

logger = logging.getLogger(__name__)


def run(settings: GenerateSettings) -> int:
    result = generate(settings)
    output, problems = settings.output, list(result.problems)
    if result.projection:
        _tell_projection(result.projection, output)
    if result.style_mix:
        logger.info("Wrote style_mix.png: %s", output)
    if result.noise:
        logger.info("Noise changes pixels by a standard deviation of %.2f of 255 on average, %.1f "
                    "at most.", *result.noise)
        logger.info("Wrote noise.png: %s", output)
    if result.walk:
        logger.info("Wrote walk.mp4: %s", output)
    if result.edit:
        _tell_edit(result.edit, output)
    if result.comparison:
        _print_comparison(result.comparison)
        logger.info("Wrote nearest.png: %s", output)
    if result.people:
        problems += _tell_people(result.people, settings.identities)
    if result.seeds:
        logger.info("Drew %s of %d pixels: %s", counted(result.seeds, "face"), result.size, output)
    for problem in problems:
        logger.warning("%s", problem)
    return SOME_FAILED if problems else DONE


def _tell_projection(face: ProjectedFace, output: Path) -> None:
    if face.likeness is None:
        place = "result" if face.photo_has_face else "photo"
        verdict = f"no face is found in the {place}, so the two cannot be compared"
    else:
        person = "the same person" if face.likeness >= face.same else "another person"
        verdict = (f"the recognizer takes it for {person} (likeness {face.likeness:.2f}, the same "
                   f"from {face.same:.2f} on)")
    logger.info("Projected: pixels are off by %.1f of 255 on average, features by %.3f (0 the "
                "same, 2 opposite); %s.", face.error, face.perceptual, verdict)
    logger.info("Wrote projection.png, projected.png and projection.npz: %s", output)


def _tell_edit(edit: Edit, output: Path) -> None:
    logger.info("Direction %d holds %.1f %% of the variance of W.", edit.direction,
                100 * edit.share)
    files = edit.files[0] if len(edit.files) == 1 else counted(len(edit.files), "edited face")
    logger.info("Wrote %s: %s", files, output)


def _print_comparison(result: Comparison) -> None:
    if distances := result.distances:
        print(f"Frechet distance      {distances.frechet:.3f} of {distances.count} pictures from "
              f"as many training faces of that size, {distances.frechet_floor:.3f} of one half of "
              f"these from the other; KID {distances.kid:.3f} (embeddings; lower is better)")
    generated, training = ("not known of one face" if value is None else f"{value:.3f}"
                           for value in (result.diversity, result.training_diversity))
    print(f"faces found           {result.faces} of {result.pictures}\n"
          f"nearest in training   likeness {result.mean_likeness:.2f} on average, "
          f"{result.largest_likeness:.2f} at most; {result.known} of {result.faces} are taken for "
          f"somebody in the training set ({result.same:.2f} and more)\n"
          f"diversity             {generated} between generated faces, {training} between training "
          "faces (mean distance of embeddings)\n"
          f"path length           {result.path_length:.1f} (perceptual, in W, dlib's features: a "
          "scale of its own)")


def _tell_people(result: NewPeople, count: int) -> list[str]:
    """Logs each new person; returns what falls short of what was asked for."""
    problems = []
    if len(result.people) < count:
        problems.append(f"Only {len(result.people)} of {counted(count, 'new person')} are unlike "
                        "everybody in the training set and each other, of "
                        f"{counted(result.candidates, 'candidate')}. Try more --seeds, or a larger "
                        "--truncation.")
    for person in result.people:
        name = f"Person {person.number} (seed {person.seed})"
        if person.folder is None:
            problems.append(f"{name}: no picture passes. Nothing is written.")
            continue
        logger.info("%s, person %d (seed %d): %s; likeness within the set %.2f on average, %.2f at "
                    "least; to anybody else %.2f at most.", person.folder, person.number,
                    person.seed, counted(person.count, "face"), person.mean_likeness,
                    person.least_likeness, person.stranger_likeness)
        if person.count < result.faces_each:
            problems.append(f"{name}: only {person.count} of {counted(result.faces_each, 'face')} "
                            "surely show this person and nobody else.")
    return problems
