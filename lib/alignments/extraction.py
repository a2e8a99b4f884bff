"""Finding the faces of a source: the loop that extract, train, convert and swap share. It goes on where an earlier run stopped."""

from __future__ import annotations

import dataclasses
import logging
import os
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, starmap
from pathlib import Path
from typing import Any

import numpy as np

from lib.alignments import masking, tracking, tracks
from lib.alignments.identity import Wanted, recognize, tell_apart
from lib.alignments.store import AlignmentStore, StoredFace
from lib.errors import FaceswapError
from lib.faces.finding import OFF, find
from lib.faces.geometry import DEFAULT_COVERAGE, DEFAULT_SIZE
from lib.faces.quality import is_face
from lib.facesets.cutting import Cut
from lib.facesets.folder import FaceFolder
from lib.files.fingerprint import fingerprint, stamp
from lib.files.reading import as_json
from lib.media.base import NEAR, FrameSource
from lib.plugin import ALIGNERS, DETECTORS, MASKERS, RECOGNIZERS, Aligner, Detector, Masker, Recognizer
from lib.registry import Registry
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import opencv_on_one_thread, ordered_map
from lib.system.profile import Stages
from lib.system.progress import progress
from lib.types import Face, Frame, Shard

logger = logging.getLogger(__name__)

BATCH, BATCH_SECONDS, BATCH_BYTES = 8, 0.25, 32 << 20  # frames that a thread takes at a time, and how long and large they may be


@dataclass(frozen=True)
class Summary:
    """What the store holds when extraction has ended, and what this run did for it."""

    faces: int
    frames_with_face: int
    frames: int
    searched: int  # frames searched in this run; the others were done before
    written: int  # face PNGs of this run
    losses: list[str]  # what of the source could not be read, a sentence each
    detector: str
    seconds: float
    tracks: int  # of all faces, as far as frames follow one another
    filled: int  # faces that the detector missed within a track
    dropped: dict[str, int]  # faces left out, by the reason: a key of `left_out.REASONS`
    people: dict[int, int]  # faces of each person; empty where people were not told apart


@dataclass(frozen=True)
class _Job:
    frame: Frame
    known: list[StoredFace] | None  # the faces, where an earlier run found them
    written: frozenset[int] | None  # numbers of those that were written before; the others are to be; None where none is


@dataclass(frozen=True)
class _Found:
    """What came of a job."""

    job: _Job
    faces: list[StoredFace]
    look: np.ndarray | None = None  # of a frame that was searched, as the next one
    file: tuple[str, str] | None = None  # stamp and fingerprint of a picture's file


@dataclass(frozen=True)
class _Plan:
    """What earlier runs left to do."""

    segments: list[tuple[int, int | None]]  # frames to decode; the last one is open where the end is not known for sure
    needed: set[int]
    end: int | None  # every frame from here on is needed; None where there is a last one
    done: set[int]
    written: dict[int, set[int]]  # numbers of the faces that were written before, by frame
    total: int | None


