"""Masks of networks in convert: steadied within their tracks, without a trail."""

from __future__ import annotations

import numpy as np
import pytest

from lib.alignments.store import AlignmentStore
from lib.faces.geometry import MEAN_FACE
from lib.jobs.convert.steadying import SteadyFaces
from lib.types import Detection, Face

FRAMES, SIZE = 12, 128


def face_at(x: float) -> Face:
    landmarks = np.resize(MEAN_FACE, (68, 2)).astype(np.float32) * 60 + (x, 40)
    landmarks[17:] = MEAN_FACE * 60 + (x, 40)
    return Face(Detection(np.float32([x, 40, x + 60, 100]), 0.9), landmarks)


def make_store(path, masks, shake: float = 0.0, masker: str = "occlusion") -> None:
    """A face that stands still, with a mask in each frame; the aligner shakes by so many pixels."""
    from lib.alignments.database.rows import StoredFace

    random = np.random.default_rng(0)
    steady = face_at(30)
    with AlignmentStore.open(path) as store:
        rows = []
        for index, mask in enumerate(masks):
            fitted = face_at(30 + shake * random.uniform(-1, 1))
            store.add(index, "", index / 25, [StoredFace(fitted, {masker: mask[..., None]})])
            rows.append((index, 0, 1, steady.landmarks))
        store.commit()
        store.update_settings({"maskers": {masker: {}}})
        store.set_tracks(rows)


def steadied(path, masker: str = "occlusion") -> list[np.ndarray]:
    with AlignmentStore.open(path, read_only=True) as store:
        faces = SteadyFaces(store)
        return [face.masks[masker][..., 0] for index in range(FRAMES) for _, face in faces(index)]


def half_planes(edges) -> list[np.ndarray]:
    """Masks that are covered left of an edge, pixels."""
    return [(np.arange(SIZE)[None] - edge + 1).clip(0, 1).astype(np.float32).repeat(SIZE, 0) for edge in edges]


def edges_of(masks) -> np.ndarray:
    return np.array([10 + (1 - mask[SIZE // 2, 10:-10]).sum() for mask in masks])  # the crop ends beside these


def test_an_edge_that_trembles_is_steadied(tmp_path):
    edges = 60 + np.random.default_rng(1).normal(0, 1.0, FRAMES)
    make_store(tmp_path / "s.db", half_planes(edges))
    before, after = np.diff(edges, 2).std(), np.diff(edges_of(steadied(tmp_path / "s.db")), 2).std()
    assert after < 0.5 * before


def test_a_cover_that_moves_leaves_no_trail_and_does_not_lag(tmp_path):
    edges = 20 + 8.0 * np.arange(FRAMES)
    make_store(tmp_path / "s.db", half_planes(edges))
    after = steadied(tmp_path / "s.db")
    assert np.abs(edges_of(after)[2:-2] - edges[2:-2]).max() < 0.5
    for mask, edge in zip(after[2:-2], edges[2:-2]):
        assert mask[64, round(edge) + 6:round(edge) + 20].min() > 0.85 and mask[64, :round(edge) - 6].max() < 0.15


def test_masks_are_held_against_each_other_where_the_head_is(tmp_path):
    """Where the aligner shakes, the mask in its crop moves against it, and lies still in the frame."""
    random = np.random.default_rng(0)
    scale = SIZE / 2.13 / 60  # crop pixels a frame pixel
    make_store(tmp_path / "still.db", half_planes([60 - 2.0 * random.uniform(-1, 1) * scale for _ in range(FRAMES)]), shake=2.0)
    after = steadied(tmp_path / "still.db")
    with AlignmentStore.open(tmp_path / "still.db", read_only=True) as store:
        before = [store.faces(index)[0].masks["occlusion"][..., 0] for index in range(FRAMES)]
    assert np.abs(edges_of(after) - edges_of(before)).max() < 0.15


@pytest.mark.parametrize("masker", ["hull", "mine"])
def test_other_masks_stay_as_they_are(tmp_path, masker):
    edges = 60 + np.random.default_rng(1).normal(0, 1.0, FRAMES)
    make_store(tmp_path / "s.db", half_planes(edges), masker=masker)
    assert np.abs(edges_of(steadied(tmp_path / "s.db", masker)) - edges).max() < 0.1


def test_neighbours_of_other_tracks_do_not_count(tmp_path):
    edges = 60 + np.random.default_rng(1).normal(0, 1.0, FRAMES)
    make_store(tmp_path / "s.db", half_planes(edges))
    with AlignmentStore.open(tmp_path / "s.db") as store:
        store.set_tracks((index, 0, index, face_at(30).landmarks) for index in range(FRAMES))
    assert np.abs(edges_of(steadied(tmp_path / "s.db")) - edges).max() < 0.1
