"""`faceswap.py swap`: extract both people, train, convert; resumed at the step that is not finished."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.errors import DONE, INTERRUPTED, SOME_FAILED, FaceswapError, UsageError
from lib.evaluation.quick_look import look_ahead
from lib.facesets.packed import read_faces
from lib.files.names import PICTURE_ENDINGS, VIDEO_FORMATS, same_path
from lib.files.reading import NotRegular, as_json, read_json
from lib.files.writing import disk_errors, write_json
from lib.jobs.convert.job import convert, marking_for, open_sink
from lib.jobs.convert.report import report
from lib.jobs.convert.settings import ConvertSettings
from lib.jobs.extract import ExtractSettings, extract
from lib.jobs.shared.compositing import compositor_of, maskers_of
from lib.jobs.train.checks import check_batch
from lib.jobs.train.settings import TrainSettings
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.options import option
from lib.provenance.run_record import identity
from lib.settings import Settings
from lib.swapping.composite import Compositor
from lib.swapping.label import Label
from lib.system import device
from lib.system.logs import counted
from scripts import train

logger = logging.getLogger(__name__)
DEFAULT_MINUTES = 10.0
FORMAT = 1
STEPS = ("extract A", "extract B", "train", "convert")


def run(options: Swap) -> int:
    check_batch(options.batch)
    if options.minutes is None and options.iterations is None and options.until is None:
        options.minutes = DEFAULT_MINUTES
    inputs = {"A": options.input_a, "B": options.input_b}
    for name, path in inputs.items():
        if same_path(path, options.output):
            raise UsageError(f"-{name} and -o are both {path}. Choose another output: the original is never overwritten.")
    if same_path(*inputs.values()):
        raise UsageError(f"-A and -B are both {options.input_a}. Name two people's footage.")
    sources = {name: open_source(path) for name, path in inputs.items()}

    work = options.work or _work_folder(options.output)
    faces_a, faces_b, alignments = work / "faces_a", work / "faces_b", work / "a.alignments.db"
    model_dir = options.model_dir or work / "model"

    finding = {"detector": options.detector, "aligner": options.aligner}
    converting = ConvertSettings(
        **finding, input=options.input_a, output=options.output, model_dir=model_dir, alignments=alignments, faces=options.faces,
        color=options.color, exemplars=options.exemplars, mask=options.mask, blender=options.blender, writer=options.writer, label=options.label,
        provenance=options.provenance, consent=options.consent, certificate=options.certificate, signing_key=options.signing_key,
        timestamp=options.timestamp,
        plugin_options=_chosen(options, *finding, "color", "blender", "writer"))
    maskers_of(options.mask, alignments)  # mistakes are told before the work begins
    marking_for(converting)
    if options.label is not None:
        Label(options.label)
    open_sink(converting, sources["A"])
    record = Record(work / "swap.json", {name: _identity(source.path) for name, source in sources.items()})
    logger.info("Swapping the face of %s onto the person in %s. Everything but the result is kept in %s.",
                options.input_b, options.input_a, work)

    codes = [
        record.step("extract A", _extract, ExtractSettings(
            **finding, people=False, input=options.input_a, output=faces_a, alignments=alignments, min_face=options.min_face,
            plugin_options=_chosen(options, *finding)), [faces_a, alignments]),
        record.step("extract B", _extract, ExtractSettings(
            **finding, people=False, input=options.input_b, output=faces_b, alignments=work / "b.alignments.db", min_face=options.min_face,
            plugin_options=_chosen(options, *finding)), [faces_b]),
    ]
    if options.quick_look is not None:
        return _quick_look(options.quick_look, faces_a, faces_b, compositor_of(converting, alignments))
    codes += [
        record.step("train", train.run, TrainSettings(
            input_a=[faces_a], input_b=[faces_b], model_dir=model_dir, model=options.model, batch=options.batch,
            iterations=options.iterations, minutes=options.minutes, until=options.until, precision=options.precision, seed=options.seed,
            preview=options.preview, exemplars=options.exemplars, plugin_options=_chosen(options, "model")), [model_dir]),
        record.step("convert", _convert, converting, [options.output]),
    ]

    if record.seconds:
        logger.info("Done in %s (%s).", _duration(sum(record.seconds.values())),
                    ", ".join(f"{name} {_duration(seconds)}" for name, seconds in record.seconds.items()))
    else:
        logger.info("All was done before.")
    logger.info("Result:  %s", options.output)
    logger.info("Preview: %s", model_dir / "preview.png")
    logger.info("Not sharp enough yet? Run it again with more --minutes or -i: it trains on from here.")
    return SOME_FAILED if SOME_FAILED in codes else DONE


def _extract(settings: ExtractSettings) -> int:
    summary = extract(settings).summary
    logger.info("Found %s in %d of %s of %s.", counted(summary.faces, "face"), summary.frames_with_face,
                counted(summary.frames, "frame"), settings.input.name)
    return SOME_FAILED if summary.losses else DONE


def _convert(settings: ConvertSettings) -> int:
    result = convert(settings)
    report(result, settings)
    return SOME_FAILED if result.failures else DONE


def _quick_look(path: Path, faces_a: Path, faces_b: Path, compositor: Compositor) -> int:
    """A sheet of what to expect, made of B's pictures alone, and what speaks against the footage."""
    sets = [read_faces(folder, device.cores()) for folder in (faces_a, faces_b)]
    for files, name in zip(sets, "AB"):
        if not files:
            raise FaceswapError(f"No faces of {name} were found. Look at the footage, or try another -D/--detector.")
    found = look_ahead(*sets, compositor)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    picture_file.write(path, found.sheet)
    logger.info("%s", found.verdict)
    for fault in found.faults:
        logger.info("  %s", fault)
    logger.info("Faces of A, and below each what B's pictures alone make of it, without any training: %s", path)
    logger.info("Training adds expressions and light that these pictures lack. Run the same command without --quick-look.")
    return DONE


