"""The options of generate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lib.errors import FaceswapError, UsageError
from lib.jobs.shared.options import CheckpointOptions, FindingOptions, ProvenanceOptions
from lib.options import option
from lib.system.logs import counted

SEEDS = "0-15"
LARGEST_SEED, LONGEST_RANGE = (1 << 32) - 1, 1_000_000
# Layers, as the paper names them: 4 and 8 pixels, 16 and 32, 64 and more
LAYER_GROUPS = {"coarse": "0-3", "middle": "4-7", "fine": "8-"}


@dataclass(kw_only=True)
class GenerateSettings(CheckpointOptions, FindingOptions, ProvenanceOptions):
    """Generate new faces with a trained StyleGAN.

    generate -m MODEL -o OUT --seeds 0-63 --grid 8x8        a picture of each seed, and a sheet
    generate -m MODEL -o OUT --style-mix 0-3 10-14          coarse styles of some, rest of others
    generate -m MODEL -o OUT --interpolate 10 --seeds 0-7   a video from face to face and back
    generate -m MODEL -o OUT --project photo.jpg --edit 0   find a photo's face, and change it
    generate -m MODEL -o OUT --identities 5                 five new people: train -B OUT/person0

    A seed always gives the same face. In OUT, only files of earlier runs of generate are replaced.
    """

    model_dir: Path | None = option(None, "Folder of a model that train -t stylegan wrote.",
                                    short="-m", group="Model")
    weights: Path | None = option(
        None, "Use published StyleGAN weights (a .pkl file by NVIDIA) instead of -m; no code in "
              "the file is run.", group="Model")
    output: Path = option(help="Folder for the results.", short="-o", group="Faces")
    seeds: str | None = option(
        None, "Numbers of the faces: 0-63, or 3,7,12-20. Default: 0-15.", group="Faces")
    truncation: float = option(
        0.7, "Distance from the mean face: 1 is all that the model knows, 0 the mean face; lower "
             "values look better and more alike.", low=-2.0, high=2.0, group="Faces")
    grid: str | None = option(
        None, "Also write one sheet of all, with columns and rows: 8x8.", group="Faces")
    style_mix: list[str] = option(
        [], "A sheet of mixed styles: seeds of its rows, and seeds of its columns.",
        group="Figures")
    style_layers: str | None = option(
        None, "Layers whose styles come from the rows: coarse (4 and 8 pixels), middle (16 and "
              "32), fine (64 and more) or numbers such as 0-3. Default: coarse.",
        group="Figures", rare=True)
    noise: bool = option(False, "A sheet of the first seed's face with different noise, and where "
                                "it changes.", group="Figures")
    interpolate: float | None = option(
        None, "A video of this many seconds from face to face and back to the first.", low=0.1,
        high=3600.0, group="Figures")
    rate: float | None = option(None, "Frames a second of that video. Default: 25.", low=1.0,
                                high=120.0, group="Figures", rare=True)
    edit: int | None = option(
        None, "A sheet of the faces changed along this direction, from -3 to 3 deviations: "
              "principal components of W, 0 is the strongest.", low=0, group="Figures")
    edit_strength: float | None = option(
        None, "Instead of that sheet, a picture of each face, changed by this many deviations.",
        low=-20.0, high=20.0, group="Figures", rare=True)
    edit_layers: str | None = option(
        None, "Layers to change, as in --style-layers. Default: all.", group="Figures", rare=True)
    project: Path | None = option(
        None, "A photo: find the generated face that is most like the one in it. A face from "
              "extract, or a picture of the model's size, is used as it is.", group="Photo")
    steps: int | None = option(None, "Steps of that search. Default: 500.", low=1, high=100_000,
                               group="Photo", rare=True)
    identities: int | None = option(
        None, "Make this many new people, as face sets OUT/person0, ... for train -B.", low=1,
        high=1000, group="New people")
    faces: int | None = option(None, "Pictures of each of them. Default: 100.", low=1,
                               high=100_000, group="New people")
    nearest: bool = option(
        False, "A sheet of the faces beside the most similar ones of the training set, and "
               "measures.", group="Compared with the training set")
    against: list[Path] = option(
        [], "Face sets to compare with. Default: those that the model was trained on.",
        group="Compared with the training set")
    recognizer: str = option("dlib_resnet", "Face recognizer that tells people apart.",
                             plugin="recognizers", group="Finding faces")

    @property
    def figures(self) -> list[str]:
        """Flags of the results that are asked for besides, or instead of, a picture of each
        seed.
        """
        chosen = {"style-mix": bool(self.style_mix), "noise": self.noise,
                  "interpolate": self.interpolate is not None, "project": bool(self.project),
                  "edit": self.edit is not None, "identities": self.identities is not None,
                  "nearest": self.nearest}
        return [flag for flag, is_chosen in chosen.items() if is_chosen]


def check(settings: GenerateSettings) -> None:
    """Raises UsageError for options that do not fit together, FaceswapError for a missing photo."""
    figures = settings.figures
    if (settings.model_dir is None) == (settings.weights is None):
        raise UsageError("generate needs one of -m/--model-dir, a folder that train -t stylegan "
                         "wrote, and --weights, a published file.")
    if settings.checkpoint is not None and settings.weights:
        raise UsageError("--checkpoint belongs to -m/--model-dir: a published file holds only one.")
    for flag, value, figure in (
            ("style-layers", settings.style_layers, "style-mix"),
            ("rate", settings.rate, "interpolate"), ("steps", settings.steps, "project"),
            ("edit-strength", settings.edit_strength, "edit"),
            ("edit-layers", settings.edit_layers, "edit"),
            ("faces", settings.faces, "identities")):
        if value is not None and figure not in figures:
            raise UsageError(f"--{flag} belongs to --{figure}. Add that, or leave it out.")
    if settings.against and not {"identities", "nearest"} & set(figures):
        raise UsageError("--against belongs to --identities and --nearest. Add one of them, or "
                         "leave it out.")
    if settings.grid and figures:
        raise UsageError(f"--grid shows the pictures of the seeds, and --{figures[0]} makes a "
                         "result of its own. Leave one out.")
    if settings.style_mix and len(settings.style_mix) != 2:
        raise UsageError("--style-mix needs two lists of seeds, for the rows and for the columns: "
                         "--style-mix 0-3 10,12,17.")
    if settings.project and not settings.project.is_file():
        raise FaceswapError(f"--project {settings.project}: there is no such file. Name a photo.")


def parse_seeds(text: str, flag: str) -> list[int]:
    """The numbers that "3,7,12-20" means, each once. Raises UsageError."""
    seeds: dict[int, None] = {}
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= LARGEST_SEED or last - first >= LONGEST_RANGE:
            raise UsageError(f"{flag} needs numbers from 0 to {LARGEST_SEED} and ranges of them, "
                             f"such as 3,7,12-20, not {part or text!r}.")
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def parse_layers(text: str, count: int, flag: str) -> slice:
    """The layers that "coarse" or "0-3" means, of `count`. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,3})(-(\d{0,3}))?", LAYER_GROUPS.get(text, text))
    if not match:
        raise UsageError(f"{flag} needs {', '.join(LAYER_GROUPS)} or numbers of layers such as "
                         f"0-3, not {text!r}.")
    first = int(match[1])
    last = first if not match[2] else int(match[3]) if match[3] else count - 1
    if not first <= min(last, count - 1):
        reason = ", and none as fine: its pictures are too small" if text in LAYER_GROUPS else ""
        raise UsageError(f"{flag} {text}: this model has {count} layers, 0 to {count - 1}{reason}.")
    return slice(first, min(last, count - 1) + 1)


def parse_grid(text: str, count: int) -> int:
    """The columns of --grid, which must have room for `count` pictures. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", text.lower())
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if not columns * rows:
        raise UsageError(f"--grid needs columns and rows such as 8x8, not {text!r}.")
    if columns * rows < count:
        raise UsageError(f"--grid {text} has room for {counted(columns * rows, 'face')}, and there "
                         f"are {counted(count, 'seed')}. Name fewer with --seeds, or enlarge it.")
    return columns