def extract(source: FrameSource, store: AlignmentStore, make_detector: Callable[[], Detector], make_aligner: Callable[[], Aligner], *,
            sink: FaceFolder | None = None, maskers: Sequence[Masker] = (), size: int = DEFAULT_SIZE, coverage: str = DEFAULT_COVERAGE,
            every: int = 1, min_face: int | None = None, rotate: Sequence[int] | None = None, smooth: bool | None = None,
            recognizer: Recognizer | None = None, wanted: Wanted | None = None, shard: Shard | None = None,
            only: Sequence[int] | None = None, workers: int | None = None, stages: Stages | None = None) -> Summary:
    """Finds the faces in every `every`-th frame of `source` into `store` and, with a `sink`, writes them aligned.

    What the store has is not searched again, and faces are not written again that were written before. `size` and
    `coverage` are those of the faces written. `min_face` is the smallest face looked for, in frame pixels, 0 what the detector finds
    by itself, and `rotate` the angles (degrees) by which frames are turned where that may help; None means as the store was begun.
    Pictures that show no face get two more looks, from farther away and closer; frames of videos do not, since their neighbours tell.
    One decoder feeds `workers` threads (as many as cores by default), each with a detector of
    its own. When all frames are known, faces are linked through time, and `smooth` takes the jitter out of their landmarks
    (None: in a video, unless the store was begun otherwise). With a `recognizer` people are told apart. Faces of others than those
    `wanted` are left out (None: as the store was begun); they are written when all frames are known. With a `shard` only its part
    of the frames is searched, and nothing is done that needs all frames. With `only`, indices that ascend, no other frames are.
    Pictures whose files hold something else than when they were searched are searched anew.
    Raises FaceswapError if the store belongs to another source or was begun with other settings.
    """
    began = time.monotonic()
    stages = stages or Stages()
    check_source(source, store, anew=True)
    recorded = store.settings
    detector, aligner = make_detector(), make_aligner()
    wishes = {"aligner": _description(aligner, ALIGNERS), "min_face": recorded.get("min_face", 0) if min_face is None else min_face,
              "rotate": recorded.get("rotate", []) if rotate is None else list(rotate)}
    if type(detector).settle is Detector.settle:  # one that chooses is content with what the store was begun with
        wishes["detector"] = _description(detector, DETECTORS)
    _check_wishes(store, recorded, wishes)
    _check_shard(store, recorded, shard)
    wanted = _begin_choice(store, wanted, sink)

    masking.begin(store, maskers)
    cut = Cut(sink, size, coverage)
    find_all = partial(_find_all, source, store, detector, aligner, wishes, maskers=maskers, every=every, shard=shard, only=only,
                       workers=workers, stages=stages)
    searched, written, losses = find_all(cut=replace(cut, sink=None) if wanted else cut)
    if not shard:
        with stages("tracks"):
            filled = follow(source, store, aligner, smooth, replace(cut, sink=None) if wanted else cut)
        with stages("people"):
            _recognize(source, store, recognizer, wanted, cut)
        if wanted and sink or filled and maskers:
            written += find_all(cut=cut)[1]
        written += len(filled) if sink and not wanted else 0
    return Summary(*store.counts(every), searched, written, losses, store.settings.get("detector", {}).get("name", ""),
                   time.monotonic() - began, *store.track_counts(), store.dropped_counts(), store.people())


def _find_all(source: FrameSource, store: AlignmentStore, detector: Detector, aligner: Aligner, wishes: dict[str, Any], *, cut: Cut,
              maskers: Sequence[Masker], every: int, shard: Shard | None, only: Sequence[int] | None, workers: int | None,
              stages: Stages) -> tuple[int, int, list[str]]:
    """Searches what is not searched, and writes what is not written: how many frames and faces, and what could not be read."""
    recorded = store.settings
    plan = _plan(source, store, cut.sink, [MASKERS.name_of(masker) for masker in maskers], every, shard, only)
    searched = written = 0
    losses: list[str] = []
    if not plan.segments:
        return searched, written, losses
    before = recorded.get("detector")
    detector = detector.settle(before["name"], **before["options"]) if before else detector.settle(None)
    if not before:
        part = {"shard": [shard.number, shard.count]} if shard else {}
        store.update(wishes | part | {"detector": _description(detector, DETECTORS), "source": source_identity(source)})
    if plan.segments[-1][1] is None or plan.needed - plan.done:
        logger.info("Finding faces in %s with %s.", os.path.basename(os.path.abspath(source.path)), DETECTORS.name_of(detector))
    search = partial(find, min_face=wishes["min_face"], angles=wishes["rotate"], again=bool(_pictures(source)), stages=stages)
    work = partial(_find, search=search, source=source, cut=cut, maskers=maskers, stages=stages)
    jobs = _jobs(source, store, plan, every, losses) if not cut.sink else (
        replace(job, written=frozenset(plan.written.get(job.frame.index, ()))) for job in _jobs(source, store, plan, every, losses))
    for found in progress(_on_all_cores(work, jobs, detector, aligner, workers), "extract", plan.total,
                                     plan.total - len(plan.needed) if plan.total else 0):
        job, faces = found.job, found.faces
        with stages("store"):
            if job.known is None:
                store.add(job.frame.index, job.frame.name, job.frame.time, faces, found.look, found.file)
                searched += 1
            elif maskers:
                for stored in faces:
                    store.add_masks(job.frame.index, stored.number, stored.masks)
            if job.written is not None:
                new = [stored.number for stored in faces if stored.dropped is None and stored.number not in job.written]
                store.add_written(cut.sink.path, job.frame.index, new)
                written += len(new)
    if not searched and not losses:  # what was lost before was lost between frames that were read
        losses = recorded.get("losses", [])
    complete = set(recorded.get("complete", []))
    store.update({"losses": losses, "complete": sorted(complete if losses or only is not None else complete | {every})})
    return searched, written, losses


