"""Stores of parts of one source, made on several machines or in several runs, joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.alignments.extraction import same_video
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError

AGREED = ("source", "detector", "aligner", "min_face", "rotate")  # settings in which all parts must be alike
# Settings that tell what became of a part
OF_A_PART = ("complete", "losses", "shard", "smooth", "followed", "recognizer", "recognized", "wanted", "chosen")


@dataclass(frozen=True)
class Joined:
    """What joining gave."""

    differing: list[int]  # frames that two parts have, with other faces; the first one's were taken
    missing: list[str]  # shards that are needed for the whole: "2/3"
    unfinished: list[Path]  # parts whose extraction did not come to its end
    smooth: bool | None  # whether the landmarks of the parts were smoothed; None where no part says


def join(paths: Sequence[Path], store: AlignmentStore) -> Joined:
    """Puts the frames of the stores at `paths` into the new `store`, which then is as one begun without parts.

    Tracks and people are left out, since they are worked out over the whole. Raises FaceswapError if the parts do not belong together.
    """
    differing: list[int] = []
    settings: list[dict[str, Any]] = []
    for path in paths:
        with AlignmentStore.open(path, read_only=True) as part:
            settings.append(part.settings)
            _check(paths, settings)
            if settings[0]["source"]["video"] is None:
                _check_names(paths[0], store.names(), path, part.names())
            differing += store.take(part)
    smooth = next((one["smooth"] for one in settings if "smooth" in one), None)
    complete, missing = _complete(settings)
    store.update({key: value for key, value in settings[0].items() if key not in OF_A_PART}
                 | {"complete": complete, "losses": [loss for one in settings for loss in one.get("losses", [])]})
    return Joined(differing, missing, [path for path, one in zip(paths, settings) if not one.get("complete")], smooth)


def _check(paths: Sequence[Path], settings: Sequence[dict[str, Any]]) -> None:
    """Raises FaceswapError if the last of `settings`, those of the stores at `paths`, does not go with the first."""
    path, last, first = paths[len(settings) - 1], settings[-1], settings[0]
    if "source" not in last:
        raise FaceswapError(f"{path} was never begun: it belongs to no source. Leave it out, or run extract on it first.")
    for key in AGREED:
        mine, its = _compared(key, first), _compared(key, last)
        if key == "source" and same_video(mine[0], its[0]) and mine[1] == its[1]:
            continue
        if mine != its and key == "source":
            raise FaceswapError(f"The parts do not belong together: {paths[0]} is of {_words(mine)}, {path} of {_words(its)}. "
                                "Name parts of one source.")
        if mine != its:
            raise FaceswapError(f"The parts do not belong together: {key.replace('_', '-')} is {_words(mine)} in {paths[0]}, but "
                                f"{_words(its)} in {path}. Extract one of them anew with the other's settings.")


def _check_names(first: Path, names: dict[int, str], path: Path, its: dict[int, str]) -> None:
    places = {name: index for index, name in names.items()}
    for index, name in its.items():
        if names.get(index, name) != name or places.get(name, index) != index:
            raise FaceswapError(f"The parts do not belong together: picture {name} stands elsewhere in {path} than in the folder "
                                f"of {first}. Extract all parts from the same pictures.")


def _compared(key: str, settings: dict[str, Any]) -> Any:
    value = settings.get(key, {"min_face": 0, "rotate": []}.get(key))
    return (value["video"], value["pictures"]) if key == "source" else value


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        video, pictures = value
        return f"a video of {video['bytes']} bytes" if video else f"a folder of {pictures} pictures"
    if isinstance(value, dict):
        return value["name"] + "".join(f" {name}={its}" for name, its in value["options"].items())
    return "none" if value is None else str(value)


def _complete(settings: Sequence[dict[str, Any]]) -> tuple[list[int], list[str]]:
    """For which every-n-th frames nothing is left to be searched, and the shards that are missing."""
    complete = set().union(*(one.get("complete", []) for one in settings if not one.get("shard")))
    shards = {tuple(one["shard"]): set(one.get("complete", [])) for one in settings if one.get("shard")}
    missing = []
    for count in sorted({count for _, count in shards}):
        absent = [number for number in range(1, count + 1) if (number, count) not in shards]
        missing += [f"{number}/{count}" for number in absent]
        if not absent:
            complete |= set.intersection(*(done for shard, done in shards.items() if shard[1] == count))
    return sorted(complete), [] if complete else missing
