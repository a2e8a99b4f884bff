import json
import shutil

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.faces.geometry import crop, transform_points
from lib.faces.masks import extended, hull
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS, MASKERS
from lib.types import AlignedFace, Face


def _landmarks(image: np.ndarray, detector: str = "hog") -> tuple[np.ndarray, AlignedFace]:
    found = DETECTORS.create(detector).resolve(None).detect([image])[0][0]
    aligned = crop(image, Face(found, ALIGNERS.create("dlib68").align([image], [found.box[None]])[0][0]))
    return transform_points(aligned.face.landmarks, aligned.matrix), aligned


def test_hull_covers_the_landmarks_and_the_brows_in_whole(astronaut):
    landmarks, _ = _landmarks(astronaut)
    mask = hull(landmarks, 256)
    assert mask.shape == (256, 256, 1) and mask.dtype == np.float32 and mask.min() == 0 and mask.max() == 1
    x, y = np.rint(landmarks[17:]).astype(int).T
    assert (mask[y, x] > 0.4).all()
    brows, eyes = landmarks[17:27].mean(0), landmarks[36:48].mean(0)
    x, y = np.rint(brows + 0.3 * (brows - eyes)).astype(int)  # the upper edge of the hairs
    assert mask[y, x] == 1
    assert mask[:20].sum() == 0 and mask[:, :5].sum() == 0  # neither hair nor background


def test_hull_scales_with_the_crop(astronaut):
    landmarks, _ = _landmarks(astronaut)
    small = hull((landmarks + 0.5) / 2 - 0.5, 128)
    assert abs(small.mean() - hull(landmarks, 256).mean()) < 0.006


@pytest.fixture(params=[name for name in MASKERS.names() if name != "occlusion"])
def make_masker(request):
    """`make_masker(feather=0.1)`: each masker of faces in turn, with these options."""
    needed = {"network": request.getfixturevalue("skin_network")} if request.param == "onnx" else {}
    return lambda **options: MASKERS.create(request.param, **needed, **options)


def test_every_masker_returns_a_mask_of_the_crop(make_masker, astronaut):
    _, aligned = _landmarks(astronaut)
    mask = make_masker().mask(aligned)
    assert mask.shape == (256, 256, 1) and mask.dtype == np.float32 and mask.min() >= 0 and mask.max() <= 1
    assert mask[128, 128] > 0.95 and mask[0, 0] < 0.1


@pytest.mark.parametrize("dilation", [-0.1, 0.1])
def test_every_mask_is_dilated_by_a_share_of_the_face(make_masker, astronaut, dilation):
    _, aligned = _landmarks(astronaut)
    plain, changed = (make_masker(dilation=share).mask(aligned)[..., 0] >= 0.5 for share in (0.0, dilation))
    inner, outer = (changed, plain) if dilation < 0 else (plain, changed)
    assert (outer | ~inner).all()
    pixels = 0.1 * 256 / 2.13  # the "whole" crop is 2.13 faces wide
    distance = cv2.distanceTransform(outer.astype(np.uint8), cv2.DIST_L2, 5)[inner]  # to the outer edge
    assert distance.min() == pytest.approx(pixels, abs=1.5)


