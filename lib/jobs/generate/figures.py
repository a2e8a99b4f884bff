"""Pictures and videos of generated faces: one of each seed, mixed styles, noise, a walk, edits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lib.errors import UsageError
from lib.generating.directions import edit_styles, principal_directions
from lib.generating.interpolation import Walk, loop
from lib.jobs.generate.session import Session
from lib.jobs.generate.settings import parse_layers, parse_seeds
from lib.media.pictures.contact_sheet import grid, heat_map, table
from lib.plugin import WRITERS
from lib.system.progress import progress

NOISES, MEASURED_NOISES = 6, 64  # draws of noise: shown; that the deviation is calculated from
STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)  # deviations, columns of a sheet of --edit
RATE = 25.0  # frames a second


class NoiseEffect(NamedTuple):
    """How much noise changes a picture: standard deviations of its pixels, 8-bit levels."""

    mean: float
    largest: float


class Edit(NamedTuple):
    """Faces changed along a direction of W."""

    direction: int
    share: float  # of the variance of W that lies along the direction
    files: list[str]


def draw_seeds(session: Session, columns: int) -> list[str]:
    """Writes a picture of each seed; with `columns`, also one sheet of all. Returns their names."""
    names = {seed: f"seed{seed:04d}.png" for seed in session.seeds}
    files = [*names.values(), *["grid.png"] * bool(columns)]
    session.output.claim(*files)
    pictures, batch = [], session.generator.batch
    parts = [session.seeds[start:start + batch] for start in range(0, len(session.seeds), batch)]
    for part in progress(parts, "generate", len(parts), unit="batch"):
        for seed, picture in zip(part, session.generator.draw(session.styles(part))):
            session.write(names[seed], picture)
            if columns:
                pictures.append(picture)
    if columns:
        session.write("grid.png", grid(pictures, columns))
    return files


def mix_styles(session: Session) -> None:
    """Writes the figure of style mixing: --style-layers come from the row's face, the rest from the
    column's.

    "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019.
    """
    settings, generator = session.settings, session.generator
    rows, columns = (parse_seeds(text, "--style-mix") for text in settings.style_mix)
    layers = parse_layers(settings.style_layers or "coarse", generator.layers, "--style-layers")
    session.output.claim("style_mix.png")
    row_styles, column_styles = session.styles(rows), session.styles(columns)
    pictures = [[None, *generator.draw(column_styles)]]
    captions = [["", *(f"seed {seed}" for seed in columns)]]
    row_pictures = generator.draw(row_styles)
    for seed, styles, picture in zip(rows, row_styles, row_pictures):
        mixed = column_styles.copy()
        mixed[:, layers] = styles[layers]
        pictures.append([picture, *generator.draw(mixed)])
        captions.append([f"seed {seed}", *[""] * len(columns)])
    session.write("style_mix.png", table(pictures, captions))


def show_noise(session: Session) -> NoiseEffect:
    """Writes the first seed's face with several draws of noise, and where it changes.

    Figure 4 of the paper of 2019.
    """
    session.output.claim("noise.png")
    styles = session.styles(session.seeds[:1])
    pictures = session.generator.draw_with_noise(np.repeat(styles, MEASURED_NOISES, 0))
    deviation = np.float32(pictures).std(0).mean(-1)
    row = [session.generator.draw(styles)[0], *pictures[:NOISES], heat_map(deviation)]
    captions = [f"seed {session.seeds[0]}", *(f"noise {number + 1}" for number in range(NOISES)),
                f"deviation, white {deviation.max():.1f}"]
    session.write("noise.png", table([row], [captions]))
    return NoiseEffect(float(deviation.mean()), float(deviation.max()))


def interpolate(session: Session) -> None:
    """Writes a video of a closed walk through W by all seeds. Raises UsageError for fewer than
    two."""
    if len(session.seeds) < 2:
        raise UsageError("--interpolate needs at least two seeds to walk between. Name them with "
                         "--seeds.")
    settings, generator = session.settings, session.generator
    rate = settings.rate or RATE
    path = session.output.path("walk.mp4")
    points = generator.of_seeds(session.seeds, settings.truncation)
    count = max(2, round(settings.interpolate * rate))
    walk = Walk(generator, generator.styles(loop(points, count)), rate)
    with WRITERS.create("video", rate=rate).open(path, walk) as sink:
        sink.mark = session.generated_mark
        for frame in progress(walk, "interpolate", walk.count):
            sink.write(frame, frame.image)
    session.output.note("walk.mp4")


def edit(session: Session, projected: np.ndarray | None) -> Edit:
    """Writes faces changed along a direction of W: the face of styles `projected` (L, latent), or
    those of the seeds where it is None. Raises UsageError for a direction that there is not."""
    settings, generator, number = session.settings, session.generator, session.settings.edit
    if number >= generator.latent:
        raise UsageError(f"--edit {number}: this model has directions 0 to {generator.latent - 1}.")
    layers = parse_layers(settings.edit_layers or "0-", generator.layers, "--edit-layers")
    if projected is None:
        labels = [f"seed{seed:04d}" for seed in session.seeds]
        styles = session.styles(session.seeds)
    else:
        labels, styles = ["projected"], projected[None]
    directions = principal_directions(generator.samples)

    def draw(strength: float) -> np.ndarray:
        return generator.draw(edit_styles(styles, directions, number, strength, layers))

    share = float(directions.shares[number])
    if settings.edit_strength is not None:
        names = [f"{label}_edit{number}.png" for label in labels]
        session.output.claim(*names)
        for name, picture in zip(names, draw(settings.edit_strength)):
            session.write(name, picture)
        return Edit(number, share, names)
    name = f"edit{number}.png"
    session.output.claim(name)
    columns = [draw(strength) for strength in STRENGTHS]
    captions = [[f"{label}  {strength:+d}" if strength else label for strength in STRENGTHS]
                for label in labels]
    session.write(name, table(list(zip(*columns)), captions))
    return Edit(number, share, [name])
