from __future__ import annotations

import hashlib
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from lib.alignments.extraction import check_source, extract
from lib.alignments.identity import Wanted, embeddings_of, faces_wanted, likeness, recognize
from lib.alignments.left_out import all_left_out
from lib.alignments.masking import MaskedFace, check_stored, usable
from lib.alignments.removal import faces_shown
from lib.alignments.store import AlignmentStore, default_store
from lib.command.parsing import declaration
from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.faces.geometry import crop
from lib.faces.quality import is_face
from lib.facesets.cutting import Cut
from lib.facesets.folder import FaceFolder
from lib.files.reading import as_json
from lib.files.writing import disk_errors
from lib.media.base import LARGE, FrameSink, FrameSource
from lib.media.endpoints.sink import writer_for
from lib.media.endpoints.source import open_source
from lib.media.frame_range import FrameRange, parse_frame_range, parse_shard
from lib.media.pictures import picture_file
from lib.options import expanded, option
from lib.options import nearest as nearest_name
from lib.plugin import ALIGNERS, DEFAULT_RECOGNIZER, MASKERS, RECOGNIZERS, REGISTRIES, Masker, Recognizer
from lib.provenance.run_record import Record, alone, identity, named_files
from lib.provenance.xmp import SWAPPED, Done
from lib.settings import Settings
from lib.swapping.composite import Compositor, crop_face
from lib.swapping.depth import Depth
from lib.swapping.enhance import Enhanced, Enhancer
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.features import Person
from lib.swapping.exemplars.stage import Planned, Separate
from lib.swapping.eyes import EyesFollow
from lib.swapping.label import Label
from lib.swapping.pipeline import BATCH, Choose, Finished, Redraw, Role, Takes, everyone, largest, nearest, swap_frames
from lib.swapping.sheet import sheet, spread
from lib.swapping.steady import REACH
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import prefetch
from lib.system.progress import progress
from lib.training.saved.swapper import Swapper, Translator, load_swapper
from lib.types import AlignedFace, Frame

if TYPE_CHECKING:
    from lib.provenance.keys import Identity
    from lib.provenance.marking import Consent, Mark

logger = logging.getLogger(__name__)
PREDICTED = "predicted"  # the mask that the model made, in -M/--mask
FAINT = 0.1  # share of the faces of which nothing is to be seen, from which on that is told
# Options that finished frames do not depend on
ELSEWHERE = ("input", "output", "model_dir", "save", "alignments", "shard", "detector", "aligner")
TRIED = ("color", "blender", "mask", "erosion", "erosion_top", "erosion_right", "erosion_bottom", "erosion_left", "feather", "match_detail",
         "sharpen", "face_scale", "follow_eyes", "exemplars")
COMPARED = 3  # faces that are compared with the model's people, where none is yet
TRIED_ON = 4  # frames, where --preview does not say how many
MUTE = (".mpg", ".mpeg", ".bmp", ".dib")  # endings of formats that hold no words
LOOKED_AT = 500  # faces' frames, by which the label's corner in a video is chosen
LOST = "Incomplete input: "
SEARCHED = 3  # times as many frames are searched for faces as are shown, since some may show none