def _find(jobs: list[_Job], detector: Detector, aligner: Aligner, search: Callable[..., list[list[Face]]], source: FrameSource, cut: Cut,
          maskers: Sequence[Masker], stages: Stages) -> list[_Found]:
    """The faces of each frame, masked, and written if the job says so.

    All frames go through one stage before the next begins, so that a stage finds its weights in the processor's cache: dlib's
    landmarks take 3 ms a frame where they took 5.
    """
    images = [job.frame.image for job in jobs if job.known is None]
    rows = iter(search(images, detector, aligner) if images else [])
    found = [(job, list(starmap(_judged, enumerate(next(rows)))) if job.known is None else job.known) for job in jobs]
    for job, faces in found:
        if job.frame.name and job.written is not None and not job.written:
            cut.take_away(source, job.frame, {stored.number for stored in faces if not stored.dropped})
        for place, stored in enumerate(faces):
            if stored.dropped:
                continue
            face = None
            if job.written is not None and stored.number not in job.written:
                with stages("crop"):
                    face = cut.crop(job.frame.image, stored.fitted)
                with stages("write"):
                    cut.write(source, job.frame, stored.number, face)
            if missing := [masker for masker in maskers if MASKERS.name_of(masker) not in stored.masks]:
                with stages("mask"):
                    made = masking.masks(job.frame.image, stored.fitted, missing, face if cut.coverage == DEFAULT_COVERAGE else None)
                faces[place] = replace(stored, masks=stored.masks | made)
    files = _pictures(source)
    return [_Found(job, faces, tracks.look(job.frame.image), file_of(files[job.frame.index]) if files else None) if job.known is None else
            _Found(job, faces) for job, faces in found]


def file_of(path: Path) -> tuple[str, str] | None:
    """Stamp and fingerprint of a picture's file; None where it was taken away after it was read."""
    try:
        return stamp(path), fingerprint(path)
    except OSError:
        return None


def follow(source: FrameSource, store: AlignmentStore, aligner: Aligner, smooth: bool | None, cut: Cut) -> list[int]:
    """Tracks and smoothed landmarks of all faces of the store, if they are not what they should be yet.

    `smooth` None: as before; the first time, in a video. Returns the frames of the faces that had been missed, which are written.
    """
    recorded, pictures, frames = store.settings, bool(_pictures(source)), store.counts()[2]
    smooth = recorded.get("smooth", not pictures) if smooth is None else smooth
    if pictures and not smooth and "smooth" not in recorded or (recorded.get("smooth"), recorded.get("followed")) == (smooth, frames):
        return []
    filled = tracking.track(source, store, aligner, smooth, cut)
    store.update({"smooth": smooth, "followed": frames})
    return filled


