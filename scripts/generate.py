"""`faceswap.py generate`: faces of nobody, drawn by a StyleGAN, and what can be done with them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.evaluation.distance import FEWEST, distribution, diversity
from lib.evaluation.generator_progress import as_drawn, standing
from lib.faces.geometry import crop
from lib.faces.likeness import likeness
from lib.facesets.folder import Origin, is_face_folder, list_faces, read_face, write_face
from lib.facesets.references import reference_faces
from lib.generating import directions, faces, identities, sheets
from lib.generating.generator import Generator, load_generator
from lib.generating.interpolation import Walk, loop
from lib.generating.output import Output
from lib.jobs.shared.marking import signature_of
from lib.jobs.shared.options import FindingOptions, ProvenanceOptions
from lib.media.pictures import picture_file
from lib.options import option
from lib.plugin import WRITERS
from lib.provenance.run_record import Record
from lib.system.logs import counted
from lib.system.progress import progress
from lib.types import AlignedFace, Face

if TYPE_CHECKING:
    from lib.provenance.marking import Mark

logger = logging.getLogger(__name__)
SEEDS = "0-15"
LARGEST = 1 << 32  # a seed is smaller
GROUPS = {"coarse": "0-3", "middle": "4-7", "fine": "8-"}  # layers, as the paper names them: 4 and 8, 16 and 32, 64 pixels and more
DRAWS, DEVIATION_OF = 6, 64  # of noise: shown; of which the deviation is calculated
REACH = (-3, -2, -1, 0, 1, 2, 3)  # deviations in a sheet of --edit
NEIGHBOURS = 4  # training faces beside each generated one
COMPARED = 1000  # training faces between which the mean distance is calculated
CANDIDATES, LEAST = 40, 200  # faces for each new person to choose among, and in all
STEPS, RATE, FACES = 500, 25.0, 100
BELONGS = {"style_layers": "style_mix", "rate": "interpolate", "steps": "project", "edit_strength": "edit", "edit_layers": "edit",
           "faces": "identities"}
FIGURES = ("style_mix", "noise", "interpolate", "project", "edit", "identities", "nearest")


def run(options: Generate) -> int:
    asked = [name for name in FIGURES if (value := getattr(options, name)) == 0 and value is not False or value]  # --edit 0 is the first
    seeds = seeds_of(options.seeds or SEEDS, "--seeds")
    _check(options, asked)
    signing = signature_of(options)
    across = _grid(options.grid, len(seeds)) if options.grid else 0
    mixed = [seeds_of(text, "--style-mix") for text in options.style_mix]
    generator = _generator(options)
    job = _Job(options, generator, seeds, _marks(options, generator, signing))
    inputs = {"photo": options.project} if options.project else {}
    with Record(options.output, "generate", {item.name: str(getattr(options, item.name)) for item in fields(options)}, inputs) as record:
        job.output = Output(options.output, record)
        record.note(model={"name": generator.name, "digest": generator.digest}, provenance={"marked": signing is not None})
        if "project" in asked:
            job.project()
        if "style_mix" in asked:
            job.style_mix(*mixed)
        if "noise" in asked:
            job.noise()
        if "interpolate" in asked:
            job.interpolate()
        if "edit" in asked:
            job.edit()
        if "nearest" in asked:
            job.nearest()
        if "identities" in asked:
            job.identities()
        if not asked:
            job.pictures(across)
    for trouble in job.troubles():
        logger.warning("%s", trouble)
    return SOME_FAILED if job.troubles() else DONE


def seeds_of(text: str, flag: str) -> list[int]:
    """The numbers that "3,7,12-20" means, each once. Raises UsageError."""
    seeds: dict[int, None] = {}
    for part in text.replace(" ", "").split(","):
        found = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < LARGEST or last - first >= 1_000_000:
            raise UsageError(f"{flag} needs numbers from 0 to {LARGEST - 1} and ranges of them, such as 3,7,12-20, not {part or text!r}.")
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def layers_of(text: str, count: int, flag: str) -> slice:
    """The layers that "coarse" or "0-3" means, of `count`. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,3})(-(\d{0,3}))?", GROUPS.get(text, text))
    if not found:
        raise UsageError(f"{flag} needs {', '.join(GROUPS)} or numbers of layers such as 0-3, not {text!r}.")
    first = int(found[1])
    last = first if not found[2] else int(found[3]) if found[3] else count - 1
    if not first <= min(last, count - 1):
        raise UsageError(f"{flag} {text}: this model has {count} layers, 0 to {count - 1}"
                         f"{', and none as fine: it draws too small pictures' if text in GROUPS else ''}.")
    return slice(first, min(last, count - 1) + 1)