def run(options: Convert) -> int:
    began = time.monotonic()
    if (options.model_dir is None) == (not options.swap):
        raise UsageError("convert needs one of -m/--model-dir, a model for all faces, and --swap, a model for each of several people.")
    source = open_source(options.input)
    stretch = parse_frame_range(source, options.from_, options.to, options.frames)
    if options.preview is not None or options.try_:
        return _preview(options, source, stretch)
    shard = parse_shard(options.shard)
    if shard and source.count is None:
        raise FaceswapError(f"How many frames {source.path} has only reading it tells, so that it cannot be cut into shards. "
                            "Put it into a container with an index, such as MP4, first.")
    if source.size and source.size[0] * source.size[1] >= LARGE:
        device.give_blocks_back()
    compositor, follow = compositing(options, source.path)
    sink, mark_of = sink_of(options, source), marking(options)
    label = None if options.label is None else Label(options.label)
    if label and sink.aligned:
        raise UsageError("--label is written into frames, and -w patch writes faces apart from them. Leave one of them out.")
    models, enhancer = _models(options), options.enhance and Enhancer(options.enhance)

    frames = touched = faces = faint = 0
    troubles: dict[str, None] = {}
    with alone(options.output, shard), Record(options.output, "convert", told_of(options), {"input": source.path}, shard) as record, \
            marked(sink, record, mark_of and mark_of(source.path, models, partial(record.sha256, "input")), options, troubles), sink:
        with alignments(options, source, stretch.indices(source), search=shard is None) as store, ExitStack() as planning:
            roles = _roles(options, source, store, models, enhancer, compositor)
            planning.callback(lambda: [role.exemplars.close() for role in roles if isinstance(role.exemplars, Planned)])
            check_stored(store, compositor.maskers, source.path)
            _tell_own_face(options, source, store, models)
            key, before = _key(options, source, store, models, enhancer), record.before()
            record.note(models={str(folder): swapper.digest for folder, swapper in models.items()}, key=key)
            again = record.failed_before(key)
            failed = dict.fromkeys(again)  # until they are done: a run that is killed leaves them to the next
            record.note(failed=again)
            stretches = sink.missing(key, stretch.start, stretch.stop, shard, again)
            if again and not (before.get("finished") and stretches == [(stretch.start, stretch.stop)]):
                logger.info("%s that an earlier run could not do: tried again.", counted(len(again), "frame"))
            if before.get("key") == key and not (before.get("finished") and stretches):  # its frames are used, with what they lack
                troubles |= {trouble: None for trouble in before.get("failures", ()) if trouble.startswith(LOST)}
            total = None if any(stop is None for _, stop in stretches) and source.count is None else sum(
                (source.count if stop is None else stop) - start for start, stop in stretches)
            depth = Depth.of(store)
            all_done = (_done(source, store, roles, follow, sink, stretch, depth, start, stop) for start, stop in stretches)
            corner = _corner(label, source, store)
            for done in progress(chain.from_iterable(all_done), "convert", total):
                patches = list(done.patches)
                if label and (patches or corner):
                    patches.append(label.patch(done.frame, patches, sink.deep,
                                               corner or label.corner(done.frame.size, _faces(store, done.frame.index))))
                sink.patch(done.frame, patches)
                frames += 1
                touched += done.swapped > 0
                faces += done.swapped
                faint += done.faint
                if done.failure:
                    name = done.frame.name or f"Frame {done.frame.index + 1}"
                    troubles[f"{name} was passed through as it was: {done.failure}."] = None
                    failed[done.frame.index] = None
                    record.note(failures=list(troubles), failed=list(failed))
                elif done.frame.index in failed:
                    del failed[done.frame.index]
                    record.note(failed=list(failed))
                record.keep()
            troubles |= dict.fromkeys(f"{LOST}{loss}" for loss in source.losses)
            record.note(frames=frames, frames_swapped=touched, faces=faces, failures=list(troubles), failed=list(failed))

    logger.info("Swapped %s in %d of %s in %.0f s: %s%s", counted(faces, "face"), touched, counted(frames, "frame"),
                time.monotonic() - began, options.output, " (a folder of pictures)" if options.output.is_dir() else "")
    for ending in sorted(sink.mark.without) if sink.mark else ():
        logger.warning("%s files carry no %s.", ending, "mark of any kind: say in another way that this is synthetic"
                       if ending in MUTE else "Content Credentials, only a plain statement; MP4, MOV, PNG and JPEG carry both")
    end = source.count if stretch.stop is None else stretch.stop
    if not stretches:
        logger.info("All that was asked for was there already, made by an earlier run with all the same.")
    elif shard is None and None not in (total, end) and end - stretch.start > total:
        logger.info("Used besides: %s of an earlier run with all the same.", counted(end - stretch.start - total, "frame"))
    if sink.missing_parts:
        logger.info("%s of other shards are not there yet: when they are, the same command without --shard puts all together.",
                    counted(sink.missing_parts, "part"))
    if not faces and options.faces == "nearest-a" and frames:
        logger.warning("No face looked like the person to be replaced. Try --faces all, or -s/--swap-model if it is the other way round.")
    if faint > FAINT * faces:
        logger.warning("Of %d of %s next to nothing is to be seen, since the mask is faint there or lies outside the frame. If the model "
                       "has learnt little yet, train on, or choose -M hull.", faint, counted(faces, "face"))
    for trouble in troubles:
        logger.warning("%s", trouble)
    return SOME_FAILED if troubles else DONE


def marking(options: Settings, done: Done = SWAPPED) -> Callable[[Path, dict[Path, Any], Callable[[], str | None]], Mark] | None:
    """How results are marked as synthetic, made once it is known of what; None where they are not to be. `done` says what was done.
    Raises FaceswapError, before any work, where they cannot be."""
    signing = signature(options)
    if signing is None:
        return None
    from lib.provenance.marking import Mark

    said = {"settings": {name: getattr(options, name) for name in ("color", "mask", "blender", "faces", "label") if hasattr(options, name)}}

    def made(original: Path, models: dict[Path, Swapper | Translator], hash_of: Callable[[], str | None]) -> Mark:
        named = {model.digest: folder.resolve().name for folder, model in models.items()}
        return Mark(signing.identity, named, original, hash_of, signing.consent, said, options.timestamp, done)

    made(options.input, {}, lambda: None).check()
    return made


