"""Stores of parts of one source, made on several machines or in several runs, joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.alignments.database.state import SourceIdentity, StoreState
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError

# Settings that say what became of a part
OF_A_PART = ("complete", "losses", "shard", "smooth", "followed", "recognizer", "recognized",
             "wanted", "chosen")


@dataclass(frozen=True)
class Joined:
    """What joining gave."""

    differing: list[int]  # frames that two parts have, with other faces; the first one's were taken
    missing: list[str]  # shards that are needed for the whole: "2/3"
    unfinished: list[Path]  # parts whose extraction did not come to its end
    smooth: bool | None  # whether the landmarks of the parts were smoothed; None where no part says


def join(paths: Sequence[Path], store: AlignmentStore) -> Joined:
    """Puts the frames of the stores at `paths` into the new `store`, which then is as one made
    without parts.

    Tracks and people are left out, since they are worked out over the whole. Raises FaceswapError
    if the parts do not belong together.
    """
    differing: list[int] = []
    states: list[StoreState] = []
    for path in paths:
        with AlignmentStore.open(path, read_only=True) as part:
            states.append(part.state)
            _check(paths[0], states[0], path, states[-1])
            if states[0].source.video is None:
                _check_names(paths[0], store.names(), path, part.names())
            if len(states) == 1:
                common = {key: value for key, value in part.settings.items()
                          if key not in OF_A_PART}
            differing += store.take(part)
    smooth = next((state.smooth for state in states if state.smooth is not None), None)
    complete, missing = _complete(states)
    store.update_settings(common)
    if any(state.painted for state in states):
        store.update(painted=_painted(states))
    store.update(complete=complete, losses=[loss for state in states for loss in state.losses])
    return Joined(differing, missing,
                  [path for path, state in zip(paths, states) if not state.complete], smooth)


def _painted(states: Sequence[StoreState]) -> dict[str, list[str]]:
    """What `StoreState.painted` says of all parts together."""
    names = {name for state in states for name in state.painted}
    return {name: sorted({item for state in states for item in state.painted.get(name, ())})
            for name in sorted(names)}


def _check(first_path: Path, first: StoreState, path: Path, state: StoreState) -> None:
    """Raises FaceswapError if the part at `path` does not go with the first."""
    if state.source is None:
        raise FaceswapError(f"{path} is empty: it belongs to no source. Leave it out, or "
                            "run extract on it first.")
    is_same = first.source.is_same_video(state.source)
    if not is_same or first.source.pictures != state.source.pictures:
        raise FaceswapError(f"The parts do not belong together: {first_path} is of "
                            f"{_source(first.source)}, {path} of {_source(state.source)}. Name "
                            "parts of one source.")
    for name, of_first, of_part in (("detector", first.detector, state.detector),
                                    ("aligner", first.aligner, state.aligner),
                                    ("min-face", first.min_face or 0, state.min_face or 0),
                                    ("rotate", list(first.rotate or ()), list(state.rotate or ()))):
        if of_first != of_part:
            raise FaceswapError(f"The parts do not belong together: {name} is {_shown(of_first)} "
                                f"in {first_path}, but {_shown(of_part)} in {path}. Extract one "
                                "of them again with the other's settings.")


def _source(source: SourceIdentity) -> str:
    if source.video:
        return f"a video of {source.video.bytes} bytes"
    return f"a folder of {source.pictures} pictures"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _check_names(first_path: Path, names: dict[int, str], path: Path,
                 part_names: dict[int, str]) -> None:
    places = {name: index for index, name in names.items()}
    for index, name in part_names.items():
        if names.get(index, name) != name or places.get(name, index) != index:
            raise FaceswapError(f"The parts do not belong together: picture {name} stands "
                                f"elsewhere in {path} than in the folder of {first_path}. Extract "
                                "all parts from the same pictures.")


def _complete(states: Sequence[StoreState]) -> tuple[list[int], list[str]]:
    """Every how-many-th frames were all searched, and the shards that are missing."""
    complete: set[int] = set()
    shards: dict[tuple[int, int], set[int]] = {}
    for state in states:
        if state.shard is None:
            complete |= set(state.complete)
        else:
            shards[state.shard.number, state.shard.count] = set(state.complete)
    missing = []
    for count in sorted({count for _, count in shards}):
        absent = [number for number in range(1, count + 1) if (number, count) not in shards]
        missing += [f"{number}/{count}" for number in absent]
        if not absent:
            complete |= set.intersection(*(done for shard, done in shards.items()
                                           if shard[1] == count))
    return sorted(complete), [] if complete else missing