def test_every_mask_is_feathered_inside_its_edge(make_masker, astronaut):
    _, aligned = _landmarks(astronaut)
    plain, soft = (make_masker(feather=share).mask(aligned)[..., 0] for share in (0.0, 0.2))
    inside = cv2.distanceTransform(np.pad(plain >= 0.95, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]  # pixels to the edge
    rim, deep = (inside > 0) & (inside < 5), inside > 0.2 * 256 / 2.13  # the "whole" crop is 2.13 faces wide
    assert soft[rim].mean() < 0.8 * plain[rim].mean()  # small holes are closed, else it would be less
    assert deep.any() and soft[deep].min() > 0.9
    assert soft[plain < 0.02].mean() < 0.02


def test_every_masker_offers_dilation_and_feather_alike():
    shown = {name: [item for item in MASKERS.declaration(name).options if item.name in ("dilation", "feather")] for name in MASKERS.names()}
    assert all(options == shown["hull"] and len(options) == 2 for options in shown.values())


@pytest.mark.parametrize("turn", [0, 90])
def test_extended_takes_the_forehead_in_but_no_more_of_the_sides(astronaut, turn):
    landmarks, _ = _landmarks(astronaut)
    if turn:  # the landmarks of a face that lies on its side
        landmarks = np.column_stack([255 - landmarks[:, 1], landmarks[:, 0]])
    plain, more = hull(landmarks, 256)[..., 0], extended(landmarks, 256)[..., 0]
    if turn:
        plain, more = np.rot90(plain), np.rot90(more)
    assert more[plain > 0.99].min() > 0.99
    tops = [np.argmax(mask.max(1) > 0.5) for mask in (plain, more)]
    assert 10 < tops[0] - tops[1] < 50  # a brow's height is taken in by hull already
    widths = [np.ptp(np.flatnonzero(mask.max(0) > 0.5)) for mask in (plain, more)]
    assert widths[1] <= widths[0] + 4


def test_overlap_with_labelled_faces(shared):
    """Intersection over union with what a face parser said of nine portraits; measured 0.80 for hull and 0.86 for extended."""
    labels = json.loads(shared("masks/labels.json").read_text(encoding="utf-8"))
    overlaps = {"hull": [], "extended": []}
    for number in (1, 1112, 1309, 1319, 1321, 1333, 2095, 2116, 2125):
        landmarks, aligned = _landmarks(picture_file.read(shared(f"masks/{number}.jpg")), "auto")
        regions = picture_file.read(shared(f"masks/{number}_mask.png"))[..., 0]
        face = cv2.warpAffine(np.isin(regions, labels["face"]).astype(np.float32), aligned.matrix, (256, 256)) > 0.5
        for name, one in overlaps.items():
            mask = MASKERS.create(name).mask(aligned)[..., 0] > 0.5
            one.append((mask & face).sum() / (mask | face).sum())
    assert np.mean(overlaps["hull"]) > 0.77 and np.mean(overlaps["extended"]) > 0.84


class TestOnnx:
    """The masker onnx with a network that tells skin by its colour."""

    def test_the_mask_is_the_probability_of_the_classes_that_are_face(self, skin_network, astronaut):
        _, aligned = _landmarks(astronaut)
        mask = MASKERS.create("onnx", network=skin_network).mask(aligned)[..., 0]
        small = cv2.resize(aligned.image, (64, 64), interpolation=cv2.INTER_AREA).astype(float) / 255
        expected = 1 / (1 + np.exp(6 - small @ (60, -30, -30)))
        assert np.abs(mask - cv2.resize(expected, (256, 256), interpolation=cv2.INTER_LINEAR)).max() < 0.01
        assert ((mask > 0.1) & (mask < 0.9)).mean() > 0.05  # soft

    @pytest.mark.parametrize("face, values, network, expected", [
        ([0, 1], "logits", "skin", 1.0), ([0], "logits", "one", 1 / (1 + np.exp(-0.5))), ([0], "probabilities", "one", 0.5),
        ([2, 5], "labels", "labels", 1.0), ([3], "labels", "labels", 0.0)])
    def test_kinds_of_values(self, make_network, skin_network, astronaut, tmp_path, face, values, network, expected):
        from onnx import helper

        shutil.copy(skin_network.with_suffix(".onnx"), tmp_path)
        for name, constant in (("one", 0.5), ("labels", 5.0)):  # the same answer for each pixel
            nodes = [helper.make_node("ReduceMean", ["pictures"], ["grey"], axes=[1], keepdims=int(name == "one")),
                     helper.make_node("Mul", ["grey", "zero"], ["nothing"]), helper.make_node("Add", ["nothing", "constant"], ["answer"])]
            make_network(tmp_path / f"{name}.onnx", nodes, [None, 3, 64, 64], {"zero": np.float32(0), "constant": np.float32(constant)})
        path = tmp_path / "network.toml"
        path.write_text(f'[network]\nfile = "{network}.onnx"\nsize = 64\n[mask]\nface = {face}\nvalues = "{values}"\n')
        mask = MASKERS.create("onnx", network=path).mask(_landmarks(astronaut)[1])
        assert np.abs(mask - expected).max() < 1e-5

    @pytest.mark.parametrize("keys, answer", [
        ("", r"\[mask\] lacks face"),
        ("face = []", "face in .* must be a list of the classes"),
        ("face = [1, 2]", r"face in \[mask\] names class 2, but the network's output has the shape \(N, 2, 64, 64\): classes 0 to 1"),
        ('face = [1]\nvalues = "labels"', r"values in \[mask\] is labels, one for each pixel, but .* \(N, 2, 64, 64\)"),
        ('face = [1]\nvalue = "labels"', "there is no 'value' .* Did you mean 'values'"),
    ])
    def test_a_description_that_does_not_fit_names_file_and_key(self, skin_network, tmp_path, keys, answer):
        path = tmp_path / "skin.toml"
        path.write_text(skin_network.read_text().partition("[mask]")[0] + f"[mask]\n{keys}\n")
        shutil.copy(skin_network.with_suffix(".onnx"), tmp_path)
        with pytest.raises(FaceswapError, match=answer) as caught:
            MASKERS.create("onnx", network=path)
        assert str(path) in str(caught.value)

    def test_the_example_of_a_face_parser_is_a_whole_description(self, onnx_example, make_network, tmp_path, astronaut):
        """With a network of the same shapes as the real one: 19 classes, of which the brightest pixels are hair."""
        from onnx import helper

        weights = np.zeros((19, 3, 1, 1), np.float32)
        weights[17] = 9
        make_network(tmp_path / "resnet18.onnx", [helper.make_node("Conv", ["pictures", "weights", "bias"], ["answer"])],
                     [1, 3, 512, 512], {"weights": weights, "bias": np.float32([0, 5] + [0] * 17)})
        (tmp_path / "parser.toml").write_text(onnx_example(1))
        _, aligned = _landmarks(astronaut)
        mask = MASKERS.create("onnx", network=tmp_path / "parser.toml").mask(aligned)[..., 0]
        bright = aligned.image.mean(2)
        assert mask[bright > 200].mean() < 0.05 and mask[bright < 60].mean() > 0.9