class Signature(NamedTuple):
    """Who signs results, and which records of consent they name."""

    identity: Identity
    consent: list[Consent]


def signature(options: Settings) -> Signature | None:
    """What --certificate, --signing-key and --consent ask for; None with --no-provenance. Raises FaceswapError where it cannot be had."""
    given = [f"--{name.replace('_', '-')}" for name in ("certificate", "signing_key", "timestamp", "consent") if getattr(options, name)]
    if not options.provenance:
        if given:
            raise UsageError(f"{given[0]} and --no-provenance exclude each other. Leave one of them out.")
        return None
    if (options.certificate is None) != (options.signing_key is None):
        raise UsageError("--certificate and --signing-key go together: the certificates as PEM, and the private key of the first.")
    from lib.provenance import keys  # takes 0.1 s to import
    from lib.provenance.marking import consent_of

    consent = consent_of(options.consent)
    return Signature(keys.identity_of(options.certificate, options.signing_key) if options.certificate else keys.own_identity(), consent)


@contextmanager
def marked(sink: FrameSink | FaceFolder, record: Record, mark: Mark | None, options: Settings, troubles: dict[str, None]) -> Iterator[None]:
    """Has `sink` mark what it writes, and notes in the record how; when all is written, what came of it."""
    sink.mark = mark
    told = {"marked": mark is not None, "label": options.label}
    if mark:
        told |= {"certificate": mark.identity.fingerprint, "timestamp": mark.timestamp,
                 "consent": [{"path": str(consent.path.resolve()), "sha256": consent.sha256} for consent in mark.consent]}
    record.note(provenance=told)
    yield
    if mark:
        troubles |= dict.fromkeys(mark.troubles)
    if options.output.is_file() and not sink.missing_parts:  # else it is one of before
        from lib.provenance.marking import file_hash

        record.note(output_sha256=file_hash(options.output))


def _tell_own_face(options: Convert, source: FrameSource, store: AlignmentStore, models: dict[Path, Swapper]) -> None:
    """A warning where the faces of `source` are already those of the person whose face the model puts there."""
    swapper = next(iter(models.values()))
    to, other = ("a", "b") if options.swap_model else ("b", "a")
    if options.swap or not {"a", "b"} <= swapper.identity.keys():
        return
    recognizer = RECOGNIZERS.create(swapper.recognizer)
    embeddings = [embedding for _, _, embedding in itertools.islice(store.embeddings(swapper.recognizer), LOOKED_AT)]
    if not embeddings:
        with_face = [index for index, _, _, faces in store.frame_counts() if faces]
        faces = []
        for frame in source.at(spread(with_face, COMPARED)):
            with suppress(ValueError, cv2.error):  # what makes no face is told when the frame is converted
                faces.append(crop(frame.image, store.faces(frame.index)[0].fitted))
        embeddings = list(recognizer.embed(faces))
    if not embeddings:
        return
    to_new, to_old = (likeness(np.array(embeddings), swapper.identity[identity][None], recognizer)[:, 0] for identity in (to, other))
    alike = (to_new >= recognizer.same) & (to_new > to_old)
    if alike.mean() > 0.5:
        way = "Leave -s out" if options.swap_model else "Add -s/--swap-model"
        logger.warning("The faces of %s look like %s, whose face the model puts there: there is nothing to swap. %s to put the other "
                       "person's face on them, or choose another input.", source.path, to.upper(), way)


def _corner(label: Label | None, source: FrameSource, store: AlignmentStore) -> str | None:
    """Where the label stands in all frames of a video: where it hides the fewest faces. None for pictures, of which each has its own."""
    if label is None or source.rate is None or source.size is None:
        return None
    with_face = [index for index, _, _, faces in store.frame_counts() if faces]
    return label.corner(source.size, (face for index in spread(with_face, LOOKED_AT) for face in _faces(store, index)))


def _faces(store: AlignmentStore, index: int) -> list[MaskedFace]:
    return list(map(MaskedFace.of, store.faces(index)))


def _everybody(store: AlignmentStore, index: int) -> list[MaskedFace]:
    """Also those who are not to be swapped, but may stand in front of others."""
    return [MaskedFace.of(stored) for stored in store.faces(index, dropped=True) if stored.dropped is None or is_face(stored.face)]


