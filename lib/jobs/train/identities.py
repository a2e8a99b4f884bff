"""Whose faces a model is trained on: the mean embedding of each person in identities.json, and
warnings where faces are another person's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.faces.likeness import likeness
from lib.facesets.face_file import FaceFile
from lib.files.writing import write_json
from lib.jobs.train.description import Description
from lib.jobs.train.faces import InputSets, files_of
from lib.plugin import Recognizer
from lib.training.saved import model_folder
from lib.training.saved.description import check_identities

logger = logging.getLogger(__name__)

NAME = "identities.json"
EMBEDDED_FACES = 16  # enough for a steady mean
COMPARED_FACES = 40  # of each person
MIXED_UP = 0.08  # share of the other person's faces from which on it is told
CLEARLY = 0.1  # by how much a face is more like the other person

Means = dict[str, list[float]]  # by identity, the mean embedding


def read_means(folder: Path) -> Means:
    """identities.json of a model. Raises FaceswapError where it is missing or damaged."""
    return model_folder.read_json(folder / NAME, check_identities)


def update_means(folder: Path, description: Description, inputs: InputSets,
                 recognizer: Callable[[], Recognizer]) -> Callable[[], None]:
    """Measures people whose faces are new, warns of mistakes; returns what writes identities.json.

    Raises FaceswapError where A and B are the wrong way round.
    """
    same_recognizer = model_folder.recognizer_of(folder) == description["recognizer"]
    means = _known_means(folder / NAME) if same_recognizer else {}
    changed = [identity for identity, sets in inputs.items() if identity not in means
               or _is_changed(description.get("faces", {}).get(identity), sets)]
    if not changed:
        return lambda: None
    now = {identity: _embedding(files_of(inputs[identity]), recognizer()) for identity in changed}
    if means.keys() == now.keys() and _are_crossed(means, now, recognizer()):
        raise FaceswapError(f"-A and -B are the wrong way round: in {folder} the person of -A is "
                            "B, and that of -B is A. Swap them. To put A's face on B, train as "
                            "before and convert with -s.")
    for identity, mean in now.items():
        if identity in means:
            before = np.array(means[identity], np.float32)
            _warn_of_other_person(identity, before, mean, folder, recognizer())
        means[identity] = mean.astype(float).round(6).tolist()
    if means.keys() == {"a", "b"}:
        _warn_of_mixed_faces(inputs, means, recognizer())
    return lambda: write_json(folder / NAME, means)


def _is_changed(before: Mapping | None, sets: Sequence) -> bool:
    """Whether the faces come from other folders than `before`, in options.json."""
    if before is None:
        return False
    return before.get("folders", [before["folder"]]) != [str(part.folder.resolve())
                                                         for part in sets]


def _known_means(path: Path) -> Means:
    """What identities.json holds; nothing where it is damaged, since it can be measured again."""
    try:
        means = model_folder.read_json(path, check_identities) if path.exists() else {}
        return {identity: np.array(mean, np.float32).tolist() for identity, mean in means.items()}
    except FaceswapError:
        logger.warning("%s is damaged: whom the model knows is measured again, from the faces "
                       "given now.", path)
        return {}


def _are_crossed(means_before: Means, now: Mapping[str, np.ndarray],
                 recognizer: Recognizer) -> bool:
    """Whether each of the two people now is the other one of before."""
    before, after = (np.stack([np.array(means[identity], np.float32) for identity in "ab"])
                     for means in (means_before, now))
    alike = likeness(before, after, recognizer) >= recognizer.same
    return bool(alike[0, 1] and alike[1, 0] and not alike[0, 0] and not alike[1, 1])


def _warn_of_other_person(identity: str, before: np.ndarray, now: np.ndarray, folder: Path,
                          recognizer: Recognizer) -> None:
    """A warning where a model that is resumed is given another person's faces."""
    alike = float(likeness(before[None], now[None], recognizer)[0, 0])
    if alike < recognizer.same:
        kept = "b" if identity == "a" else "a"
        logger.warning("%s's faces are of another person than those that %s was trained on "
                       "(likeness %.2f; one person: %.2f and more). To leave that model as it is: "
                       "train -m NEW --load-weights %s --parts encoder decoder_%s.",
                       identity.upper(), folder, alike, recognizer.same, folder, kept)


def _warn_of_mixed_faces(inputs: InputSets, means: Means, recognizer: Recognizer) -> None:
    """A warning where some of the faces of one person are rather the other's."""
    embeddings_of = {identity: np.array(mean, np.float32) for identity, mean in means.items()}
    for own, partner in ("a", "b"), ("b", "a"):
        faces = _evenly_chosen(files_of(inputs[own]), COMPARED_FACES)
        embeddings = recognizer.embed([file.aligned for file in faces])
        to_own, to_other = (likeness(embeddings, embeddings_of[identity][None], recognizer)[:, 0]
                            for identity in (own, partner))
        count = int(((to_other >= recognizer.same) & (to_other > to_own + CLEARLY)).sum())
        if count >= max(2, MIXED_UP * len(faces)):
            logger.warning("About %.0f %% of %s's faces are %s's (%d of %d that were compared): "
                           "the model would learn to draw them, too. Take them out: faceswap.py "
                           "sort "
                           "-i %s --by identity --group 2.", 100 * count / len(faces), own.upper(),
                           partner.upper(), count, len(faces), inputs[own][0].folder)


def _embedding(files: Sequence[FaceFile], recognizer: Recognizer) -> np.ndarray:
    """(D,) float32, the mean of some faces' embeddings."""
    faces = _evenly_chosen(files, EMBEDDED_FACES)
    return recognizer.embed([file.aligned for file in faces]).mean(0)


def _evenly_chosen(files: Sequence[FaceFile], most: int) -> list[FaceFile]:
    places = np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)
    return [files[place] for place in places]