class Record:
    """What was done in a work folder, with which options: `swap.json`.

    Raises FaceswapError if the folder was begun with other footage or cannot be written.
    """

    def __init__(self, path: Path, inputs: dict[str, Any]):
        self.path = path
        self.seconds: dict[str, float] = {}  # that each step of this run took
        self._inputs = inputs
        self._steps = self._read() if path.exists() else {}
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._save()

    def step(self, name: str, run: Callable[[Any], int], options: Any, results: list[Path]) -> int:
        """Runs a step, unless it was finished with the same options and its results are there. Returns its exit code."""
        wanted = as_json(asdict(options), self._place)
        before = self._steps.get(name)
        if before and before["options"] == wanted and all(path.exists() for path in results):
            logger.info("%s: was done before; it took %s.", name, _duration(before["seconds"]))
            return before["code"]
        if before:
            changes = [f"{key} was {before['options'].get(key)}, is {value}" for key, value in wanted.items()
                       if before["options"].get(key) != value]
            logger.info("%s: again, because %s.", name, "; ".join(changes) or "its results are gone")
        else:
            logger.info("%s ...", name)
        for stale in STEPS[STEPS.index(name):]:  # what was made of this step's results must be made again
            self._steps.pop(stale, None)
        self._save()
        began = time.monotonic()
        code = run(options)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        self.seconds[name] = time.monotonic() - began
        self._steps[name] = {"options": wanted, "code": code, "seconds": round(self.seconds[name], 1)}
        self._save()
        logger.info("%s: %s.", name, _duration(self.seconds[name]))
        return code

    def _place(self, path: Path) -> str:
        """A path as it is recorded: beside the work folder where it lies there, so that all may be moved together; else its name."""
        beside = self.path.parent.parent.resolve()
        return str(path.resolve().relative_to(beside)) if beside in path.resolve().parents else path.resolve().name

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            before = read_json(self.path, named=False)
            recorded, steps = dict(before["inputs"]), dict(before["steps"])
            for step in steps.values():
                if not isinstance(step["options"], dict) or type(step["code"]) is not int or type(step["seconds"]) not in (int, float):
                    raise ValueError("a step is not described")
        except (OSError, ValueError, KeyError, TypeError, NotRegular):
            logger.warning("%s cannot be read; every step is looked at again.", self.path)
            return {}
        for name, now in self._inputs.items():
            before = recorded.get(name)
            before = before if isinstance(before, dict) else {}
            if any(before.get(key) != value for key, value in now.items() if key in before or key != "content"):  # earlier ones had none
                raise FaceswapError(f"{self.path.parent} was begun with other footage for -{name}: {_words(before)}, now {_words(now)}"
                                    f"{' with other content' * (_words(before) == _words(now))}. Name another folder with --work, or "
                                    "delete that one to start anew.")
        return steps

    def _save(self) -> None:
        write_json(self.path, {"format": FORMAT, "inputs": self._inputs, "steps": self._steps})