def _done(source: FrameSource, store: AlignmentStore, roles: Sequence[Role], follow: EyesFollow | None, sink: FrameSink, stretch: FrameRange,
          depth: Depth, start: int, stop: int | None) -> Iterator[Finished]:
    """Frames `start` to `stop` - 1, swapped. Those around are looked at too, so that all is as in one run over all frames."""
    lead = max(stretch.start, (start - REACH) // BATCH * BATCH)
    after = None if stop is None else -(-(stop + REACH) // BATCH) * BATCH
    after = stretch.stop if after is None or stretch.stop is not None and stretch.stop < after else after
    found = ((frame, _everybody(store, frame.index) if stretch.includes(frame.index) else [])
             for frame in prefetch(source.frames(lead, after)))
    for done in swap_frames(found, roles, follow, sink.deep, sink.aligned, depth):
        if done.frame.index >= start and (stop is None or done.frame.index < stop):
            yield done


def _key(options: Convert, source: FrameSource, store: AlignmentStore, models: dict[Path, Swapper], enhancer: Enhancer | None) -> str:
    """Stands for all that the finished frames depend on: frames of an interrupted run are used again where it is the same."""
    told = {name: value for name, value in told_of(options).items() if name not in ELSEWHERE}
    if enhancer:
        told["enhance"] = enhancer.digest()
    names = store.names()
    known = {names[index]: content for index, _, content, _ in store.files() if content}
    photos = [identity(photo) for photo in (Path(who).expanduser() for who in _cast(options).values()) if photo.exists()]
    depends = [told, identity(source.path, getattr(source, "files", None), known), named_files(options, ELSEWHERE), photos, store.digest(),
               [swapper.digest for swapper in models.values()]]
    return hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()


def told_of(options: Settings) -> dict[str, Any]:
    """The options as JSON values."""
    return as_json({item.name.rstrip("_"): getattr(options, item.name) for item in fields(options)}, str)


def _preview(options: Convert, source: FrameSource, stretch: FrameRange) -> int:
    """A sheet of some frames instead of all of them, for each choice that --try names."""
    count = options.preview or TRIED_ON
    variants = _variants(options)
    ways = [compositing(chosen, source.path) for _, chosen in variants]
    models, enhancer = _models(options), options.enhance and Enhancer(options.enhance)
    with alignments(options, source, spread(stretch.indices(source) or range(source.count or 1), SEARCHED * count)) as store:
        looked_at = set(stretch.indices(source) or store.done())
        with_face = [index for index, _, _, faces in store.frame_counts() if faces and index in looked_at]
        found = [(frame, _everybody(store, frame.index)) for frame in source.at(spread(with_face, count))]
        depth = Depth.of(store)
        roles = _roles(options, source, store, models, enhancer, ways[0][0], film=False)
    if not found:
        raise FaceswapError(f"No faces were found in {source.path} where they were looked for. Choose other frames, or more of them.")
    rows = [("as it was", [frame.image for frame, _ in found])]
    for (label, _), (compositor, follow) in zip(variants, ways):
        its = [replace(role, compositor=replace(compositor, coverage=role.compositor.coverage)) for role in roles]
        rows.append((label, [done.frame.with_patches(done.patches) for done in swap_frames(iter(found), its, follow, depth=depth)]))
    path = options.output
    if path.suffix.lower() not in picture_file.WRITTEN:
        path = path.with_name(path.name + ".preview.png")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    shown = [[face for face in faces if not face.left_out] for _, faces in found]
    picture_file.write(path, sheet(rows, shown, [_name(frame) for frame, _ in found]))
    logger.info("%s, to look at: %s", counted(len(found), "frame"), path)
    return DONE


def _name(frame: Frame) -> str:
    if frame.name:
        return frame.name
    return f"frame {frame.index + 1}, {int(frame.time // 3600)}:{int(frame.time // 60) % 60:02d}:{frame.time % 60:05.2f}"


def _variants(options: Convert) -> list[tuple[str, Convert]]:
    """The choices of --try, each with each, and what they are called. Raises UsageError."""
    declared = {item.name: item for item in declaration("convert").options}
    tried: dict[str, list[Any]] = {}
    for text in options.try_:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        name = name if name in TRIED else name.removesuffix("s")
        if name not in TRIED or not equals or not values:
            raise UsageError(f"--try {text}: say what to try as NAME=VALUE,VALUE, where NAME is one of "
                             f"{', '.join(known.replace('_', '-') for known in TRIED)}.{nearest_name(name, TRIED)}")
        tried[name] = [declared[name].value(value.strip(), f"--try {name}") for value in values.split(",")]
        for value in tried[name] if declared[name].plugin else ():
            REGISTRIES[declared[name].plugin].check_name(value)
    variants = []
    for values in product(*tried.values()):
        chosen = dict(zip(tried, values))
        others = {name for name, value in chosen.items() if value != getattr(options, name)}  # whose own options those given are not
        settings = {key: value for key, value in options.plugin_options.items() if key.partition(".")[0] not in others}
        variants.append((", ".join(f"{name.replace('_', '-')} {value}" for name, value in chosen.items()) or "swapped",
                         replace(options, **chosen, plugin_options=settings)))
    return variants


def compositing(options: Convert, source: Path | None = None) -> tuple[Compositor, EyesFollow | None]:
    """How the faces of `source` are set into frames, and what is done to them before, as the options say."""
    maskers, predicted = masks(options.mask, source and (options.alignments or default_store(source)))
    follow = EyesFollow(ALIGNERS.create("dlib68", refeed=0)) if options.follow_eyes else None  # drawn eyes are smooth: one fit will do
    sides = options.erosion_top, options.erosion_right, options.erosion_bottom, options.erosion_left
    return Compositor(options.create("color"), options.create("blender"), maskers, predicted, options.erosion, sides, options.feather,
                      match_detail=options.match_detail, sharpness=options.sharpen, scale=options.face_scale,
                      steadiness=options.steady), follow


def sink_of(options: Convert, source: FrameSource) -> FrameSink:
    """Where the frames go, as -o and -w say; nothing is written yet. Raises FaceswapError if they cannot go there."""
    writer = replace(options, writer=options.writer or writer_for(options.output, source)).create("writer")
    if options.keep_interlaced:
        if not hasattr(writer, "keep_interlaced"):
            raise UsageError("--keep-interlaced is for an output that is a video file. Leave it out.")
        writer = replace(writer, keep_interlaced=True)
    return writer.open(options.output, source)


def masks(text: str, path: Path | None) -> tuple[list[Masker], bool]:
    """The maskers that "predicted*hull" names, and whether the model's own mask is one of its factors.

    Masks are taken from the alignments file at `path`, if there is one and it has them.
    """
    names = [name.strip() for name in text.split("*")]
    known = [PREDICTED, *MASKERS.names()]
    for name in names:
        if name not in known:
            raise UsageError(f"-M/--mask: there is no mask {name!r}.{nearest_name(name, known)} There are: {', '.join(known)}; "
                             "several are joined by *.")
    store = AlignmentStore.open(path, read_only=True) if path and path.is_file() else None
    with store or nullcontext():
        return [usable(name, store) for name in names if name != PREDICTED], PREDICTED in names


def _models(options: Convert) -> dict[Path, Swapper]:
    """The trained models by their folder, in the order in which they take faces. Raises FaceswapError where one will not do."""
    models = {}
    for folder in _cast(options) if options.swap else [options.model_dir]:
        swapper = models[folder] = load_swapper(folder, "a" if options.swap_model else "b", options.morph, options.save)
        if options.mask.strip() == PREDICTED and swapper(np.zeros((1, swapper.size, swapper.size, 3), np.float32))[1] is None:
            raise FaceswapError(f"The model in {folder} predicts no mask. Choose another -M/--mask, such as hull.")
    return models


def _cast(options: Convert) -> dict[Path, str]:
    """Who gets which model, as --swap says: a person's number or the path of a photo, by the model's folder."""
    cast: dict[Path, str] = {}
    for text in options.swap:
        who, equals, folder = text.partition("=")
        if not (who and equals and folder):
            raise UsageError(f"--swap {text}: say who gets which model as WHO=MODEL_FOLDER, where WHO is a person's number, as extract "
                             "tells it, or a photo.")
        if Path(folder) in cast:
            raise UsageError(f"--swap: {folder} is named twice. Name it once, with a folder of photos of all who get it.")
        cast[Path(folder)] = who
    return cast


def _roles(options: Convert, source: FrameSource, store: AlignmentStore, models: dict[Path, Swapper], enhancer: Enhancer | None,
           compositor: Compositor, film: bool = True) -> list[Role]:
    """Which model gets whose faces; some frames of a `film` alone are not looked at together."""
    kept = _kept(options, source, store)
    networks = {folder: Enhanced(swapper, enhancer, options.enhance_strength) if enhancer else swapper
                for folder, swapper in models.items()}
    if not options.swap:
        (folder, swapper), = models.items()
        return [Role(networks[folder], replace(compositor, coverage=swapper.coverage), _chooser(options, swapper), kept,
                     _exemplars(options, folder, networks[folder], source, store, kept, film))]
    roles = []
    for folder, who in _cast(options).items():
        meant = _person(int(who[:20])) if who.isdecimal() else _like(options, source, store, [expanded(Path(who))], [])
        takes = _both(kept, meant)
        roles.append(Role(networks[folder], replace(compositor, coverage=models[folder].coverage), _chooser(options, models[folder]),
                          takes, _exemplars(options, folder, networks[folder], source, store, takes, film)))
    return roles


def _exemplars(options: Convert, folder: Path, network: Swapper | Enhanced, source: FrameSource, store: AlignmentStore,
               takes: Takes, film: bool) -> Redraw | None:
    """What draws the detail of real pictures into the faces of `source`; None of a model that has none, or where none is wanted. They are
    chosen over stretches of a `film`, or frame by frame."""
    banks = loading.read_banks(folder) if options.exemplars else {}
    to, other = ("a", "b") if options.swap_model else ("b", "a")
    if to not in banks or other not in banks:
        return None
    with_face = [index for index, _, _, faces in store.frame_counts() if faces]
    asked = [face for index in spread(with_face, LOOKED_AT) for face in _faces(store, index) if takes(index, face)]
    if not asked:
        return None
    shapes = loading.shapes_of([face.landmarks for face in asked], network.coverage)
    if not len(shapes):
        return None
    person = Person.of(shapes)
    exemplars = loading.prepared(banks, network)
    drawer = loading.drawer(network, exemplars[to], exemplars[other], person)
    logger.info("Exemplars: %d pictures of %s; the shares of their bands: %s.", len(drawer.exemplars), to.upper(),
                ", ".join(f"{share:.0%}" for share in drawer.shares))

    if source.rate is None or not film:  # pictures have nothing to do with each other
        return Separate(drawer)

    def crops(start: int, stop: int) -> Iterator[tuple[Frame, list[AlignedFace]]]:
        for frame in open_source(source.path).frames(start, stop):
            faces = []
            for face in _faces(store, frame.index):
                with suppress(Exception):  # what makes no face is told when the frame is converted
                    if takes(frame.index, face):
                        faces.append(crop_face(frame, face, network.size, network.coverage, network.drawn))
            yield frame, faces

    return Planned(drawer, crops)


def _kept(options: Convert, source: FrameSource, store: AlignmentStore) -> Takes:
    """The faces that --track, --person, -f, -n and -a leave to be swapped."""
    rules: list[Takes] = []
    if options.track:
        rules.append(lambda index, face: face.track in options.track)
    if options.person:
        rules.append(lambda index, face: face.person in options.person)
    if options.filter or options.nfilter:
        rules.append(_like(options, source, store, options.filter, options.nfilter))
    if options.aligned_dir:
        shown = faces_shown(store, options.aligned_dir)
        rules.append(lambda index, face: (index, face.number) in shown)
    return lambda index, face: all(rule(index, face) for rule in rules)


def _person(number: int) -> Takes:
    return lambda index, face: face.person == number


def _both(one: Takes, other: Takes) -> Takes:
    return lambda index, face: one(index, face) and other(index, face)


def _like(options: Convert, source: FrameSource, store: AlignmentStore, keep: Sequence[Path], drop: Sequence[Path]) -> Takes:
    """Faces like those in the pictures of `keep`, and not like those of `drop`."""
    recognizer = _recognizer(options, store)
    known = [embeddings_of(paths, options.create("detector"), options.create("aligner"), recognizer) for paths in (keep, drop)]
    with AlignmentStore.open(store.path) as writable:
        recognize(source, writable, recognizer, Cut())
        wanted = faces_wanted(writable, recognizer, Wanted(*known, threshold=options.ref_threshold))
    if not wanted:
        meant, least = ", ".join(map(str, keep)) or "the frames", options.ref_threshold or recognizer.same
        raise FaceswapError(f"Nobody in {source.path} is like those in {meant}. Choose other photos, or lower -l/--ref-threshold (now "
                            f"{least:.2f}).")
    return lambda index, face: (index, face.number) in wanted


def _recognizer(options: Convert, store: AlignmentStore) -> Recognizer:
    """That which is asked for, else the one that has embedded faces of `store` already, else the usual one."""
    name = options.recognizer or store.settings.get("recognizer", DEFAULT_RECOGNIZER)
    return replace(options, recognizer=name).create("recognizer")


def alignments(options: Settings, source: FrameSource, only: Sequence[int] | None = None, search: bool = True) -> AlignmentStore:
    """The faces in all frames of `source`, or in those of `only`: what was found before, and the rest, found now and kept; -p, -D and -A
    as in `options`.

    Without `search` nothing is found, and FaceswapError raised where anything would have to be: several runs may share the store.
    What was begun with another detector or aligner is gone on with by that, unless one was asked for.
    """
    path = options.alignments or default_store(source.path)
    if not search:
        store = AlignmentStore.open(path, read_only=True)
        check_source(source, store)
        lacking = set(range(source.count) if only is None else only) - store.done()
        if lacking and 1 not in store.settings.get("complete", []):
            store.close()
            raise FaceswapError(f"{path} lacks {counted(len(lacking), 'frame')}. Run faceswap.py extract -i {source.path} first: shards "
                                "only convert.")
        return store
    if known := _known(options, source, path):
        return known
    with AlignmentStore.open(path) as store:
        def make(kind: str) -> Any:
            before = store.settings.get(kind)
            if before and not _asked(options, kind, before["name"]):
                return REGISTRIES[f"{kind}s"].create(before["name"], **before["options"])
            return options.create(kind)

        summary = extract(source, store, lambda: make("detector"), lambda: make("aligner"), only=only)
        if not summary.faces and summary.dropped:
            raise FaceswapError(all_left_out(source.path, summary.dropped))
        if not summary.faces:
            raise FaceswapError(f"No faces found in {source.path} ({summary.frames} frames). Look whether it shows faces; "
                                "then try another -D/--detector.")
    return AlignmentStore.open(path, read_only=True)  # others may use it meanwhile


def _asked(options: Settings, kind: str, before: str | None) -> bool:
    """Whether a detector or aligner is asked for, and it is not the one called `before` as it is."""
    default = next(item.default for item in fields(options) if item.name == kind)
    return getattr(options, kind) not in (default, before) or bool(options.plugin_options.get(kind))


def _known(options: Settings, source: FrameSource, path: Path) -> AlignmentStore | None:
    """The store at `path` where all of a video was searched and linked before: nothing is written to it, and no detector is needed."""
    if source.rate is None or not path.is_file():
        return None
    store = AlignmentStore.open(path, read_only=True)
    try:
        check_source(source, store)
        (faces, _, frames), settings = store.counts(), store.settings
        known = faces and 1 in settings.get("complete", []) and settings.get("followed") == frames and not any(
            _asked(options, kind, settings.get(kind, {}).get("name")) for kind in ("detector", "aligner"))
    except BaseException:
        store.close()
        raise
    if not known:
        store.close()
    return store if known else None


def _chooser(options: Convert, swapper: Swapper) -> Choose:
    """The rule of --faces."""
    if options.faces == "largest":
        return largest
    if options.faces == "all":
        return everyone
    replaced = "b" if options.swap_model else "a"
    if replaced not in swapper.identity:
        raise FaceswapError(f"The model does not know what person {replaced} looks like. Choose --faces all or largest.")
    return nearest(np.asarray(swapper.identity[replaced]), RECOGNIZERS.create(swapper.recognizer))


@dataclass(kw_only=True)
class Convert(Settings):
    """Set swapped faces into a video or pictures.

    Takes every frame of the input, replaces each face by what the trained model makes of it, and writes a video or a folder
    of pictures. Faces are found on the fly where extract has not found them before, and kept for the next run.
    Nothing outside the faces changes; sound, subtitles and chapters are kept. What a run that was stopped had finished is used
    when the same command is run again. OUTPUT.run.json tells how the output came about.
    """

    input: Path = option(help="A video, a folder of pictures, or a picture.", short="-i")
    output: Path = option(help="A video, or a folder for pictures.", short="-o")
    model_dir: Path | None = option(None, "The folder of a trained model. Needed, unless --swap names several.", short="-m")
    swap: list[str] = option([], "Instead of -m: several models in one go, such as 1=MODEL_X photo.jpg=MODEL_Y: a person's number, as "
                                 "extract tells it, or somebody's photo, and the folder of the model for that face.")
    save: str | None = option(None, "Not the newest save of the model but this one: the iteration of a save or snapshot, previous or best.")
    alignments: Path | None = option(None, "The alignments file of the input, if it is not in its usual place.", short="-p")
    morph: float | None = option(None, "How far towards B's face to go, of models that can stop half way, such as amp; by default 0.75.",
                                 low=0.0, high=1.0)
    swap_model: bool = option(False, "Swap the other way round: B becomes A.", short="-s")
    faces: str = option("all", "Which faces of a frame to swap; nearest-a is the one that looks like the person to be replaced, "
                               "if it does.", choices=("all", "largest", "nearest-a"))
    track: list[int] | None = option(None, "Swap these tracks alone: numbers, as alignments draw shows them.")
    person: list[int] | None = option(None, "Swap these people alone: numbers, as extract tells them.")
    filter: list[Path] = option([], "Swap only faces like those in these photos.", short="-f")
    nfilter: list[Path] = option([], "Do not swap faces like those in these photos.", short="-n")
    ref_threshold: float | None = option(None, "How like a face must be to the photos, as a cosine; by default that of the recognizer, such as 0.57.", short="-l",
                                         low=-1.0, high=1.0)
    recognizer: str | None = option(None, "What compares faces with the photos; by default that which extract used.",
                                    plugin="recognizers")
    aligned_dir: Path | None = option(None, "Swap only faces whose pictures, as extract wrote them, are in this folder: delete those that "
                                            "are not to be swapped.", short="-a")
    color: str = option("reinhard", "How the colours of the new face are fitted to the old one.", short="-c", plugin="colors")
    mask: str = option("predicted*hull", "Which part of the face is replaced: predicted (by the model, where it can), a masker, or masks "
                                         "that extract -M or mask made of the input's faces; joined by * where all must agree.", short="-M")
    erosion: float = option(0.0, "Move the mask's edge inwards by this share of the face's size; less than 0 moves it outwards.",
                            low=-0.25, high=0.25)
    erosion_top: float = option(0.0, "The same besides at the top of the face alone.", low=-0.25, high=0.25)
    erosion_right: float = option(0.0, "At its right, as it is seen.", low=-0.25, high=0.25)
    erosion_bottom: float = option(0.0, "At its bottom.", low=-0.25, high=0.25)
    erosion_left: float = option(0.0, "At its left.", low=-0.25, high=0.25)
    feather: float = option(0.1, "Width of the mask's soft edge as a share of the face's size.", low=0.0, high=0.5)
    match_detail: bool = option(True, "Give faces the sharpness, the noise and, where they move, the smear of the frame.")
    sharpen: float = option(0.0, "Add the fine detail of the new face so many times more; 0.5 to 1 is much.", low=0.0, high=5.0)
    enhance: Path | None = option(None, "The TOML file of an ONNX network of your own that draws faces larger or clearer (docs/onnx.md).")
    enhance_strength: float = option(1.0, "How much of what it draws counts.", low=0.0, high=1.0)
    face_scale: float = option(1.0, "Size of the new face, of the old one's.", low=0.5, high=2.0)
    exemplars: bool = option(True, "Give the new face the fine detail of real pictures of B, which the model's folder holds.")
    steady: float = option(0.0, "Filter what the model draws along the motion of the frame before and the one after, against flicker: 1 is "
                                "most, and softens.", low=0.0, high=1.0)
    follow_eyes: bool = option(True, "Move the eyelids of the new face to where those of the old one are.")
    blender: str = option("alpha", "How the face is joined to the frame.", short="-b", plugin="blenders")
    writer: str | None = option(None, "What is written; by default the output's name decides, or an option that one of them alone has.",
                                short="-w", plugin="writers")
    from_: str | None = option(None, "Begin there: a time of the video, as seconds, MM:SS or HH:MM:SS.")
    to: str | None = option(None, "End there, likewise.")
    frames: str | None = option(None, "Swap in these frames alone, counted from 1: 10-50,90-100. The others are written as they are.")
    shard: str | None = option(None, "Convert only this part of the frames, such as 3/16, on one of several machines that write to one "
                                     "output; extract before.")
    keep_interlaced: bool = option(False, "Keep the fields of interlaced video around the faces. Else frames are deinterlaced.")
    label: str | None = option(None, "Write these words into each frame, where they hide no face: AI-generated, for instance.")
    provenance: bool = option(True, "Mark what is made as synthetic: signed Content Credentials (C2PA) in MP4, MOV, AVI, JPEG, PNG, WebP, "
                                    "TIFF and GIF, and a plain statement that any reader shows. See faceswap.py provenance.")
    consent: list[Path] = option([], "Records of consent, text or PDF: what is made names them by their hash, so that you can show later "
                                     "what you had.")
    certificate: Path | None = option(None, "Sign with your own certificates instead of those made on first use: a PEM file.")
    signing_key: Path | None = option(None, "The private key of the first of them, PEM; its password, if it has one, is taken from "
                                            "FACESWAP_KEY_PASSWORD.")
    timestamp: str | None = option(None, "The address of a time stamping authority (RFC 3161) that confirms when it was signed.")
    preview: int | None = option(None, "Write no result but a sheet of so many frames to look at, beside the output or, if its name is "
                                       "that of a picture, there.", low=1, high=60)
    try_: list[str] = option([], "A preview with a row for each of these settings, such as color=reinhard,linear blender=alpha,pyramid.")
    detector: str = option("auto", "What finds faces where that was not done before.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "What finds landmarks where that was not done before.", short="-A", plugin="aligners")