def _begin_choice(store: AlignmentStore, wanted: Wanted | None, sink: FaceFolder | None) -> Wanted:
    """Whose faces are wanted, by this run or as the store was begun. Raises FaceswapError if `sink` holds those of another choice."""
    recorded = store.settings
    before = Wanted.from_json(recorded["wanted"]) if "wanted" in recorded else Wanted()
    wanted = before if wanted is None else wanted
    now, everybody, chosen = wanted.to_json(), Wanted().to_json(), recorded.get("chosen")
    if sink:
        folder = store.folder_key(sink.path)
        its = recorded.get("wanted", everybody) if chosen is None else chosen.get(folder, everybody)
        if its != now and not sink.is_empty() and store.written(sink.path):
            raise FaceswapError(f"{sink.path} holds the faces of another choice of people. Name another folder with -o, or empty that one.")
    if wanted or chosen:
        others = {other: its for other, its in (chosen or {}).items() if not sink or other != folder}
        store.update({"chosen": others | ({folder: now} if wanted and sink else {})})
    if not wanted and before:  # everybody is, again
        store.drop("person", [])
        store.update({"wanted": now})
    return wanted


def _recognize(source: FrameSource, store: AlignmentStore, recognizer: Recognizer | None, wanted: Wanted,
               cut: Cut) -> None:
    """Tells people apart and leaves out those who are not wanted, if that is not done yet for all frames."""
    recorded, frames = store.settings, store.counts()[2]
    if recognizer is None and wanted:
        recognizer = RECOGNIZERS.create(recorded["recognizer"])
    if recognizer is None:
        return
    now = {"recognizer": RECOGNIZERS.name_of(recognizer), "recognized": frames, "wanted": wanted.to_json()}
    if any(recorded.get(key) != value for key, value in now.items()):
        recognize(source, store, recognizer, cut)
        tell_apart(store, recognizer, wanted)
        store.update(now)


def _judged(number: int, face: Face) -> StoredFace:
    """The face, left out if it is too small, which it is where it has no landmarks, or if they are no face's."""
    dropped = "size" if not len(face.landmarks) else None if is_face(face) else "landmarks"
    return StoredFace(face, dropped=dropped, number=number)


class _Batches:
    """Cuts jobs into batches of up to BATCH, fewer where their frames are large or take long: a batch broken off is lost."""

    def __init__(self, jobs: Iterable[_Job]):
        self._jobs = jobs
        self._seconds = BATCH_SECONDS  # that a frame takes

    def __iter__(self) -> Iterator[list[_Job]]:
        batch, size = [], 0
        for job in self._jobs:
            batch.append(job)
            size += 3 * job.frame.size[0] * job.frame.size[1]
            if len(batch) >= min(BATCH, BATCH_SECONDS / self._seconds) or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def took(self, batch: list[_Job], seconds: float) -> None:
        self._seconds = max(seconds / len(batch), 1e-6)  # a coarse clock may say 0


def _on_all_cores(work: Callable, jobs: Iterable[_Job], detector: Detector, aligner: Aligner, workers: int | None) -> Iterator:
    """What `work(batch, detector, aligner)` yields for all jobs, in order; no two threads use one detector at a time."""
    workers = workers or device.cores()
    kits = queue.SimpleQueue()
    for kit in [(detector, aligner)] + [(dataclasses.replace(detector), dataclasses.replace(aligner)) for _ in range(workers - 1)]:
        kits.put(kit)

    batches = _Batches(jobs)

    def with_kit(batch: list[_Job]):
        kit = kits.get()
        began = time.monotonic()
        try:
            return work(batch, *kit)
        finally:
            batches.took(batch, time.monotonic() - began)
            kits.put(kit)

    with opencv_on_one_thread():
        yield from chain.from_iterable(ordered_map(with_kit, batches, workers))


def _jobs(source: FrameSource, store: AlignmentStore, plan: _Plan, every: int, losses: list[str]) -> Iterator[_Job]:
    """Decodes what is needed; adds to `losses` what cannot be."""
    for start, stop in plan.segments:
        for frame in source.frames(start, stop):
            index = frame.index
            if index in plan.needed or plan.end is not None and index >= plan.end and index % every == 0:
                yield _Job(frame, store.faces(index) if index in plan.done else None, None)
        losses += source.losses