def _grid(text: str, count: int) -> int:
    """The pictures across of --grid. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,3})x(\d{1,3})", text.lower())
    if not found or not int(found[1]) * int(found[2]):
        raise UsageError(f"--grid needs columns and rows such as 8x8, not {text!r}.")
    columns, rows = int(found[1]), int(found[2])
    if columns * rows < count:
        raise UsageError(f"--grid {text} has room for {counted(columns * rows, 'face')}, and there are {counted(count, 'seed')}. "
                         "Name fewer with --seeds, or make it larger.")
    return columns


def _check(options: Generate, asked: Sequence[str]) -> None:
    """Raises UsageError for what makes no sense together."""
    if (options.model_dir is None) == (options.weights is None):
        raise UsageError("generate needs one of -m/--model-dir, a folder that train -t stylegan wrote, and --weights, a published file.")
    if options.save is not None and options.weights:
        raise UsageError("--save belongs to -m/--model-dir: a published file holds one save.")
    for name, figure in BELONGS.items():
        if getattr(options, name) is not None and figure not in asked:
            raise UsageError(f"--{name.replace('_', '-')} belongs to --{figure.replace('_', '-')}. Add that, or leave it out.")
    if options.against and not {"identities", "nearest"} & set(asked):
        raise UsageError("--against belongs to --identities and --nearest. Add one of them, or leave it out.")
    if options.grid and asked:
        raise UsageError(f"--grid is of the pictures of the seeds, and --{asked[0].replace('_', '-')} makes a result of its own. Leave one "
                         "out.")
    if "style_mix" in asked and len(options.style_mix) != 2:
        raise UsageError("--style-mix needs two lists of seeds, for the rows and for the columns: --style-mix 0-3 10,12,17.")
    if options.project and not options.project.is_file():
        raise FaceswapError(f"--project {options.project}: there is no such file. Name a photo.")


def _generator(options: Generate) -> Generator:
    if options.weights:
        from lib.generating.published import load_published

        return load_published(options.weights)
    return load_generator(options.model_dir, options.save)


def _marks(options: Generate, generator: Generator, signing: Any) -> dict[str, Mark]:
    """How what is made is marked: "drawn", and "beside" where it shows real faces too. Nothing with --no-provenance."""
    if signing is None:
        return {}
    from lib.provenance.marking import Mark
    from lib.provenance.xmp import BESIDE, DRAWN

    said = {"settings": {name: getattr(options, name) for name in ("seeds", "truncation", "edit", "identities")}}
    models = {generator.digest: generator.name}
    marks = {name: Mark(signing.identity, models, None, lambda: None, signing.consent, said, options.timestamp, done)
             for name, done in (("drawn", DRAWN), ("beside", BESIDE))}
    marks["drawn"].check()
    return marks


class _Job:
    """What was asked for, done one by one."""

    output: Output

    def __init__(self, options: Generate, generator: Generator, seeds: Sequence[int], marks: dict[str, Mark]):
        self._options, self._generator, self._seeds = options, generator, seeds
        self._marks = marks
        self._troubles: list[str] = []
        self._projected: np.ndarray | None = None  # (L, latent)
        self._known: tuple[list[AlignedFace], np.ndarray] | None = None

    def troubles(self) -> list[str]:
        """What went wrong, a sentence each."""
        return self._troubles + [trouble for mark in self._marks.values() for trouble in mark.troubles]

    def pictures(self, across: int) -> None:
        """A picture of each seed; with `across`, one sheet of all besides."""
        names = {seed: f"seed{seed:04d}.png" for seed in self._seeds}
        self.output.claim(*names.values(), *["grid.png"] * bool(across))
        drawn, batch = [], self._generator.batch
        parts = [self._seeds[start:start + batch] for start in range(0, len(self._seeds), batch)]
        for part in progress(parts, "generate", len(parts), unit="batch"):
            for seed, picture in zip(part, self._generator.draw(self._of(part))):
                self._write(names[seed], picture)
                if across:
                    drawn.append(picture)
        if across:
            self._write("grid.png", sheets.grid(np.stack(drawn), across))
        logger.info("Drew %s of %d pixels: %s", counted(len(self._seeds), "face"), self._generator.size, self._options.output)

    def style_mix(self, rows: Sequence[int], columns: Sequence[int]) -> None:
        """The figure of style mixing: the layers of --style-layers are those of the row's face, all others those of the column's.

        "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019.
        """
        layers = layers_of(self._options.style_layers or "coarse", self._generator.layers, "--style-layers")
        self.output.claim("style_mix.png")
        left, top = self._of(rows), self._of(columns)
        mixed = np.repeat(top[None], len(rows), 0)
        mixed[:, :, layers] = left[:, None, layers]
        drawn = self._generator.draw(mixed.reshape(-1, *mixed.shape[2:])).reshape(len(rows), len(columns), *[self._generator.size] * 2, 3)
        table = [[None, *self._generator.draw(top)], *([own, *row] for own, row in zip(self._generator.draw(left), drawn))]
        words = [["", *(f"seed {seed}" for seed in columns)], *([f"seed {seed}", *[""] * len(columns)] for seed in rows)]
        self._write("style_mix.png", sheets.table(table, words))
        self._told("style_mix.png")

    def noise(self) -> None:
        """One face with several draws of noise, and where it changes. Figure 4 of the paper of 2019."""
        self.output.claim("noise.png")
        styles = self._of(self._seeds[:1])
        draws = self._generator.draw_with_noise(np.repeat(styles, DEVIATION_OF, 0))
        deviation = np.float32(draws).std(0).mean(-1)
        row = [self._generator.draw(styles)[0], *draws[:DRAWS], sheets.heat(deviation)]
        words = [f"seed {self._seeds[0]}", *(f"noise {number + 1}" for number in range(DRAWS)), f"deviation, white {deviation.max():.1f}"]
        self._write("noise.png", sheets.table([row], [words]))
        logger.info("Noise changes pixels by a standard deviation of %.2f of 255 on average, %.1f at most.", deviation.mean(),
                    deviation.max())
        self._told("noise.png")

    def interpolate(self) -> None:
        """A video of a closed walk through W by all seeds."""
        rate = self._options.rate or RATE
        if len(self._seeds) < 2:
            raise UsageError("--interpolate needs at least two seeds to walk between. Name them with --seeds.")
        path = self.output.path("walk.mp4")
        truncated = self._generator.of_seeds(self._seeds, self._options.truncation)
        walk = Walk(self._generator, self._generator.styles(loop(truncated, max(2, round(self._options.interpolate * rate)))), rate)
        with WRITERS.create("video", rate=rate).open(path, walk) as sink:
            sink.mark = self._marks.get("drawn")
            for frame in progress(walk, "interpolate", walk.count):
                sink.write(frame, frame.image)
        self.output.wrote("walk.mp4")
        self._told("walk.mp4")

    def project(self) -> None:
        """The face in a photo, as near as the generator comes to it."""
        from lib.generating.projection import project

        self.output.claim("projected.png", "projection.png", "projection.npz")
        photo, aligned = self._photo(self._options.project)
        found = project(self._generator, photo, self._options.steps or STEPS)
        self._projected = found.styles
        likeness_told = self._likeness(aligned, found.picture)
        self._write("projected.png", found.picture)
        words = [self._options.project.name, f"error {found.error:.1f} of 255"]
        self._write("projection.png", sheets.table([[photo, found.picture]], [words]), "beside")
        path = self.output.path("projection.npz")
        np.savez(path, styles=found.styles)
        self.output.wrote("projection.npz")
        logger.info("Projected: pixels are off by %.1f of 255 on average, features by %.3f (0 the same, 2 opposite); %s.", found.error,
                    found.perceptual, likeness_told)
        self._told("projection.png, projected.png and projection.npz")

    def _photo(self, path: Path) -> tuple[np.ndarray, AlignedFace | None]:
        """The crop of a photo's largest face that the generator would draw, (S, S, 3) uint8 RGB, and the face; a picture of just that size
        is taken as it is, and its face is looked for."""
        generator = self._generator
        if is_face_folder(path.parent) and path in list_faces(path.parent):
            file = read_face(path)
            face = Face(file.aligned.face.detection, file.landmarks.astype(np.float32))
            aligned = crop(file.image, face, generator.size, generator.coverage)
            return aligned.image, aligned
        image = picture_file.read(path)
        if image.shape[:2] == (generator.size, generator.size):
            logger.info("%s is %d pixels large, as what the model draws: taken as it is.", path, generator.size)
            face = faces.face_in(image, self._tools.detector, self._tools.aligner)
            return image, face and crop(image, face, generator.size, generator.coverage)
        found = next(reference_faces(path, self._tools.detector, self._tools.aligner), None)
        if found is None:
            raise FaceswapError(f"No face found in {path}. Choose another photo, or another -D/--detector.")
        aligned = crop(image, found.aligned.face, generator.size, generator.coverage)
        return aligned.image, aligned

    def _likeness(self, aligned: AlignedFace | None, picture: np.ndarray) -> str:
        """Whether the recognizer takes `picture` for the same person, in words."""
        recognizer = self._tools.recognizer
        face = faces.face_in(picture, self._tools.detector, self._tools.aligner)
        if aligned is None or face is None:
            return f"no face is found in {'the photo' if aligned is None else 'the result'}, so that whose it is cannot be said"
        both = recognizer.embed([aligned, crop(picture, face, self._generator.size, self._generator.coverage)])
        alike = float(likeness(both[:1], both[1:], recognizer)[0, 0])
        return (f"the recognizer takes it for {'the same person' if alike >= recognizer.same else 'another person'} (likeness {alike:.2f}, "
                f"the same from {recognizer.same:.2f} on)")

    def edit(self) -> None:
        """Faces along a principal direction of W; the projected face, if there is one, instead of those of the seeds."""
        options, generator = self._options, self._generator
        number = options.edit
        if number >= generator.latent:
            raise UsageError(f"--edit {number}: this model has directions 0 to {generator.latent - 1}.")
        layers = layers_of(options.edit_layers or "0-", generator.layers, "--edit-layers")
        whose = ["projected"] if self._projected is not None else [f"seed{seed:04d}" for seed in self._seeds]
        styles = self._of(self._seeds) if self._projected is None else self._projected[None]
        found = directions.principal(generator.sampled)
        spread = found.deviations ** 2
        logger.info("Direction %d holds %.1f %% of the spread of W.", number, 100 * spread[number] / spread.sum())
        if options.edit_strength is not None:
            names = [f"{name}_edit{number}.png" for name in whose]
            self.output.claim(*names)
            for name, picture in zip(names, generator.draw(directions.moved(styles, found, number, options.edit_strength, layers))):
                self._write(name, picture)
            self._told(counted(len(names), "edited face"))
            return
        self.output.claim(f"edit{number}.png")
        columns = [generator.draw(directions.moved(styles, found, number, deviations, layers)) for deviations in REACH]
        words = [[f"{name}  {deviations:+d}" if deviations else name for deviations in REACH] for name in whose]
        self._write(f"edit{number}.png", sheets.table(list(zip(*columns)), words))
        self._told(f"edit{number}.png")

    def nearest(self) -> None:
        """Each generated face beside the faces of the training set that are most like it, and how different all are from each other."""
        from lib.generating import measures

        self.output.claim("nearest.png")
        known, embeddings = self._taught()
        tools = self._tools
        styles = self._of(self._seeds)
        some = embeddings[np.linspace(0, len(embeddings) - 1, min(COMPARED, len(embeddings))).astype(int)]
        if len(styles) >= FEWEST <= len(some):
            shown = [known[place] for place in np.linspace(0, len(known) - 1, len(some)).astype(int)]
            small = [as_drawn(face, self._generator.size, self._generator.coverage) for face in shown]
            crops = [standing(picture, self._generator.coverage) for part in self._generator.batches(styles) for picture in part]
            apart = distribution(*(faces.embedded(these, tools.recognizer, "embed") for these in (crops, small)))
            print(f"Frechet distance      {apart.frechet:.3f} of {apart.count} pictures from as many training faces of that size, "
                  f"{apart.frechet_floor:.3f} of one half of these from the other; KID {apart.kid:.3f} (embeddings; lower is better)")
        found = list(zip(self._seeds, faces.aligned_faces(self._generator, styles, tools.detector, tools.aligner)))
        drawn = [(seed, face) for seed, face in progress(found, "generate", len(found), unit="face") if face]
        if not drawn:
            raise FaceswapError(f"In none of {counted(len(found), 'picture')} is a face found. Train the model longer, or try another "
                                "-D/--detector.")
        own = faces.embedded([face for _, face in drawn], tools.recognizer, "embed")
        alike = likeness(own, embeddings, tools.recognizer)
        rows, words = [], []
        for (seed, face), row in zip(drawn, alike):
            order = np.argsort(-row)[:NEIGHBOURS]
            shown = [known[place].image for place in order]
            rows.append([face.image, *shown])
            words.append([f"seed {seed}", *(f"{row[place]:.2f}" for place in order)])
        self._write("nearest.png", sheets.table(rows, words), "beside")
        best, same = alike.max(1), tools.recognizer.same
        print(f"faces found           {len(drawn)} of {len(found)}")
        print(f"nearest in training   likeness {best.mean():.2f} on average, {best.max():.2f} at most; {(best >= same).sum()} of "
              f"{len(best)} are taken for somebody in the training set ({same:.2f} and more)")
        between = f"{diversity(own):.3f}" if len(own) > 1 else "not known of one face"
        taught = f"{diversity(some):.3f}" if len(some) > 1 else "not known of one face"
        print(f"diversity             {between} between generated faces, {taught} between training faces (mean distance of embeddings)")
        print(f"path length           {measures.path_length(self._generator):.1f} (perceptual, in W, dlib's features: a scale of its own)")
        self._told("nearest.png")

    def identities(self) -> None:
        """New people as face sets."""
        options, generator, tools = self._options, self._generator, self._tools
        count, wanted = options.identities, options.faces or FACES
        self.output.check_empty(*(f"person{number}" for number in range(count)))
        _, known = self._taught()
        seeds = self._seeds if options.seeds else list(range(max(LEAST, CANDIDATES * count)))
        w = generator.of_seeds(seeds, options.truncation)
        aligned = faces.aligned_faces(generator, generator.styles(w), tools.detector, tools.aligner)
        found = [(place, face) for place, face in enumerate(progress(aligned, "candidates", len(seeds), unit="face")) if face]
        embeddings = faces.embedded([face for _, face in found], tools.recognizer, "embed")
        chosen = identities.choose(embeddings, known, count, tools.recognizer)
        if not chosen:
            raise FaceswapError(
                f"There is nobody new: of {counted(len(seeds), 'candidate')} {len(found)} show a face, and none is clear enough to tell "
                f"and unlike everybody in the training set (likeness below {tools.recognizer.same:.2f}). Try more --seeds, a "
                "larger --truncation, or train longer on more people.")
        if len(chosen) < count:
            self._troubles.append(f"Only {len(chosen)} of {counted(count, 'new person')} are unlike everybody in the training set and each "
                                  f"other, of {counted(len(seeds), 'candidate')}. Try more --seeds, or a larger --truncation.")
        others = embeddings[chosen]
        for number, place in enumerate(chosen):
            seed_place = found[place][0]
            strangers = np.concatenate([known, np.delete(others, number, 0)])
            drawn = identities.pictures_of(generator, w[seed_place], number, embeddings[place], strangers, wanted, tools)
            self._write_person(number, seeds[seed_place], drawn, wanted)

    def _write_person(self, number: int, seed: int, drawn: Sequence[identities.Drawn], wanted: int) -> None:
        if not drawn:
            self._troubles.append(f"Person {number} (seed {seed}): no picture passes. Nothing is written of it.")
            return
        folder = self.output.folder(f"person{number}")
        source = os.path.abspath(self._options.model_dir or self._options.weights)
        for index, one in enumerate(drawn):
            path = write_face(folder, one.aligned, Origin(source, index, 0, f"seed{seed:04d}.png"), self._generator.coverage,
                              self._marks.get("drawn"))
            self.output.wrote(f"{folder.name}/{path.name}")
        recognizer = self._tools.recognizer
        mean, least = identities.spread(recognizer.embed([one.aligned for one in drawn]), recognizer) if len(drawn) > 1 else (1.0, 1.0)
        logger.info("%s, person %d (seed %d): %s; likeness within the set %.2f on average, %.2f at least; to anybody else %.2f at most.",
                    folder, number, seed, counted(len(drawn), "face"), mean, least, max(one.strangers for one in drawn))
        if len(drawn) < wanted:
            self._troubles.append(f"Person {number} (seed {seed}): only {len(drawn)} of {counted(wanted, 'face')} are sure to show the "
                                  "same person, and nobody else.")

    @cached_property
    def _tools(self) -> identities.Tools:
        detector, aligner = self._options.create("detector").resolve(None), self._options.create("aligner")
        return identities.Tools(detector, aligner, self._options.create("recognizer"))

    def _taught(self) -> tuple[list[AlignedFace], np.ndarray]:
        """The faces that generated ones are compared with, and their embeddings."""
        if self._known is None:
            folders = self._options.against or self._generator.faces
            if not folders:
                raise FaceswapError(f"{self._generator.name} does not tell what it was taught with. Name those faces with "
                                    "--against FOLDER.")
            aligned = faces.taught(folders)
            self._known = aligned, faces.embedded(aligned, self._tools.recognizer, "embed training faces")
        return self._known

    def _of(self, seeds: Sequence[int]) -> np.ndarray:
        """(N, L, latent): the styles of the faces of these seeds."""
        return self._generator.styles(self._generator.of_seeds(seeds, self._options.truncation))

    def _write(self, name: str, image: np.ndarray, kind: str = "drawn") -> None:
        self.output.picture(name, image, self._marks.get(kind))

    def _told(self, what: str) -> None:
        logger.info("Wrote %s: %s", what, self._options.output)


@dataclass(kw_only=True)
class Generate(FindingOptions, ProvenanceOptions):
    """Draw faces of nobody with a trained StyleGAN, and what can be done with them.

    generate -m MODEL -o OUT --seeds 0-63 --grid 8x8          a picture of each seed, and a sheet of all
    generate -m MODEL -o OUT --style-mix 0-3 10-14            the coarse styles of some with the others of others
    generate -m MODEL -o OUT --interpolate 10 --seeds 0-7     a video of a walk from face to face, and back to the first
    generate -m MODEL -o OUT --project photo.jpg --edit 0     the face of a photo as the model draws it, and changed along a direction
    generate -m MODEL -o OUT --identities 5                   five new people, unlike everybody in the training set: train -B OUT/person0

    A seed makes the same face whatever else is asked for. In OUT, files of earlier runs of generate are replaced, and no others.
    """

    model_dir: Path | None = option(None, "The folder of a model that train -t stylegan wrote. Needed, unless --weights names a file.",
                                    short="-m")
    weights: Path | None = option(None, "Instead of -m: a .pkl file of StyleGAN weights as NVIDIA publishes them; no code in it is run.")
    save: str | None = option(None, "Not the newest save of the model but this one: the iteration of a save or a snapshot, "
                                    "previous or best.")
    output: Path = option(help="A folder for what is made.", short="-o")
    seeds: str | None = option(None, "Numbers of the faces: 0-63, or 3,7,12-20; by default 0-15.")
    truncation: float = option(0.7, "How far from the mean face: 1 is all that the model knows, 0 the mean face; less is better and more "
                                    "alike.", low=-2.0, high=2.0)
    grid: str | None = option(None, "Also one sheet of all, of so many columns and rows: 8x8.")
    style_mix: list[str] = option([], "A sheet of mixed styles: the seeds of its rows, and those of its columns.")
    style_layers: str | None = option(None, "Which layers' styles come from the rows: coarse (4 and 8 pixels), middle (16 and 32), fine "
                                            "(64 and more) or numbers such as 0-3; by default coarse.")
    noise: bool = option(False, "A sheet of the first seed's face with other noise, and where it changes.")
    interpolate: float | None = option(None, "A video of so many seconds that walks by the faces of all seeds, in a circle.", low=0.1,
                                      high=3600.0)
    rate: float | None = option(None, "Its frames a second; by default 25.", low=1.0, high=120.0)
    project: Path | None = option(None, "A photo: the face that the model draws which is most like the one in it, and how near it comes. A "
                                        "face from extract, or a picture as large as the model's, is taken as it is.")
    steps: int | None = option(None, "Steps of that search; by default 500.", low=1, high=100_000)
    edit: int | None = option(None, "A sheet of the faces changed along the direction of this number, from -3 to 3 deviations: principal "
                                    "components of W, 0 the strongest.", low=0)
    edit_strength: float | None = option(None, "Instead of the sheet, a picture of each, changed by so many deviations.", low=-20.0,
                                        high=20.0)
    edit_layers: str | None = option(None, "The layers that it changes, as --style-layers; by default all.")
    identities: int | None = option(None, "So many new people, as face sets OUT/person0, ... that train -B takes.", low=1, high=1000)
    faces: int | None = option(None, "Pictures of each of them; by default 100.", low=1, high=100_000)
    nearest: bool = option(False, "A sheet of the faces, each beside those of the training set that are most like it, and measures.")
    against: list[Path] = option([], "Face sets to compare with instead of those that the model was trained on.")
    recognizer: str = option("dlib_resnet", "What tells people apart.", plugin="recognizers")
