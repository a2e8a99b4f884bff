"""Where frames go: which writer a name means, what it must not overwrite, and pictures."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS, VIDEO_FORMATS, same_path
from lib.files.writing import disk_errors, make_folder, write_text
from lib.media.animated import ENDINGS as ANIMATED
from lib.media.base import PQ, FrameSink, FrameSource, Mark
from lib.media.pictures import picture_file
from lib.media.pictures.metadata import WITH_EXIF, Metadata, read_metadata
from lib.media.pictures.picture_frames import with_patches
from lib.types import Frame, Patch, Shard, as_bytes, with_alpha

logger = logging.getLogger(__name__)
GREY_TOLERANCE = 2  # levels that red, green and blue of a grey picture may differ by rounding
# Endings of formats that know transparency, and 16 bits
WITH_ALPHA, DEEP = (".png", ".tif", ".tiff", ".webp"), (".png", ".tif", ".tiff")
NO_MASK, ALPHA, SEPARATE = "none", "alpha", "separate"
MARK = ".faceswap-run"  # in a folder of pictures: the key of the run that writes them


def writer_for(path: Path, source: FrameSource) -> str:
    """The writer plugin for an output of this name: "video" or "animation" by its ending, else
    "images", also for the name of an animation where `source` has one frame."""
    path = Path(path)
    ending = path.suffix.lower()
    if path.is_dir():
        return "images"
    if ending in ANIMATED and (source.count != 1 or ending not in picture_file.WRITTEN):
        return "animation"
    return "video" if ending in VIDEO_FORMATS else "images"


def check_output(path: Path, source: FrameSource) -> None:
    """Raises FaceswapError where writing `path` would destroy what is read, or its ending is that
    of a video that is not written."""
    if same_path(path, source.path):
        raise FaceswapError(f"{path} is the input. Choose another output: the original is never "
                            "overwritten.")
    ending = path.suffix.lower()
    if ending in VIDEO_ENDINGS - VIDEO_FORMATS.keys() and not path.is_dir():
        raise FaceswapError(f"Videos are not written as {ending}. Choose one of "
                            f"{', '.join(sorted(VIDEO_FORMATS))}.")


def refuse_hdr(source: FrameSource, what: str) -> None:
    """Raises FaceswapError where `source` is HDR video, which `what` is written cannot say."""
    if source.hdr_coded:
        kind = "HDR10" if source.hdr_coded[1] == PQ else "HLG"
        raise FaceswapError(f"{source.path} is HDR video ({kind}), which {what} does not keep. "
                            "Write a video, or PNG with --writer.format png --writer.depth 16, or "
                            "convert the input to SDR first.")


class PictureSink(FrameSink):
    """Pictures in a folder, each under its frame's name, or one picture, where `path` names one.

    `ending` (".png") is that of all pictures; None keeps that of each input where it is written,
    else PNG. Each picture appears whole: what was written stays when a run ends early, and is not
    written again by the next.
    """

    def __init__(self, path: Path, source: FrameSource, ending: str | None = None,
                 mask: str = NO_MASK,
                 deep: bool = False):
        """`mask` ALPHA: the new faces alone, the rest transparent; SEPARATE: masks in files of
        their own besides. `deep`: 16 bits a channel."""
        self.path = path = Path(path)
        check_output(path, source)
        self._single = path.suffix.lower() in PICTURE_ENDINGS and not path.is_dir()
        self._source, self._ending, self._mask, self.deep = source, ending, mask, deep
        self._check_path()
        # Endings of formats that hold what is asked for
        self._kept_endings = {candidate for candidate in picture_file.WRITTEN
                      if (not deep or candidate in DEEP) and (mask != ALPHA or candidate in WITH_ALPHA)}
        self._check_format(path.suffix.lower() if self._single else ending)
        self._named: dict[int, str] = {}  # names of pictures, by the index of the frame
        self._used_names: set[str] = set()
        self._workers = os.cpu_count() or 1
        self._waiting: deque[Future] = deque()
        self._logged: set[str] = set()  # what pictures lose
        self._lock = threading.Lock()

    def _check_path(self) -> None:
        path, ending, source = self.path, self.path.suffix.lower(), self._source
        if self._single and source.count != 1:
            raise FaceswapError(f"{path} is the name of one picture, but {source.path.name} has "
                                f"{source.count or 'many'} frames. Name a folder or a video.")
        if ending in VIDEO_FORMATS and not path.is_dir():
            raise FaceswapError(f"{path} is the name of a video, but pictures are to be written. "
                                "Name a folder, or choose --writer video.")
        if self._single and ending not in picture_file.WRITTEN:
            raise FaceswapError(f"Pictures are not written as {path.suffix}. Choose one of "
                                f"{', '.join(sorted(picture_file.WRITTEN))}.")
        if not self._single and source.files and same_path(path, source.files[0].parent):
            raise FaceswapError(f"{path} holds the input, which would be overwritten. Choose "
                                "another folder.")

    def _check_format(self, ending: str | None) -> None:
        has_alpha = self._mask == ALPHA
        for is_asked, endings, what in ((has_alpha, WITH_ALPHA, "transparency"),
                                        (self.deep, DEEP, "16 bits")):
            if is_asked and ending not in (None, *endings):
                raise FaceswapError(f"{ending} pictures know no {what}. Choose one of "
                                    f"{', '.join(endings)}.")
        if not self.deep or has_alpha or ending not in (None, ".png"):
            kind = "with alpha" if has_alpha else "of 16 bits" if self.deep else "of 8 bits"
            refuse_hdr(self._source, f"a picture {kind}{f' as {ending}' if ending else ''}")

    def __enter__(self) -> PictureSink:
        folder = self.path.parent if self._single else self.path
        with disk_errors(folder):
            make_folder(folder)
        if not os.access(folder, os.W_OK):
            raise FaceswapError(f"{folder} may not be written. Choose another output or change its "
                                "permissions.")
        self._pool = ThreadPoolExecutor(self._workers)
        return self

    def missing(self, key: str, start: int = 0, stop: int | None = None, shard: Shard | None = None,
                again: Collection[int] = ()) -> list[tuple[int, int | None]]:
        total, names = self._source.count if stop is None else stop, self._source.names
        first, after = start, total
        if shard:
            first, after = (start + place for place in shard.frames(total - start))
        if self._single:
            return [(first, after if shard else stop)]
        done = self._begin_run(key)
        if after is None:  # only reading tells how many there are
            while self._name(first, "") in done and first not in again:
                first += 1
            return [(first, None)]
        ranges: list[tuple[int, int | None]] = []
        for index in range(first, after):
            if self._name(index, names[index] if names else "") in done and index not in again:
                continue
            begin = ranges.pop()[0] if ranges and ranges[-1][1] == index else index
            ranges.append((begin, index + 1))
        if ranges and ranges[-1][1] == self._source.count and stop is None and not names:
            ranges[-1] = (ranges[-1][0], None)  # what a video announces may be wrong
        return ranges

    def _begin_run(self, key: str) -> set[str]:
        """Marks the folder with `key`, unless it is marked so. Returns the pictures that runs with
        the same key wrote since."""
        mark = self.path / MARK
        with disk_errors(mark):
            if not mark.exists() or mark.read_text(encoding="utf-8") != key:
                write_text(mark, key)
                return set()
            began = mark.stat().st_mtime_ns
            return {entry.name for entry in os.scandir(self.path)
                    if entry.stat().st_mtime_ns >= began}

    def write(self, frame: Frame, image: np.ndarray) -> None:
        self._submit(self._save, frame, {self._file(frame): lambda: image}, self.mark)

    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        file, files = self._file(frame), {}
        if self._mask == SEPARATE:  # first: where a picture is, its mask is, too
            stem = file.stem if self._stems[file.stem] < 2 else file.name  # "a.jpg" beside "a.png"
            files[file.with_name(f"{stem}_mask.png")] = lambda: masks_of(frame, patches)
        if self._mask == ALPHA:
            files[file] = lambda: faces_alone(frame, patches)
        elif self.deep:
            files[file] = lambda: with_patches(frame, patches)
        else:
            files[file] = lambda: frame.with_patches(patches)
        # A frame without a swapped face is not synthetic
        self._submit(self._save, frame, files, self.mark if patches else None)

    @cached_property
    def _stems(self) -> Counter[str]:
        """How many of the source's pictures have a name, whatever their endings."""
        return Counter(Path(name).stem for name in self._source.names)

    def _file(self, frame: Frame) -> Path:
        return self.path if self._single else self.path / self._name(frame.index, frame.name)

    def _submit(self, save: Callable[..., None], *arguments: Any) -> None:
        self._waiting.append(self._pool.submit(save, *arguments))
        while len(self._waiting) > 2 * self._workers:
            self._waiting.popleft().result()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            while self._waiting:
                self._waiting.popleft().result()

    def _save(self, frame: Frame, files: dict[Path, Callable[[], np.ndarray]],
              mark: Mark | None) -> None:
        origin = self._origin(frame)
        metadata = read_metadata(origin) if frame.name else Metadata()
        for file, make in files.items():
            image, ending = make(), file.suffix.lower()
            if image.ndim == 2:  # a mask
                picture_file.write(file, image)
                continue
            image = self._restore_kind(frame, image, metadata.grey, ending)
            is_grey = image.ndim == 2 or image.shape[2] == 2
            has_exif = picture_file.WRITTEN[ending][0] in WITH_EXIF
            if metadata.exif and (not has_exif or image.dtype == np.uint16 and ending != ".png"):
                self._log_loss(f"EXIF data, which {ending} pictures{' of 16 bits' * has_exif}")
            profile = metadata.profile if is_grey == metadata.grey else None
            picture_file.write(file, image, profile, self._source.hdr_coded, mark, origin,
                               metadata.exif)

    def _restore_kind(self, frame: Frame, image: np.ndarray, grey: bool, ending: str) -> np.ndarray:
        """`image` with the transparency of `frame`, and grey where both are."""
        is_deep = image.dtype == np.uint16
        tolerance = GREY_TOLERANCE * (257 if is_deep else 1)
        grey = grey and image.shape[2] == 3 and np.ptp(image, axis=2).max() <= tolerance
        if image.shape[2] == 3 and frame.rgba is not None:
            if ending in WITH_ALPHA:
                image = with_alpha(frame, image)
                return image[..., [1, 3]] if grey and not is_deep else image
            self._log_loss(f"transparency, which {ending} pictures")
        return np.ascontiguousarray(image[..., 1]) if grey else image

    def _log_loss(self, what: str) -> None:
        with self._lock:
            if what not in self._logged:
                self._logged.add(what)
                logger.warning("There are pictures with %s do not keep. Choose --writer.format "
                               "png.",
                               what)

    def _origin(self, frame: Frame) -> Path:
        """The file that `frame` comes from."""
        return self._source.files[frame.index] if self._source.files else self._source.path

    def _name(self, index: int, name: str) -> str:
        """Name of the picture of frame `index`, whose file is called `name` ("" in a video)."""
        if not name:
            return f"{self._source.path.stem}_{index + 1:06d}{self._ending or '.png'}"
        if index not in self._named:
            original = Path(name)
            is_kept = original.suffix.lower() in self._kept_endings
            if not is_kept or self._ending not in (None, original.suffix.lower()):
                ending, folder = self._ending or ".png", self._source.path
                is_taken = f"{original.stem}{ending}" in self._used_names or (
                    folder.is_dir() and (folder / f"{original.stem}{ending}").exists())
                name = f"{name if is_taken else original.stem}{ending}"  # "a.gif" beside "a.png"
            self._named[index] = name
            self._used_names.add(name)
        return self._named[index]


def masks_of(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """(H, W) uint8: how much of the new faces is seen, 255 = nothing else."""
    width, height = frame.size
    mask = np.zeros((height, width), np.float32)
    for patch in patches:
        part = mask[patch.rows, patch.columns]
        np.maximum(part, patch.mask, out=part)
    return np.rint(mask * 255).astype(np.uint8)


def faces_alone(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """(H, W, 4) uint8: the new faces, not blended with anything, and `masks_of` as alpha."""
    width, height = frame.size
    image = np.zeros((height, width, 4), np.uint8)
    image[..., 3] = masks_of(frame, patches)
    for patch in patches:
        part = image[patch.rows, patch.columns, :3]
        np.copyto(part, as_bytes(patch.face), where=(patch.mask > 0)[..., None])
    return image
