"""Where frames go: a video file (see `encode.py`) or picture_file."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import FaceswapError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS, VIDEO_FORMATS, same_path
from lib.files.writing import disk_errors, make_folder, write_text
from lib.media.animated import ENDINGS as ANIMATED
from lib.media.base import PQ, FrameSink, FrameSource
from lib.media.pictures import picture_file
from lib.types import Frame, Patch, Shard, as_bytes, with_alpha

if TYPE_CHECKING:
    from lib.provenance.marking import Mark

logger = logging.getLogger(__name__)
WITH_EXIF = tuple(ending for ending, (kind, _) in picture_file.WRITTEN.items() if kind in picture_file.WITH_EXIF)
GREYEST = 2  # levels that red, green and blue of a grey picture may differ by rounding
WITH_ALPHA, DEEP = (".png", ".tif", ".tiff", ".webp"), (".png", ".tif", ".tiff")  # endings of formats that know transparency, 16 bits
NO_MASK, ALPHA, SEPARATE = "none", "alpha", "separate"
MARK = ".faceswap-run"  # in a folder of pictures: the key of the run that writes them


def writer_for(path: Path, source: FrameSource) -> str:
    """The writer plugin for an output of this name: "video" where it ends like one, "animation" where it is the name of a picture that
    moves and `source` does, else "images"."""
    path = Path(path)
    ending = path.suffix.lower()
    if not path.is_dir() and ending in ANIMATED and (source.count != 1 or ending not in picture_file.WRITTEN):
        return "animation"
    return "video" if path.suffix.lower() in VIDEO_FORMATS and not path.is_dir() else "images"


def check_output(path: Path, source: FrameSource) -> None:
    """Raises FaceswapError where writing `path` would destroy what is read, or its ending is that of a video we do not write."""
    if same_path(path, source.path):
        raise FaceswapError(f"{path} is the input. Choose another output: the original is never overwritten.")
    ending = path.suffix.lower()
    if ending in VIDEO_ENDINGS - VIDEO_FORMATS.keys() and not path.is_dir():
        raise FaceswapError(f"Videos are not written as {ending}. Choose one of {', '.join(sorted(VIDEO_FORMATS))}.")


def refuse_hdr(source: FrameSource, what: str) -> None:
    """Raises FaceswapError where `source` is HDR video, whose values mean something else in what has no word for it."""
    if source.hdr_coded:
        raise FaceswapError(f"{source.path} is HDR video ({'HDR10' if source.hdr_coded[1] == PQ else 'HLG'}), which {what} does not keep. "
                            "Write a video, or PNG with --writer.format png --writer.depth 16, or convert the input to SDR first.")


class PictureSink(FrameSink):
    """Pictures in a folder, each under its frame's name; or one picture, where `path` has a picture's ending and one frame comes.

    `ending` (".png") is that of all pictures; None keeps each picture's own where it is one that is written, else PNG.
    Pictures appear whole, one by one: what was written stays when a run ends early, and is not written again by the next.
    """

    def __init__(self, path: Path, source: FrameSource, ending: str | None = None, mask: str = NO_MASK, deep: bool = False):
        """`mask` ALPHA: the new faces alone, on nothing; SEPARATE: the masks in files of their own besides. `deep`: 16 bits a channel."""
        path = Path(path)
        check_output(path, source)
        self._single = path.suffix.lower() in PICTURE_ENDINGS and not path.is_dir()
        if self._single and source.count != 1:
            raise FaceswapError(f"{path} is the name of one picture, but {source.path.name} has "
                                f"{source.count or 'many'} frames. Name a folder or a video.")
        if path.suffix.lower() in VIDEO_FORMATS and not path.is_dir():
            raise FaceswapError(f"{path} is the name of a video, but pictures are to be written. Name a folder, or choose --writer video.")
        if self._single and path.suffix.lower() not in picture_file.WRITTEN:
            raise FaceswapError(f"Pictures are not written as {path.suffix}. Choose one of {', '.join(sorted(picture_file.WRITTEN))}.")
        if not self._single and isinstance(source, picture_file.PictureSource) and same_path(path, source.files[0].parent):
            raise FaceswapError(f"{path} holds the input, which would be overwritten. Choose another folder.")
        self.path = path
        self._source = source
        asked = path.suffix.lower() if self._single else ending
        for wish, endings, words in ((mask == ALPHA, WITH_ALPHA, "transparency"), (deep, DEEP, "16 bits")):
            if wish and asked not in (None, *endings):
                raise FaceswapError(f"{asked} pictures know no {words}. Choose one of {', '.join(endings)}.")
        self._ending = ending
        self._kept = {known for known in picture_file.WRITTEN  # endings of formats that hold what is asked for
                      if (not deep or known in DEEP) and (mask != ALPHA or known in WITH_ALPHA)}
        if not deep or mask == ALPHA or asked not in (None, ".png"):
            refuse_hdr(source, f"a picture {'with alpha' if mask == ALPHA else 'of 16 bits' if deep else 'of 8 bits'}"
                               f"{f' as {asked}' if asked else ''}")
        self._mask, self.deep = mask, deep
        self._named: dict[int, str] = {}  # by the index of the frame
        self._taken: set[str] = set()
        self._workers = os.cpu_count() or 1
        self._waiting: deque[Future] = deque()
        self._lost: set[str] = set()  # what was told that pictures lose
        self._lock = threading.Lock()

    def __enter__(self) -> PictureSink:
        folder = self.path.parent if self._single else self.path
        with disk_errors(folder):
            make_folder(folder)
        if not os.access(folder, os.W_OK):
            raise FaceswapError(f"{folder} may not be written. Choose another output or change its permissions.")
        self._pool = ThreadPoolExecutor(self._workers)
        return self

    def missing(self, key: str, start: int = 0, stop: int | None = None, shard: Shard | None = None,
                again: Collection[int] = ()) -> list[tuple[int, int | None]]:
        total = self._source.count if stop is None else stop
        first, after = (start + place for place in shard.frames(total - start)) if shard else (start, total)
        if self._single:
            return [(first, after if shard else stop)]
        there = self._there(key)
        if after is None:  # only reading tells how many there are
            while self._name(first, "") in there and first not in again:
                first += 1
            return [(first, None)]
        names = self._source.names
        stretches: list[tuple[int, int | None]] = []
        for index in range(first, after):
            if self._name(index, names[index] if names else "") in there and index not in again:
                continue
            if stretches and stretches[-1][1] == index:
                stretches[-1] = (stretches[-1][0], index + 1)
            else:
                stretches.append((index, index + 1))
        if stretches and stretches[-1][1] == self._source.count and stop is None and not names:  # what a video announces may be wrong
            stretches[-1] = (stretches[-1][0], None)
        return stretches

    def _there(self, key: str) -> set[str]:
        """The pictures that this run has not to write: those that came after the mark of a run with the same key."""
        mark = self.path / MARK
        with disk_errors(mark):
            if not mark.exists() or mark.read_text(encoding="utf-8") != key:
                write_text(mark, key)
                return set()
            began = mark.stat().st_mtime_ns
            return {entry.name for entry in os.scandir(self.path) if entry.stat().st_mtime_ns >= began}

    def write(self, frame: Frame, image: np.ndarray) -> None:
        self._submit(self._save, frame, {self._file(frame): lambda: image}, self.mark)

    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        file, made = self._file(frame), {}
        if self._mask == SEPARATE:  # first: where a picture is, its mask is, too
            stem = file.stem if self._stems[file.stem] < 2 else file.name  # "a.jpg" beside "a.png"
            made[file.with_name(f"{stem}_mask.png")] = lambda: masks_of(frame, patches)
        if self._mask == ALPHA:
            made[file] = lambda: alone(frame, patches)
        elif self.deep:
            made[file] = lambda: picture_file.with_patches(frame, patches)
        else:
            made[file] = lambda: frame.with_patches(patches)
        self._submit(self._save, frame, made, self.mark if patches else None)  # what nothing was changed in is not synthetic

    @cached_property
    def _stems(self) -> Counter[str]:
        """How many of the source's pictures are called so, whatever their endings."""
        return Counter(Path(name).stem for name in self._source.names)

    def _file(self, frame: Frame) -> Path:
        return self.path if self._single else self.path / self._name(frame.index, frame.name)

    def _submit(self, save: Callable[..., None], *arguments) -> None:
        self._waiting.append(self._pool.submit(save, *arguments))
        while len(self._waiting) > 2 * self._workers:
            self._waiting.popleft().result()

    def __exit__(self, kind, error, traceback) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            while self._waiting:
                self._waiting.popleft().result()

    def _save(self, frame: Frame, made: dict[Path, Callable[[], np.ndarray]], mark: Mark | None) -> None:
        origin = self._origin(frame)
        told = picture_file.told_in(origin) if frame.name else picture_file.Told()
        for file, make in made.items():
            image = make()
            if image.ndim == 2:  # a mask
                picture_file.write(file, image)
                continue
            image, ending = self._as_it_was(frame, image, told.grey, file), file.suffix.lower()
            is_grey = image.ndim == 2 or image.shape[2] == 2
            if told.exif and (ending not in WITH_EXIF or image.dtype == np.uint16 and ending != ".png"):
                self._tell_loss(f"EXIF data, which {ending} pictures{' of 16 bits' * (ending in WITH_EXIF)}")
            picture_file.write(file, image, told.profile if is_grey == told.grey else None, self._source.hdr_coded, mark, origin, told.exif)

    def _as_it_was(self, frame: Frame, image: np.ndarray, grey: bool, file: Path) -> np.ndarray:
        """`image` with the transparency of `frame`, and without colours where neither has any."""
        deep = image.dtype == np.uint16
        grey = grey and image.shape[2] == 3 and np.ptp(image, axis=2).max() <= (GREYEST * 257 if deep else GREYEST)
        if image.shape[2] == 3 and frame.rgba is not None:
            if file.suffix.lower() in WITH_ALPHA:
                image = with_alpha(frame, image)
                return image[..., [1, 3]] if grey and not deep else image
            self._tell_loss(f"transparency, which {file.suffix.lower()} pictures")
        return np.ascontiguousarray(image[..., 1]) if grey else image

    def _tell_loss(self, what: str) -> None:
        with self._lock:
            if what not in self._lost:
                self._lost.add(what)
                logger.warning("There are pictures with %s do not keep. Choose --writer.format png.", what)

    def _origin(self, frame: Frame) -> Path:
        """The file that `frame` comes from."""
        return self._source.files[frame.index] if self._source.files else self._source.path

    def _name(self, index: int, given: str) -> str:
        """What the picture of frame `index`, whose file is called `given` ("" in a video), is called."""
        if not given:
            return f"{self._source.path.stem}_{index + 1:06d}{self._ending or '.png'}"
        if index not in self._named:
            own = Path(given)
            if own.suffix.lower() in self._kept and self._ending in (None, own.suffix.lower()):
                name = given
            else:
                ending = self._ending or ".png"
                name = own.stem + ending
                if name in self._taken or self._source.path.is_dir() and (self._source.path / name).exists():
                    name = given + ending  # "a.gif" beside "a.png"
            self._named[index] = name
            self._taken.add(name)
        return self._named[index]


def masks_of(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """(H, W) uint8: how much of the new faces is seen, 255 = nothing else."""
    width, height = frame.size
    mask = np.zeros((height, width), np.float32)
    for patch in patches:
        mask[patch.rows, patch.columns] = np.maximum(mask[patch.rows, patch.columns], patch.mask)
    return np.rint(mask * 255).astype(np.uint8)


def alone(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """(H, W, 4) uint8: the new faces, not mixed with anything, and in alpha what `masks_of` tells."""
    width, height = frame.size
    image = np.zeros((height, width, 4), np.uint8)
    image[..., 3] = masks_of(frame, patches)
    for patch in patches:
        there = (patch.mask > 0)[..., None]
        image[patch.rows, patch.columns, :3] = np.where(there, as_bytes(patch.face), image[patch.rows, patch.columns, :3])
    return image
