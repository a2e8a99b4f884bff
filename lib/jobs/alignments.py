"""What `alignments` does with the alignments file of a source: look, correct, join, exchange. An
action is one function.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lib.alignments import inventory, tracking
from lib.alignments.database.state import PluginRecord
from lib.alignments.drawing import draw as draw_faces
from lib.alignments.exchange import export_faces, import_faces
from lib.alignments.extraction.extract import search_changed
from lib.alignments.merge import Joined, join
from lib.alignments.removal import Removed, bring_back, remove_deleted
from lib.alignments.same_film import changed_frames
from lib.alignments.sources import ChangedPictures, check_source, source_identity
from lib.alignments.store import AlignmentStore, StoredFace, default_store, new_store
from lib.errors import FaceswapError, UsageError
from lib.facesets.folder import FaceCropper
from lib.files.names import same_path
from lib.media.base import FrameSource
from lib.media.endpoints.sink import writer_for
from lib.media.endpoints.source import open_source
from lib.options import option
from lib.plugin import ALIGNERS, DEFAULT_ALIGNER, WRITERS
from lib.provenance.run_record import locked_output
from lib.settings import Settings
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import ordered_map, prefetch
from lib.system.progress import job, progress
from lib.types import Frame

# Share of the compared frames that differ, from which on a video is taken for another
CHANGED = 0.25

# The options that each action takes beside -p, and those that it needs.
TAKES = {"report": ("input", "json"), "remove": ("input", "faces", "all", "undo"),
         "draw": ("input", "output", "masks"), "smooth": ("input", "smooth"),
         "rename": ("input", "force"), "relink": ("input", "force"), "merge": ("input", "output"),
         "export": ("input", "output"), "import": ("input", "output", "first_frame")}
NEEDS = {"draw": ("input", "output"), "rename": ("input",), "relink": ("input",),
         "merge": ("alignments", "output"), "export": ("output",), "import": ("input", "output")}
SHORT = {"input": "-i/--input", "output": "-o/--output", "alignments": "-p/--alignments",
         "faces": "-f/--faces"}


@dataclass(kw_only=True)
class AlignmentsSettings(Settings):
    """Look at the faces that extract found, correct them, join and exchange them.

    alignments report -i clip.mp4                      frames, faces, tracks, people, gaps
    alignments remove -i clip.mp4 -f faces             leave out faces whose pictures you deleted
    alignments draw -i clip.mp4 -o drawn.mp4           draw boxes, landmarks, tracks and people
    alignments smooth -i clip.mp4                      remove the jitter; --no-smooth undoes it
    alignments rename -i new.mp4 -p old.alignments.db  the source was renamed or moved (or relink)
    alignments merge -p part1.db part2.db -o all.db    join the files of parts of one source
    alignments export -i clip.mp4 -o faces.json        faces for other programs, as JSON
    alignments import -i clip.mp4 -o faces.json        faces from such a file, instead of extract

    The alignments file is INPUT.alignments.db; -p names another. Frames are counted from 1.
    """

    action: str = option(help="What to do.", positional=True,
                         choices=("report", "remove", "draw", "smooth", "rename", "relink", "merge",
                                  "export", "import"))
    input: Path | None = option(None, "The video, picture or folder of pictures that the faces "
                                "were found in.", short="-i")
    alignments: list[Path] | None = option(
        None, "Alignments file. Default: INPUT.alignments.db, beside the input. merge: the files "
        "of all parts.", short="-p")
    output: Path | None = option(
        None, "What is written: a video or folder (draw), an alignments file (merge), a JSON file "
        "(export). import: the JSON file that is read.", short="-o")
    faces: Path | None = option(None, "The folder of faces that extract wrote, from which you "
                                "deleted some.", short="-f", group="remove")
    all: bool | None = option(None, "Leave out all faces if the folder is empty.", group="remove")
    undo: bool | None = option(None, "Bring back the faces that were left out by hand; with -f "
                               "those of that folder only.", group="remove")
    json: bool | None = option(None, "Print JSON, with every gap and frame.", group="report")
    masks: bool | None = option(None, "Also draw the outlines of the masks.", group="draw")
    smooth: bool | None = option(None, "Remove the jitter of the landmarks, or bring it back.",
                                 group="smooth")
    force: bool | None = option(None, "The video was encoded again; every frame still shows the "
                                "same.", group="rename")
    first_frame: int | None = option(
        None, "Number of a video's first frame in the names of the JSON file. Default: 0 if a name "
        "has the number 0, else 1.", low=0, high=1, group="import")


@dataclass(frozen=True)
class Drawn:
    """What `draw` did."""

    faces: int
    losses: list[str]  # what of the source could not be read, a sentence each


@dataclass(frozen=True)
class Smoothed:
    """What `smooth` did."""

    faces: int
    tracks: int
    smooth: bool  # the landmarks are without jitter now


@dataclass(frozen=True)
class Relinked:
    """What `relink` did."""

    alignments: Path
    source: str
    before: str  # the source that it belonged to
    usual: Path | None  # where the file would be looked for, if that is not where it is


@dataclass(frozen=True)
class Merged:
    """What `merge` did."""

    joined: Joined
    faces: int
    frames: int


@dataclass(frozen=True)
class Exchanged:
    """What `export_` or `import_` did."""

    faces: int
    frames: int
    path: Path  # that was written


Result = dict[str, Any] | int | Removed | Drawn | Smoothed | Relinked | Merged | Exchanged


@job
def alignments(settings: AlignmentsSettings) -> Result:
    """What the function of `settings.action` below returns. Raises UsageError where options do not
    belong to the action.
    """
    _check_usage(settings)
    actions = {"report": report, "remove": remove, "draw": draw, "smooth": smooth, "rename": relink,
               "relink": relink, "merge": merge, "export": export, "import": import_}
    return actions[settings.action](settings)


def _check_usage(settings: AlignmentsSettings) -> None:
    action, values = settings.action, vars(settings)
    for name in ("input", "output", "faces", "json", "all", "undo", "masks", "smooth", "force",
                 "first_frame"):
        if values[name] is not None and name not in TAKES[action]:
            takers = " or ".join(taker for taker, names in TAKES.items() if name in names)
            raise UsageError(f"{_flag(name)} belongs to alignments {takers}, not to {action}.")
    if missing := [_flag(name) for name in NEEDS.get(action, ()) if values[name] is None]:
        raise UsageError(f"alignments {action} needs {' and '.join(missing)}. See: faceswap.py "
                         "alignments --help")
    if settings.input is None and settings.alignments is None:
        raise UsageError(f"alignments {action} needs -i/--input, or an alignments file with "
                         "-p/--alignments.")
    if action != "merge" and settings.alignments and len(settings.alignments) > 1:
        raise UsageError(f"alignments {action} takes one alignments file with -p. alignments merge "
                         "joins several.")
    if action == "remove" and not settings.faces and not settings.undo:
        raise UsageError("alignments remove needs -f/--faces, the folder of faces that you deleted "
                         "from, or --undo.")


def _flag(name: str) -> str:
    return SHORT.get(name, f"--{name.replace('_', '-')}")


def _store(settings: AlignmentsSettings) -> Path:
    """The alignments file. Raises FaceswapError where there is none."""
    path = settings.alignments[0] if settings.alignments else default_store(settings.input)
    if not path.is_file():
        raise FaceswapError(f"There is no alignments file {path}. Run extract first, or name the "
                            "file with -p.")
    return path


def report(settings: AlignmentsSettings) -> dict[str, Any]:
    """The facts of the alignments file, as `inventory.facts` tells them."""
    with AlignmentStore.open(_store(settings), read_only=True) as store:
        return inventory.facts(store)


def remove(settings: AlignmentsSettings) -> Removed | int:
    """Leaves out deleted faces; with `undo` brings them back, and returns how many."""
    with AlignmentStore.open(_store(settings)) as store:
        if settings.undo:
            return bring_back(store, settings.faces)
        return remove_deleted(store, settings.faces, bool(settings.all))


def draw(settings: AlignmentsSettings) -> Drawn:
    """Draws all faces into the frames, as a video or pictures."""
    path, source = _store(settings), open_source(settings.input)
    try:
        _check_same(source, path)
    except ChangedPictures:
        with AlignmentStore.open(path) as store:
            search_changed(source, store)
    sink = WRITERS.create(writer_for(settings.output, source)).open(settings.output, source)

    def drawn(item: tuple[Frame, list[StoredFace]], masks: bool) -> tuple:
        frame, faces = item
        return frame, draw_faces(frame.image, faces, masks)

    with AlignmentStore.open(path, read_only=True) as store, locked_output(settings.output), sink:
        frames = ((frame, store.faces(frame.index, dropped=True)) for frame in prefetch(source))
        images = ordered_map(partial(drawn, masks=bool(settings.masks)), frames, device.cores())
        for frame, image in progress(images, "draw", source.count):
            sink.write(frame, image)
        return Drawn(store.counts()[0], source.losses)


def _check_same(source: FrameSource, path: Path) -> None:
    """Raises FaceswapError if the store at `path` is of another source, or of pictures that have
    changed.
    """
    with AlignmentStore.open(path, read_only=True) as store:
        if store.state.source is None:
            raise FaceswapError(f"{path} is empty: nothing was searched. Run extract first.")
        check_source(source, store)


def smooth(settings: AlignmentsSettings) -> Smoothed:
    """Smooths the landmarks of all faces along their tracks, or takes that back."""
    smooth = settings.smooth is not False
    with AlignmentStore.open(_store(settings)) as store:
        if store.state.smooth is None:
            raise FaceswapError(f"The faces of {store.path} were not followed through time yet. "
                                "Run extract on its source to the end first; on pictures, with "
                                "--smooth.")
        tracking.steady(store, smooth)
        store.update(smooth=smooth)
        return Smoothed(store.counts()[0], store.track_counts()[0], smooth)


def relink(settings: AlignmentsSettings) -> Relinked:
    """Gives the alignments file to a source that was renamed or moved."""
    source = open_source(Path(os.path.abspath(settings.input)))
    with AlignmentStore.open(_store(settings)) as store:
        recorded, now = store.state.source, source_identity(source)
        if recorded is None:
            raise FaceswapError(f"{store.path} is empty: it belongs to no source. Delete it "
                                "and run extract.")
        if (recorded.video is None) != (now.video is None):
            kind = "a video" if recorded.video else "pictures"
            raise FaceswapError(f"{store.path} belongs to {recorded.path}, which is {kind}. "
                                f"{source.path} is not. Name the source that it was made for with "
                                "-i.")
        if now.video is None:
            check_source(source, store)
        elif not recorded.is_same_video(now):
            _check_encoded_again(source, store, bool(settings.force))
        store.update(source=now)
        usual = default_store(settings.input)
        return Relinked(store.path, now.path, recorded.path,
                        None if same_path(store.path, usual) else usual)


def _check_encoded_again(source: FrameSource, store: AlignmentStore, force: bool) -> None:
    """Raises FaceswapError unless a video of other bytes may be the same film, and the user says
    that it is.
    """
    recorded = store.state.source
    if source.size != recorded.video.size:
        raise FaceswapError(f"{source.path} has {source.size[0]}x{source.size[1]} pixels, but the "
                            f"faces of {store.path} were found in {{}}x{{}}: they would lie "
                            "elsewhere. Run extract again.".format(*recorded.video.size))
    last = max(store.done(), default=0)
    if source.count is not None and source.count <= last:
        raise FaceswapError(f"{source.path} has {source.count} frames, but {store.path} knows "
                            f"{last + 1}: it is another film. Run extract again.")
    if not force:
        raise FaceswapError(f"{source.path} has other bytes than {recorded.path} had: it is "
                            "another video, or was encoded again. If every frame still shows the "
                            "same, say --force; alignments draw shows whether that is so.")
    changed, compared = changed_frames(source, store)
    if len(changed) > CHANGED * compared:
        raise FaceswapError(f"{source.path} is another cut or another film than {recorded.path} "
                            f"was: of {counted(compared, 'frame')} that were compared "
                            f"{len(changed)} show something else, such as frame {changed[0] + 1}. "
                            "Run extract again.")


def merge(settings: AlignmentsSettings) -> Merged:
    """Joins the alignments files of parts into a new one; with `input` the faces are followed
    through time, too.
    """
    parts = settings.alignments
    for number, part in enumerate(parts):
        if not part.is_file():
            raise FaceswapError(f"There is no alignments file {part}. Name the files of all parts "
                                "with -p.")
        if any(same_path(part, earlier) for earlier in parts[:number]):
            raise UsageError(f"-p names {part} twice. Name each part once.")
    source = None
    if settings.input:
        source = open_source(Path(os.path.abspath(settings.input)), exact=False)
    if source:
        _check_same(source, parts[0])
    with new_store(settings.output) as store:
        joined = join(parts, store)
        if source:
            aligner = store.state.aligner or PluginRecord(DEFAULT_ALIGNER)
            tracking.follow(source, store, ALIGNERS.create(aligner.name, **aligner.options),
                            joined.smooth, FaceCropper())
            store.update(source=source_identity(source))
        faces, _, frames = store.counts()
    return Merged(joined, faces, frames)


def export(settings: AlignmentsSettings) -> Exchanged:
    """Writes the faces into a JSON file."""
    path = _store(settings)
    if settings.output.suffix.lower() != ".json" or settings.output.is_dir():
        raise FaceswapError("The export is a JSON file: name one that ends in .json with -o, not "
                            f"{settings.output}.")
    with AlignmentStore.open(path, read_only=True) as store:
        recorded = store.state.source
        if settings.input and settings.input.exists():
            check_source(open_source(settings.input), store)
        stem = Path(settings.input or (recorded.path if recorded
                                       else path.name.removesuffix(".alignments.db"))).stem
        faces, frames = export_faces(store, stem, settings.output)
    return Exchanged(faces, frames, settings.output)


def import_(settings: AlignmentsSettings) -> Exchanged:
    """Makes an alignments file from the faces in a JSON file."""
    if settings.input.suffix.lower() == ".json":
        raise FaceswapError("-i is the video or the pictures that the faces are in, and -o the "
                            f"JSON file, as for export: {settings.input} is no video.")
    source = open_source(Path(os.path.abspath(settings.input)), exact=False)
    if not settings.output.is_file():
        raise FaceswapError(f"There is no file {settings.output}. Name the JSON file to be "
                            "imported with -o.")
    path = settings.alignments[0] if settings.alignments else default_store(settings.input)
    with new_store(path) as store:
        faces, frames = import_faces(settings.output, source, store, settings.first_frame)
    return Exchanged(faces, frames, path)