def _plan(source: FrameSource, store: AlignmentStore, sink: FaceFolder | None, maskers: Sequence[str], every: int,
          shard: Shard | None, only: Sequence[int] | None) -> _Plan:
    done = store.done()
    complete = any(every % other == 0 for other in store.settings.get("complete", []))
    first, end = 0, max(done, default=-1) + 1
    if not complete and source.count is not None:
        end = max(end, source.count)
    last_shard = only is None  # whose work goes on to the very end
    if shard:
        if source.count is None:
            raise FaceswapError(f"How many frames {source.path} has only reading it tells, so that it cannot be cut into shards. "
                                "Put it into a container with an index, such as MP4, first.")
        first, stop = shard.frames(source.count)
        last_shard = shard.number == shard.count
        end = end if last_shard else stop
    if sink and sink.is_empty():
        store.forget_written(sink.path)
    written: dict[int, set[int]] = {}
    for index, number in store.written(sink.path) if sink else ():
        written.setdefault(index, set()).add(number)
    unwritten = store.unwritten(sink.path) if sink else set()
    unmasked = set().union(*(store.without_mask(masker) for masker in maskers))
    wanted = [index for index in range(first + -first % every, end, every) if not complete or index in done] if only is None else only
    needed = [index for index in wanted if index not in done or index in unmasked or index in unwritten]

    gap = 1 if _pictures(source) else NEAR
    segments: list[tuple[int, int | None]] = []
    for index in needed:
        if segments and index - segments[-1][1] < gap:
            segments[-1] = (segments[-1][0], index + 1)
        else:
            segments.append((index, index + 1))
    if not complete and last_shard:  # on to the very end: the number of frames that a video announces may be wrong
        if segments and end - segments[-1][1] < gap:
            segments[-1] = (segments[-1][0], None)
        else:
            segments.append((end, None))
    return _Plan(segments, set(needed), None if not last_shard else end, done, written,
                 len(wanted) if complete or source.count is not None else None)


class ChangedPictures(FaceswapError):
    """Pictures show something else than when they were searched."""

    def __init__(self, message: str, indices: list[int]):
        super().__init__(message)
        self.indices = indices


def search_changed(source: FrameSource, store: AlignmentStore) -> None:
    """Searches those pictures again that show something else than when they were searched, with what the store was begun with.

    Raises FaceswapError as `check_source` does.
    """
    try:
        check_source(source, store)
    except ChangedPictures as changed:
        made = {kind: store.settings.get(kind, {"name": name, "options": {}})
                for kind, name in (("detector", "auto"), ("aligner", "dlib68"))}
        extract(source, store, lambda: DETECTORS.create(made["detector"]["name"], **made["detector"]["options"]),
                lambda: ALIGNERS.create(made["aligner"]["name"], **made["aligner"]["options"]), only=changed.indices)


def check_source(source: FrameSource, store: AlignmentStore, anew: bool = False) -> None:
    """Raises FaceswapError if `store` was begun with another source; fits it to a folder with new pictures.

    A picture is known by its content: of those that are not what was searched, all is forgotten with `anew`, so that extract searches
    them again; else ChangedPictures is raised. A store that may only be read is not changed.
    """
    recorded = store.settings.get("source")
    if recorded is None:
        return
    pictures = _pictures(source)
    same_film = "" if pictures else ("If it is the same film, encoded anew, faceswap.py alignments rename --force keeps what was found in "
                                     "it; if not: ")
    other = FaceswapError(f"{store.path} belongs to {recorded['path']}, which is not the same as {source.path} now. {same_film}"
                          "Delete that file to start anew, or name another with -p.")
    if not pictures:
        if not same_video(recorded["video"], source_identity(source)["video"]):
            raise other
        return
    names, before = source.names, store.names()
    moved = any(index >= len(names) or names[index] != name for index, name in before.items())
    if before and not set(before.values()) & set(names) or moved and store.read_only:
        raise other
    others = not store.read_only and (moved or recorded["pictures"] != len(names))
    if others:
        logger.info("%s has other pictures than before: those already searched keep their faces.", source.path)
        store.renumber(names)
    changed = _fit_files(source, store)
    if not anew:
        changed = [frame.index for frame in source.at(changed)]  # what cannot be read is told by who needs it
    if changed and not anew:
        raise ChangedPictures(f"{counted(len(changed), 'picture')} of {source.path} {'is' if len(changed) == 1 else 'are'} not what was "
                              f"searched for faces, such as {names[changed[0]]}: its content is another. Run faceswap.py extract -i "
                              f"{source.path} first, which searches it again.", changed)
    if changed:
        logger.info("Changed since the last search, and searched again: %s of %s, such as %s.", counted(len(changed), "picture"),
                    source.path, names[changed[0]])
        store.forget(changed)
    if changed or others:
        store.update({"complete": [], "losses": [], "followed": None, "recognized": None, "source": source_identity(source)})


