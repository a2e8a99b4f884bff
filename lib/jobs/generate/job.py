"""The call: everything that the settings ask for, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib.generating.generator import Generator, load_generator
from lib.generating.output import Output
from lib.jobs.generate import figures
from lib.jobs.generate.comparison import Comparison, compare_with_training
from lib.jobs.generate.people import NewPeople, make_people
from lib.jobs.generate.projection import ProjectedFace, project_photo
from lib.jobs.generate.session import Session
from lib.jobs.generate.settings import SEEDS, GenerateSettings, check, parse_grid, parse_seeds
from lib.jobs.shared.marking import Marking, option_values, signature_of
from lib.provenance.run_record import Record
from lib.provenance.xmp import GENERATED, WITH_REAL_FACES
from lib.system.progress import job

if TYPE_CHECKING:
    from lib.provenance.marking import Mark


@dataclass(frozen=True)
class GenerateResult:
    """What was made; None for what was not asked for."""

    output: Path
    size: int  # pixels a side of a generated picture
    seeds: int  # pictures of seeds
    style_mix: bool
    walk: bool
    noise: figures.NoiseEffect | None
    projection: ProjectedFace | None
    edit: figures.Edit | None
    comparison: Comparison | None
    people: NewPeople | None
    problems: tuple[str, ...]  # what could not be marked


@job
def generate(settings: GenerateSettings) -> GenerateResult:
    """Draws faces and writes what the settings ask for. Raises UsageError for options that do not
    fit together or the model, FaceswapError where the model cannot be used."""
    # everything that can be wrong before the model is loaded
    seeds = parse_seeds(settings.seeds or SEEDS, "--seeds")
    check(settings)
    signature = signature_of(settings)
    columns = parse_grid(settings.grid, len(seeds)) if settings.grid else 0
    for text in settings.style_mix:
        parse_seeds(text, "--style-mix")
    generator = _load(settings)

    marks: list[Mark | None] = [None, None]
    if signature:
        noted = {"seeds": settings.seeds, "truncation": settings.truncation, "edit": settings.edit,
                 "identities": settings.identities}
        models = {generator.digest: generator.name}
        marks = [Marking(signature, settings.timestamp, noted, done).mark(None, models)
                 for done in (GENERATED, WITH_REAL_FACES)]
        marks[0].check()
    inputs = {"photo": settings.project} if settings.project else {}
    with Record(settings.output, "generate", option_values(settings), inputs) as record:
        session = Session(settings, generator, seeds, Output(settings.output, record), *marks)
        record.note(model={"name": generator.name, "digest": generator.digest},
                    provenance={"marked": signature is not None})
        return _run(session, columns)


def _load(settings: GenerateSettings) -> Generator:
    if settings.weights:
        from lib.generating.published import load_published

        return load_published(settings.weights)
    return load_generator(settings.model_dir, settings.checkpoint)


def _run(session: Session, columns: int) -> GenerateResult:
    chosen = session.settings.figures
    projection = project_photo(session) if "project" in chosen else None
    if "style-mix" in chosen:
        figures.mix_styles(session)
    noise = figures.show_noise(session) if "noise" in chosen else None
    if "interpolate" in chosen:
        figures.interpolate(session)
    edited = figures.edit(session, projection and projection.styles) if "edit" in chosen else None
    comparison = compare_with_training(session) if "nearest" in chosen else None
    people = make_people(session) if "identities" in chosen else None
    if not chosen:
        figures.draw_seeds(session, columns)
    return GenerateResult(
        session.settings.output, session.generator.size, 0 if chosen else len(session.seeds),
        "style-mix" in chosen, "interpolate" in chosen, noise, projection, edited, comparison,
        people, tuple(session.mark_problems))
