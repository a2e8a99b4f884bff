"""`faceswap.py alignments`: look at what extract found, correct it, and exchange it."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lib.alignments import inventory, tracking
from lib.alignments.drawing import draw as draw_faces
from lib.alignments.exchange import export_faces, import_faces
from lib.alignments.extraction import ChangedPictures, check_source, follow, same_video, search_changed, source_identity
from lib.alignments.merge import join
from lib.alignments.removal import bring_back, remove_deleted
from lib.alignments.same_film import changed_frames
from lib.alignments.store import AlignmentStore, StoredFace, default_store, new_store
from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.facesets.cutting import Cut
from lib.files.names import same_path
from lib.media.base import FrameSource
from lib.media.endpoints.sink import writer_for
from lib.media.endpoints.source import open_source
from lib.options import option
from lib.plugin import ALIGNERS, WRITERS
from lib.provenance.run_record import alone
from lib.settings import Settings
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import ordered_map, prefetch
from lib.system.progress import progress
from lib.types import Frame

logger = logging.getLogger(__name__)
NAMED = 10  # frames named in a warning
CHANGED = 0.25  # share of the compared frames that show something else, from which on a video is another

# The options of each action beside -p, and those of them that it cannot do without.
TAKES = {"report": ("input", "json"), "remove": ("input", "faces", "all", "undo"), "draw": ("input", "output", "masks"),
         "smooth": ("input", "smooth"), "rename": ("input", "force"), "relink": ("input", "force"), "merge": ("input", "output"),
         "export": ("input", "output"), "import": ("input", "output", "first_frame")}
NEEDS = {"draw": ("input", "output"), "rename": ("input",), "relink": ("input",), "merge": ("alignments", "output"),
         "export": ("output",), "import": ("input", "output")}
SAID = {"input": "-i/--input", "output": "-o/--output", "alignments": "-p/--alignments", "faces": "-f/--faces"}


def run(options: Alignments) -> int:
    _check_usage(options)
    return {"report": _report, "remove": _remove, "draw": _draw, "smooth": _smooth, "rename": _relink, "relink": _relink,
            "merge": _merge, "export": _export, "import": _import}[options.action](options)


def _check_usage(options: Alignments) -> None:
    action = options.action
    for name in ("input", "output", "faces", "json", "all", "undo", "masks", "smooth", "force", "first_frame"):
        if getattr(options, name) is not None and name not in TAKES[action]:
            others = " or ".join(other for other, names in TAKES.items() if name in names)
            raise UsageError(f"{_said(name)} belongs to alignments {others}, not to {action}.")
    if missing := [_said(name) for name in NEEDS.get(action, ()) if getattr(options, name) is None]:
        raise UsageError(f"alignments {action} needs {' and '.join(missing)}. See: faceswap.py alignments --help")
    if options.input is None and options.alignments is None:
        raise UsageError(f"alignments {action} needs -i/--input, or an alignments file with -p/--alignments.")
    if action != "merge" and options.alignments and len(options.alignments) > 1:
        raise UsageError(f"alignments {action} takes one alignments file with -p. Several are joined by alignments merge.")
    if action == "remove" and not options.faces and not options.undo:
        raise UsageError("alignments remove needs -f/--faces, the folder of faces that you deleted from, or --undo.")


def _said(name: str) -> str:
    return SAID.get(name, f"--{name.replace('_', '-')}")


def _store(options: Alignments) -> Path:
    """The alignments file that is meant, which must be there."""
    path = options.alignments[0] if options.alignments else default_store(options.input)
    if not path.is_file():
        raise FaceswapError(f"There is no alignments file {path}. Run extract first, or name the file with -p.")
    return path


def _report(options: Alignments) -> int:
    with AlignmentStore.open(_store(options), read_only=True) as store:
        found = inventory.facts(store)
    print(json.dumps(found, ensure_ascii=False, indent=1) if options.json else inventory.table(found))
    return DONE


def _remove(options: Alignments) -> int:
    with AlignmentStore.open(_store(options)) as store:
        if options.undo:
            logger.info("Brought back %s.", counted(bring_back(store, options.faces), "face"))
            return DONE
        done = remove_deleted(store, options.faces, bool(options.all))
    logger.info("Left out %s whose picture was deleted, brought back %d, kept %d. In all %s left out by hand; --undo brings them back.",
                counted(done.removed, "face"), done.returned, done.there, f"{done.altogether} {'is' if done.altogether == 1 else 'are'}")
    return DONE


def _draw(options: Alignments) -> int:
    path, source = _store(options), open_source(options.input)
    try:
        _check_same(source, path)
    except ChangedPictures:
        with AlignmentStore.open(path) as store:
            search_changed(source, store)
    sink = WRITERS.create(writer_for(options.output, source)).open(options.output, source)
    faces = 0

    def drawn(item: tuple[Frame, list[StoredFace]], masks: bool) -> tuple:
        frame, found = item
        return frame, draw_faces(frame.image, found, masks)

    with AlignmentStore.open(path, read_only=True) as store, alone(options.output), sink:
        found = ((frame, store.faces(frame.index, dropped=True)) for frame in prefetch(source))
        for frame, image in progress(ordered_map(partial(drawn, masks=bool(options.masks)), found, device.cores()), "draw", source.count):
            sink.write(frame, image)
        faces = store.counts()[0]
    for loss in source.losses:
        logger.warning("Incomplete input: %s", loss)
    logger.info("Drew %s: %s", counted(faces, "face"), options.output)
    return SOME_FAILED if source.losses else DONE


def _check_same(source: FrameSource, path: Path) -> None:
    """Raises FaceswapError if the store at `path` is of another source, or of pictures that are others now."""
    with AlignmentStore.open(path, read_only=True) as store:
        if "source" not in store.settings:
            raise FaceswapError(f"{path} was never begun: nothing was searched. Run extract first.")
        check_source(source, store)


def _smooth(options: Alignments) -> int:
    smooth = options.smooth is not False
    with AlignmentStore.open(_store(options)) as store:
        if "smooth" not in store.settings:
            raise FaceswapError(f"The faces of {store.path} were not followed through time yet. Run extract on its source to the end "
                                "first; on pictures, with --smooth.")
        tracking.steady(store, smooth)
        store.update({"smooth": smooth})
        faces, found = store.counts()[0], store.track_counts()[0]
    logger.info("Landmarks of %s in %s are %s.", counted(faces, "face"), counted(found, "track"),
                "without jitter now" if smooth else "as they were fitted again")
    return DONE


def _relink(options: Alignments) -> int:
    source = open_source(Path(os.path.abspath(options.input)))
    with AlignmentStore.open(_store(options)) as store:
        recorded, now = store.settings.get("source"), source_identity(source)
        if recorded is None:
            raise FaceswapError(f"{store.path} was never begun: it belongs to no source. Delete it and run extract.")
        if recorded["video"] is None or now["video"] is None:
            if (recorded["video"] is None) != (now["video"] is None):
                kind = "a video" if recorded["video"] else "pictures"
                raise FaceswapError(f"{store.path} belongs to {recorded['path']}, which is {kind}. {source.path} is not. "
                                    "Name the source that it was made for with -i.")
            check_source(source, store)
        elif not same_video(recorded["video"], now["video"]):
            _check_encoded_anew(source, store, bool(options.force))
        store.update({"source": now})
        logger.info("%s belongs to %s now; before, to %s.", store.path, now["path"], recorded["path"])
        if not same_path(store.path, default_store(options.input)):
            logger.info("Name it with -p %s from now on, or move it to %s.", store.path, default_store(options.input))
    return DONE


def _check_encoded_anew(source: FrameSource, store: AlignmentStore, force: bool) -> None:
    """Raises FaceswapError unless a video of other bytes may be the same film, and the user says that it is."""
    recorded = store.settings["source"]
    if list(source.size) != recorded["video"]["size"]:
        raise FaceswapError(f"{source.path} has {source.size[0]}x{source.size[1]} pixels, but the faces of {store.path} were found in "
                            "{}x{}: they would lie elsewhere. Run extract anew.".format(*recorded["video"]["size"]))
    last = max(store.done(), default=0)
    if source.count is not None and source.count <= last:
        raise FaceswapError(f"{source.path} has {source.count} frames, but {store.path} knows {last + 1}: it is another film. "
                            "Run extract anew.")
    if not force:
        raise FaceswapError(f"{source.path} has other bytes than {recorded['path']} had: it is another video, or was encoded anew. If "
                            "every frame still shows the same, say --force; alignments draw shows whether that is so.")
    changed, compared = changed_frames(source, store)
    if len(changed) > CHANGED * compared:
        raise FaceswapError(f"{source.path} is another cut or another film than {recorded['path']} was: of {counted(compared, 'frame')} that "
                            f"were compared {len(changed)} show something else, such as number {changed[0] + 1}. Run extract anew.")


def _merge(options: Alignments) -> int:
    parts = options.alignments
    for part in parts:
        if not part.is_file():
            raise FaceswapError(f"There is no alignments file {part}. Name the files of all parts with -p.")
    for number, part in enumerate(parts):
        if any(same_path(part, other) for other in parts[:number]):
            raise UsageError(f"-p names {part} twice. Name each part once.")
    source = open_source(Path(os.path.abspath(options.input)), exact=False) if options.input else None
    if source:
        _check_same(source, parts[0])
    with new_store(options.output) as store:
        joined = join(parts, store)
        if source:
            aligner = store.settings.get("aligner", {"name": "dlib68", "options": {}})
            follow(source, store, ALIGNERS.create(aligner["name"], **aligner["options"]), joined.smooth, Cut())
            store.update({"source": source_identity(source)})
        faces, _, frames = store.counts()
    logger.info("Joined %s: %s in %s, %s", counted(len(parts), "part"), counted(faces, "face"), counted(frames, "frame"), options.output)
    if joined.differing:
        shown = ", ".join(map(str, joined.differing[:NAMED])) + (" ..." if len(joined.differing) > NAMED else "")
        logger.warning("In %s two parts found different faces; those of the part named first were taken: %s.",
                       counted(len(joined.differing), "frame"), shown)
    for part in joined.unfinished:
        logger.warning("%s was not searched to its end.", part)
    if joined.missing:
        logger.warning("Not here: part %s. extract on the joined file searches the frames that are missing.", ", ".join(joined.missing))
    if not source:
        logger.info("The next extract%s on it follows the faces from frame to frame.",
                    {None: "", True: "", False: " --no-smooth"}[joined.smooth])
    return DONE


def _export(options: Alignments) -> int:
    path = _store(options)
    if options.output.suffix.lower() != ".json" or options.output.is_dir():
        raise FaceswapError(f"The export is a JSON file: name one that ends in .json with -o, not {options.output}.")
    with AlignmentStore.open(path, read_only=True) as store:
        recorded = store.settings.get("source", {"path": path.name.removesuffix(".alignments.db")})
        if options.input and options.input.exists():
            check_source(open_source(options.input), store)
        faces, frames = export_faces(store, Path(options.input or recorded["path"]).stem, options.output)
    logger.info("Exported %s in %s: %s", counted(faces, "face"), counted(frames, "frame"), options.output)
    return DONE


def _import(options: Alignments) -> int:
    if options.input.suffix.lower() == ".json":
        raise FaceswapError(f"-i is the video or the pictures that the faces are in, and -o the JSON file, as for export: {options.input} "
                            "is no video.")
    source = open_source(Path(os.path.abspath(options.input)), exact=False)
    if not options.output.is_file():
        raise FaceswapError(f"There is no file {options.output}. Name the JSON file to be imported with -o.")
    path = options.alignments[0] if options.alignments else default_store(options.input)
    with new_store(path) as store:
        faces, frames = import_faces(options.output, source, store, options.first_frame)
    logger.info("Imported %s in %s of %s. Alignments: %s", counted(faces, "face"), counted(frames, "frame"), source.path.name, path)
    return DONE


@dataclass(kw_only=True)
class Alignments(Settings):
    """Look at the faces that extract found, correct them, join and exchange them.

    alignments report -i clip.mp4                      what was found: frames, faces, tracks, people, gaps
    alignments remove -i clip.mp4 -f faces             leave out the faces whose pictures you deleted from the folder
    alignments draw -i clip.mp4 -o drawn.mp4           boxes, landmarks, tracks and people, drawn into the frames
    alignments smooth -i clip.mp4                      take the jitter out of the landmarks; --no-smooth brings it back
    alignments rename -i new.mp4 -p old.alignments.db  the video or folder was renamed or moved (relink is the same)
    alignments merge -p part1.db part2.db -o all.db    join what was found in parts of one video or folder
    alignments export -i clip.mp4 -o faces.json        faces for other programs, in the layout of deepfakes/faceswap
    alignments import -i clip.mp4 -o faces.json        faces from such a file, instead of extract

    The alignments file is the one beside the input; -p names another.
    """

    action: str = option(help="What to do.", positional=True,
                         choices=("report", "remove", "draw", "smooth", "rename", "relink", "merge", "export", "import"))
    input: Path | None = option(None, "The video, picture or folder of pictures that the faces were found in.", short="-i")
    alignments: list[Path] | None = option(None, "Alignments file; INPUT.alignments.db beside the input if not given. For merge: those of "
                                                 "all parts.", short="-p")
    output: Path | None = option(None, "What is written: for draw a video or a folder, for merge an alignments file, for export the JSON "
                                       "file. For import the JSON file that is read.", short="-o")
    faces: Path | None = option(None, "For remove: the folder of faces that extract wrote, from which you deleted some.", short="-f")
    all: bool | None = option(None, "For remove: leave out all faces if the folder is empty.")
    undo: bool | None = option(None, "For remove: bring back what was left out so; with -f those of that folder only.")
    json: bool | None = option(None, "For report: print JSON, with every gap and frame.")
    masks: bool | None = option(None, "For draw: also the outlines of the masks.")
    smooth: bool | None = option(None, "For smooth: take the jitter out of the landmarks, or bring it back.")
    force: bool | None = option(None, "For rename: the video has other bytes, but every frame still shows the same.")
    first_frame: int | None = option(None, "For import: the number of a video's first frame in the names; 0 if a name says 0, else 1.",
                                     low=0, high=1)