def _work_folder(output: Path) -> Path:
    """Beside the output: out.mp4 -> out.faceswap."""
    name = output.stem if output.suffix.lower() in {*VIDEO_FORMATS, *PICTURE_ENDINGS} else output.name
    return output.with_name(f"{name}.faceswap")


def _identity(path: Path) -> dict[str, Any]:
    """What tells footage from other footage, wherever it is moved."""
    return {"name": path.resolve().name} | identity(path)


def _words(known: dict[str, Any]) -> str:
    if not known:
        return "nothing"
    return "{} ({} files, {} bytes)".format(*(known.get(key, "?") for key in ("name", "files", "bytes")))


def _chosen(options: Swap, *selectors: str) -> dict[str, dict[str, Any]]:
    """The settings of those plugins alone."""
    return {key: value for key, value in options.plugin_options.items() if key.partition(".")[0] in selectors}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s" if minutes else f"{rest} s"


@dataclass(kw_only=True)
class Swap(Settings):
    """Put the face of B on A: extract both, train, convert.

    Everything but the result is kept in a work folder beside it. Run the same command again after an interruption and
    it goes on at the step that is not finished; with more --minutes or -i it trains on.
    """

    input_a: Path = option(help="Video or pictures of the person whose face is replaced.", short="-A")
    input_b: Path = option(help="Video or pictures of the person whose face is put there.", short="-B")
    output: Path = option(help="The result: a video, or a folder of pictures.", short="-o")
    model_dir: Path | None = option(None, "The model's folder, if it is to be kept elsewhere than in the work folder.", short="-m")
    work: Path | None = option(None, "The work folder; out.faceswap beside out.mp4 if not given.")
    minutes: float | None = option(None, "Train this many minutes in all; 10 where neither this nor -i nor --until is given.", low=0.01)
    until: str | None = option(None, "plateau: train until the swap of a few held-out faces of A gets no better; "
                                     "--minutes and -i still end it sooner.", choices=("plateau",))
    iterations: int | None = option(None, "Train this many iterations in all.", short="-i", low=1)
    model: str = option("compact", "Kind of model.", short="-t", plugin="models")
    batch: str | None = option(None, "Faces of each person in a batch, or auto, the largest that fits; by default what suits the model.",
                               short="-b")
    precision: str = option("auto", "Arithmetic of the networks; auto is bfloat16 where the machine has it.",
                            choices=("auto", "float32", "bfloat16"))
    seed: int | None = option(None, "Makes training on a CPU repeatable.", low=0, high=4294967295)
    preview: bool = option(False, "Make the training preview every 20 seconds, not only at each save.", short="-p")
    quick_look: Path | None = option(None, "Train and convert nothing: write a picture there that shows what to expect, made of B's "
                                           "pictures alone, and tell what speaks against the footage (light, poses, hair).")
    detector: str = option("auto", "Finds the faces.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "Fits the landmarks.", plugin="aligners")
    min_face: int | None = option(None, "The smallest face looked for, brows to chin, in pixels of the frame; see extract --help.", low=0)
    faces: str = option("all", "Which faces of a frame to swap; nearest-a is the one that looks like A.",
                        choices=("all", "largest", "nearest-a"))
    color: str = option("reinhard", "How the colours of the new face are fitted to the old one.", short="-c", plugin="colors")
    exemplars: bool = option(True, "Keep real pictures of both people in the model, and give the new face their fine detail.")
    mask: str = option("predicted*hull", "Which part of the face is replaced: predicted, or the name of a masker; joined by * where "
                                         "all must agree.", short="-M")
    blender: str = option("alpha", "How the face is joined to the frame.", plugin="blenders")
    writer: str | None = option(None, "What is written; by default the output's name decides, or an option that one of them alone has.",
                                short="-w", plugin="writers")
    label: str | None = option(None, "Write these words into each frame, where they hide no face: AI-generated, for instance.")
    provenance: bool = option(True, "Mark the result as synthetic: signed Content Credentials (C2PA), and a plain statement that any "
                                    "reader shows. See faceswap.py provenance.")
    consent: list[Path] = option([], "Records of consent, text or PDF: the result names them by their hash.")
    certificate: Path | None = option(None, "Sign with your own certificates instead of those made on first use: a PEM file.")
    signing_key: Path | None = option(None, "The private key of the first of them, PEM.")
    timestamp: str | None = option(None, "The address of a time stamping authority (RFC 3161) that confirms when it was signed.")
