"""How well a masker finds what covers faces: against the outlines in covers.json, which were drawn by eye.

`python -m tests.plugins.maskers.covers MODEL` measures the masker `occlusion` with the network of that folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.faces.geometry import crop, transform_points
from lib.faces.search import intersection_over_union
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS, MASKERS, Masker
from lib.types import AlignedFace, Face

SIZE, LEAST_COVERED = 256, 0.01  # pixels of a crop; share of a face from which on it counts as covered


@dataclass(frozen=True)
class MarkedFace:
    name: str
    kind: str
    aligned: AlignedFace
    face: np.ndarray  # (S, S) bool
    cover: np.ndarray  # (S, S) bool, within `face`


def marked_faces(data: Path, kinds: set[str] | None = None) -> Iterator[MarkedFace]:
    """The faces of covers.json that yunet finds in the pictures below `data`."""
    detector, aligner = DETECTORS.create("yunet"), ALIGNERS.create("dlib68")
    for entry in json.loads(Path(__file__).with_name("covers.json").read_text(encoding="utf-8"))["faces"]:
        if kinds and entry["kind"] not in kinds:
            continue
        path, box = data / entry["file"], np.array(entry["box"])
        image = picture_file.read(path) if entry["frame"] is None \
            else next(open_source(path, exact=False).at([entry["frame"]])).image
        best = max(detector.detect([image])[0], key=lambda face: intersection_over_union(face.box, box), default=None)
        if best is None or intersection_over_union(best.box, box) < 0.2:
            continue
        landmarks = aligner.align([image], [best.box[None]])[0][0]
        aligned = crop(image, Face(best, landmarks), SIZE)
        face = _filled([entry["face"]], aligned.matrix)
        yield MarkedFace(entry["id"], entry["kind"], aligned, face, face & _filled(entry["covers"], aligned.matrix))


def overlap(masker: Masker, marked: MarkedFace) -> float | None:
    """Intersection over union of the covered part; None where nothing is covered."""
    if marked.cover.sum() <= LEAST_COVERED * marked.face.sum():
        return None
    hidden = (masker.mask(marked.aligned)[..., 0] < 0.5) & marked.face
    return float((hidden & marked.cover).sum() / (hidden | marked.cover).sum())


def kept(masker: Masker, marked: MarkedFace) -> float:
    """The share of the hull that `masker` keeps."""
    hull = MASKERS.create("hull").mask(marked.aligned)
    return float((hull * masker.mask(marked.aligned)).sum() / hull.sum())


def _filled(polygons: list, matrix: np.ndarray) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for polygon in polygons:
        points = transform_points(np.array(polygon, float), matrix)
        cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask > 0


def main(model: Path, data: Path) -> None:
    masker, overlaps, shares = MASKERS.create("occlusion", model=model), {}, []
    for marked in marked_faces(data):
        value = overlap(masker, marked)
        if value is None:
            shares.append(kept(masker, marked))
        else:
            overlaps.setdefault(marked.kind, []).append(value)
    for kind, values in [*overlaps.items(), ("all", sum(overlaps.values(), []))]:
        print(f"{kind:12} {len(values):3} faces: mean {np.mean(values):.2f}, median {np.median(values):.2f}")
    print(f"free         {len(shares):3} faces: keep {100 * np.mean(shares):.1f} % of their mask")


if __name__ == "__main__":
    from tests.conftest import SHARED

    main(Path(sys.argv[1]), SHARED)