def _fit_files(source: FrameSource, store: AlignmentStore) -> list[int]:
    """The pictures that are others than those that were searched, by what is known of their files, else by their look.

    Notes of the others how their files are now.
    """
    files = _pictures(source)
    changed, noted, unknown = [], {}, {}
    for index, before, content, look in store.files():
        try:
            now = stamp(files[index])
            if now == before:
                continue
            noted[index] = now, fingerprint(files[index])
        except OSError:  # it is told when it is to be read
            continue
        if content is None and look is not None:
            unknown[index] = look
        elif content not in (None, noted[index][1]):
            changed.append(index)
    for frame in source.at(sorted(unknown)):
        if not np.array_equal(tracks.look(frame.image), unknown[frame.index]):
            changed.append(frame.index)
    if noted and not store.read_only:
        store.set_files({index: file for index, file in noted.items() if index not in set(changed)})
    return sorted(changed)


def same_video(before: dict[str, Any] | None, now: dict[str, Any] | None) -> bool:
    """Whether two identities of videos are of one; earlier versions knew no `content`."""
    if before is None or now is None:
        return before is now
    return all(before[key] == now[key] for key in before.keys() & now.keys())


def _pictures(source: FrameSource) -> list[Path]:
    """The files of a source that reads one for each frame; none for a video."""
    return getattr(source, "files", [])


def source_identity(source: FrameSource) -> dict[str, Any]:
    """What tells one source from another, wherever it is moved."""
    path = os.path.abspath(source.path)
    if pictures := _pictures(source):
        return {"path": path, "video": None, "pictures": len(pictures)}
    file = Path(path) if os.path.isfile(path) else None  # frames may be made, not read
    size, content = (os.path.getsize(file), fingerprint(file)) if file else (None, None)
    return {"path": path, "video": {"bytes": size, "size": list(source.size), "content": content}, "pictures": None}


def _check_wishes(store: AlignmentStore, recorded: dict[str, Any], wishes: dict[str, Any]) -> None:
    for key, wish in wishes.items():
        if recorded.get(key, wish) != wish:
            raise FaceswapError(f"{store.path} was begun with {_words(key, recorded[key])}, this run asks for {_words(key, wish)}. "
                                "Ask for the same, delete that file to start anew, or name another with -p.")


def _check_shard(store: AlignmentStore, recorded: dict[str, Any], shard: Shard | None) -> None:
    begun = Shard(*recorded["shard"]) if "shard" in recorded else None
    if begun == shard or "source" not in recorded:
        return
    if shard is None:
        raise FaceswapError(f"{store.path} is of the part {begun.number}/{begun.count} alone. Join all parts with alignments merge, "
                            f"or say --shard {begun.number}/{begun.count}.")
    whole = "all frames" if begun is None else f"the part {begun.number}/{begun.count}"
    raise FaceswapError(f"{store.path} was begun for {whole}, this run asks for {shard.number}/{shard.count}. Name another file with -p.")


def _words(key: str, setting: Any) -> str:
    if isinstance(setting, list):
        setting = ",".join(map(str, setting)) or OFF
    if not isinstance(setting, dict):
        return f"--{key.replace('_', '-')} {setting}"
    return f"{key} {setting['name']}" + "".join(f" {name}={value}" for name, value in setting["options"].items())


def _description(plugin: Any, registry: Registry) -> dict[str, Any]:
    """A plugin and its options as the store keeps them."""
    return as_json({"name": registry.name_of(plugin), "options": dataclasses.asdict(plugin)}, str)
