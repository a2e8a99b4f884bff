"""What a store says of itself: of what source it is, how its faces were found, and what is done
already.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lib.faces.likeness import PeopleFilter
from lib.types import Shard


@dataclass(frozen=True)
class PluginRecord:
    """A plugin and its options, as JSON values."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name + "".join(f" {name}={value}" for name, value in self.options.items())


@dataclass(frozen=True)
class VideoIdentity:
    """What tells one video from another. None for frames that are made, not read."""

    bytes: int | None
    size: tuple[int, int]  # (width, height)
    content: str | None  # fingerprint of the file; None in stores of early versions, too

    def is_same(self, video: VideoIdentity) -> bool:
        contents = {self.content, video.content} - {None}
        return (self.bytes, self.size) == (video.bytes, video.size) and len(contents) < 2


@dataclass(frozen=True)
class SourceIdentity:
    """A video, or a number of pictures."""

    path: str
    video: VideoIdentity | None
    pictures: int | None

    def is_same_video(self, source: SourceIdentity) -> bool:
        """Whether both are one video, wherever it lies; True of two folders of pictures."""
        if self.video is None or source.video is None:
            return self.video is source.video
        return self.video.is_same(source.video)


@dataclass(frozen=True)
class ImportRecord:
    """Where faces were imported from."""

    file: str
    faces: int
    frames: int


@dataclass(frozen=True)
class StoreState:
    """The table `settings`, typed. None: not known yet."""

    source: SourceIdentity | None = None
    detector: PluginRecord | None = None
    aligner: PluginRecord | None = None
    min_face: int | None = None  # frame pixels
    rotate: tuple[int, ...] | None = None  # degrees
    shard: Shard | None = None  # the part of the frames that it is for; None: for all
    complete: tuple[int, ...] = ()  # every how-many-th frame was searched to the end
    losses: tuple[str, ...] = ()  # what of the source could not be read, a sentence each
    # What the masks of each were made with
    maskers: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Fingerprints of the masks of each name that were imported: no masker replaces these
    painted: dict[str, list[str]] = field(default_factory=dict)
    smooth: bool | None = None  # whether landmarks are smoothed
    followed: int | None = None  # how many frames there were when faces were linked through time
    recognizer: str | None = None  # that told people apart
    recognized: int | None = None  # how many frames there were then
    people_filter: PeopleFilter = field(default_factory=PeopleFilter, metadata={"key": "wanted"})
    # By face folder
    folder_filters: dict[str, PeopleFilter] | None = field(default=None, metadata={"key": "chosen"})
    imported: ImportRecord | None = None

    @classmethod
    def from_json(cls, settings: dict[str, Any]) -> StoreState:
        """The state that checked settings of a store stand for; keys of later versions are passed
        over.
        """
        values = {name: _READERS.get(name, _as_it_is)(settings[key]) for name, key in KEYS.items()
                  if settings.get(key) is not None}
        return cls(**values)


def to_json(**changes: Any) -> dict[str, Any]:
    """Changes of a StoreState's fields, as the JSON values that the table holds."""
    return {KEYS[name]: _plain(value) for name, value in changes.items()}


KEYS = {item.name: item.metadata.get("key", item.name) for item in dataclasses.fields(StoreState)}


def _plain(value: Any) -> Any:
    if isinstance(value, PeopleFilter):
        return value.to_json()
    if isinstance(value, Shard):
        return [value.number, value.count]
    if isinstance(value, SourceIdentity | PluginRecord | ImportRecord):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple | set) else value


def _source(value: dict[str, Any]) -> SourceIdentity:
    video = value["video"]
    if video is not None:
        video = VideoIdentity(video.get("bytes"), tuple(video.get("size", ())),
                              video.get("content"))
    return SourceIdentity(value["path"], video, value["pictures"])


def _plugin(value: dict[str, Any]) -> PluginRecord:
    return PluginRecord(value["name"], value["options"])


def _as_it_is(value: Any) -> Any:
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "source": _source, "detector": _plugin, "aligner": _plugin, "rotate": tuple, "complete": tuple,
    "losses": tuple, "shard": lambda value: Shard(*value), "people_filter": PeopleFilter.from_json,
    "folder_filters": lambda value: {folder: PeopleFilter.from_json(item)
                                     for folder, item in value.items()},
    "imported": lambda value: ImportRecord(value["file"], value.get("faces", 0),
                                           value.get("frames", 0))}
