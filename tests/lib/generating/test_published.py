"""Pickle files of published weights, made here in their layouts: read right, and nothing in them run."""

import os
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.generating import pickles, published
from lib.generating.generator import z_of

SIZE, LATENT, WIDTH, MOST = 32, 8, 256, 16


@pytest.fixture(scope="module")
def networks():
    """A StyleGAN as it begins, but that its noise counts."""
    from lib.plugin import MODELS

    made = MODELS.create("stylegan", size=SIZE, width=WIDTH, most=MOST, latent=LATENT, mapping=2).networks()
    random = np.random.default_rng(0)
    for network in made["mapping"], made["synthesis"]:
        for weight in network.weights:
            if weight.dtype == "float32":  # not what draws noise
                weight.assign(random.standard_normal(weight.shape) * (1 if len(weight.shape) > 1 else 0.3))
    return made


@pytest.fixture(scope="module")
def named(networks) -> dict[str, np.ndarray]:
    """Its weights by the names, and in the layouts, of stylegan2-ada-pytorch."""
    mapping, layers = published._in_order(networks["mapping"]), published._in_order(networks["synthesis"])
    arrays = {"mapping.w_avg": mapping["MeanStyle"][0].mean, "synthesis.b4.const": layers["Constant"][0].picture}
    arrays = {name: value.numpy() for name, value in arrays.items()}
    arrays["synthesis.b4.const"] = arrays["synthesis.b4.const"][0].transpose(2, 0, 1)
    for number, dense in enumerate(mapping["EqualDense"]):
        arrays |= {f"mapping.fc{number}.weight": dense.kernel.numpy().T, f"mapping.fc{number}.bias": dense.bias.numpy()}
    convolutions, noises, biases = (iter(layers[name]) for name in ("ModulatedConv2D", "Noise", "Bias"))
    for side in 4, 8, 16, 32:
        for part in ("conv0", "conv1", "torgb")[side == 4:]:
            name, layer = f"synthesis.b{side}.{part}", next(convolutions)
            kernel = layer.kernel.numpy()
            arrays[f"{name}.weight"] = (kernel[::-1, ::-1] if part == "conv0" else kernel).transpose(3, 2, 0, 1)
            arrays |= {f"{name}.affine.weight": layer.style.kernel.numpy().T, f"{name}.affine.bias": layer.style.bias.numpy(),
                       f"{name}.bias": next(biases).bias.numpy()}
            if part != "torgb":
                noise = next(noises)
                arrays |= {f"{name}.noise_strength": noise.strength.numpy().reshape(()),
                           f"{name}.noise_const": noise.fixed.numpy()[0, ..., 0]}
    return arrays


@pytest.fixture
def modules(monkeypatch):
    """The packages that such files are written with, as far as they leave a trace."""
    def module(name: str, **names) -> None:
        made = ModuleType(name)
        for key, value in names.items():
            value.__module__, value.__qualname__ = name, key
            setattr(made, key, value)
        monkeypatch.setitem(sys.modules, name, made)

    class EasyDict(dict):
        pass

    class Network:
        def __init__(self, **state):
            self.state = state

        def __getstate__(self):
            return self.state

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("run")

    module("dnnlib", EasyDict=EasyDict)
    module("dnnlib.util", EasyDict=EasyDict)
    module("dnnlib.tflib", EasyDict=EasyDict)
    module("dnnlib.tflib.network", Network=Network)
    module("torch_utils", EasyDict=type("Other", (), {}))
    module("torch_utils.persistence", _reconstruct_persistent_obj=_reconstruct_persistent_obj)
    EasyDict.__module__ = "dnnlib.util"
    return EasyDict, Network, _reconstruct_persistent_obj


class Persistent:
    """A module as `torch_utils.persistence` pickles it."""

    def __init__(self, rebuild, meta):
        self._rebuild, self._meta = rebuild, meta

    def __reduce__(self):
        return self._rebuild, (self._meta,)


def torch_module(modules, arrays: dict[str, np.ndarray]) -> Persistent:
    import torch

    easy, _, rebuild = modules
    inner: dict[str, dict] = {}
    parameters, buffers = {}, {}
    for name, array in arrays.items():
        first, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(first, {})[rest] = array
        elif first in ("noise_const", "w_avg"):
            buffers[first] = torch.tensor(array.copy())
        else:
            parameters[first] = torch.nn.Parameter(torch.tensor(array.copy()))
    state = {"training": False, "_parameters": parameters, "_buffers": buffers,
             "_modules": {name: torch_module(modules, within) for name, within in inner.items()}}
    return Persistent(rebuild, easy(type="class", version=6, module_src="raise SystemExit('run')", class_name="Generator", state=state))


def pictures_of(mapping, synthesis) -> np.ndarray:
    w = np.asarray(mapping.predict_on_batch(z_of([1, 2], LATENT)))
    return np.asarray(synthesis.predict_on_batch(np.repeat(w[:, None], 8, 1)))


def test_a_generator_of_the_torch_layout_draws_what_it_drew(modules, networks, named, tmp_path):
    pytest.importorskip("torch")
    with open(tmp_path / "net.pkl", "wb") as file:
        pickle.dump({"G": None, "D": None, "G_ema": torch_module(modules, named)}, file)
    generator = published.load_published(tmp_path / "net.pkl")
    assert (generator.size, generator.latent, generator.layers) == (SIZE, LATENT, 8)
    z = np.float32(np.random.RandomState(85).randn(1, LATENT))
    assert np.allclose(generator.of_seeds([85]), networks["mapping"].predict_on_batch(z), atol=1e-4)
    wanted = pictures_of(networks["mapping"], networks["synthesis"])
    assert np.allclose(pictures_of(generator.mapping, generator.synthesis), wanted, atol=1e-4)
    assert np.allclose(generator.mean, named["mapping.w_avg"])


def test_a_generator_of_the_tensorflow_layout_draws_what_it_drew(modules, networks, named, tmp_path):
    easy, network, _ = modules
    variables = {"mapping": [("lod", np.float32(0))], "synthesis": []}
    number = 0
    for name, array in named.items():
        parts = name.split(".")
        if parts[0] == "mapping" and parts[1] != "w_avg":
            variables["mapping"].append((f"Dense{parts[1][2:]}/{parts[2]}", array.T))
        elif parts[-1] == "const":
            variables["synthesis"].append(("4x4/Const/const", array[None]))
        elif parts[0] == "synthesis":
            side = parts[1][1:]
            place = f"{side}x{side}/" + {"conv0": "Conv0_up", "conv1": "Conv" if side == "4" else "Conv1", "torgb": "ToRGB"}[parts[2]]
            entry = ".".join(parts[3:])
            if entry == "noise_const":
                entry, array, place = f"noise{number}", array[None, None], ""
                number += 1
            elif entry == "weight":
                array = array.transpose(2, 3, 1, 0)
                entry, array = "weight", array[::-1, ::-1] if parts[2] == "conv0" else array
            elif entry.startswith("affine"):
                entry, array = {"affine.weight": ("mod_weight", array.T), "affine.bias": ("mod_bias", array - 1)}[entry]
            variables["synthesis"].append((f"{place}/{entry}".lstrip("/"), np.array(array, np.float32)))
    inner = {part: network(version=4, name=f"G_{part}", components=easy(), variables=variables[part]) for part in variables}
    whole = network(version=4, name="Gs", components=easy(inner), build_module_src="raise SystemExit('run')",
                    variables=[("dlatent_avg", named["mapping.w_avg"]), ("lod", np.float32(0))])
    with open(tmp_path / "net.pkl", "wb") as file:
        pickle.dump((network(version=4), network(version=4), whole), file, protocol=2)
    generator = published.load_published(tmp_path / "net.pkl")
    wanted = pictures_of(networks["mapping"], networks["synthesis"])
    assert np.allclose(pictures_of(generator.mapping, generator.synthesis), wanted, atol=1e-4)


@pytest.mark.parametrize("changed, words", [
    (lambda named: {"mapping.embed.weight": np.ones((8, 5))}, "draws classes"),
    (lambda named: {name: array[:1] for name, array in named.items() if ".torgb.weight" in name}, "grey pictures"),
    (lambda named: {name: array[[0, 1, 2, 2]] for name, array in named.items() if ".torgb.weight" in name}, "4 channels"),
    (lambda named: {"synthesis.b8.skip.weight": np.ones((16, 16, 1, 1))}, "residual connections"),
    (lambda named: {"synthesis.input.weight": np.ones((16, 16))}, "StyleGAN3")], ids=["classes", "grey", "alpha", "residual", "3"])
def test_generators_of_other_kinds_are_told_in_words(named, tmp_path, monkeypatch, changed, words):
    monkeypatch.setattr(published, "read_published", lambda path: named | changed(named))
    with pytest.raises(FaceswapError, match=f"holds a generator .*{words}.*, which is not read. Those of StyleGAN2 are"):
        published.load_published(tmp_path / "net.pkl")


def test_a_seed_means_the_face_that_the_published_program_draws():
    """`generate.py` of stylegan2-ada-pytorch: z = torch.from_numpy(np.random.RandomState(seed).randn(1, G.z_dim))."""
    wanted = [np.random.RandomState(seed).randn(1, 512)[0] for seed in (85, 6600)]
    assert np.array_equal(z_of([85, 6600], 512, published=True), np.float32(wanted))
    assert not np.array_equal(z_of([85], 512), z_of([85], 512, published=True))


class Call:
    def __init__(self, function, *arguments):
        self._function, self._arguments = function, arguments

    def __reduce__(self):
        return self._function, self._arguments


@pytest.mark.parametrize("function, arguments", [(os.system, ("touch {}",)), (eval, ("open('{}', 'w')",)), (exec, ("open('{}', 'w')",)),
                                                 (open, ("{}", "w")), (getattr, ("{}", "upper")), (__import__, ("this",))], ids=str)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_file_that_calls_functions_is_refused_and_runs_nothing(tmp_path, function, arguments, protocol):
    trace = tmp_path / "trace"
    call = Call(function, *(text.format(trace) for text in arguments))
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"G_ema": call}, protocol))
    with pytest.raises(FaceswapError, match="is refused: it names .*Nothing of it was run"):
        published.read_published(tmp_path / "net.pkl")
    assert not trace.exists()


def test_names_of_known_packages_run_nothing_either(tmp_path):
    trace = tmp_path / "trace"
    calls = b"ctorch.serialization\nload\n(S'" + str(trace).encode() + b"'\ntR."
    numpy_runs = b"cnumpy.testing._private.utils\nruncstring\n(S'open(\"" + str(trace).encode() + b"\", \"w\")'\n}tR."
    for data in calls, numpy_runs:
        (tmp_path / "net.pkl").write_bytes(data)
        assert type(pickles.read(tmp_path / "net.pkl")).__name__ == "Stub"
        with pytest.raises(FaceswapError, match="holds no generator"):
            published.read_published(tmp_path / "net.pkl")
    assert not trace.exists()


@pytest.mark.parametrize("data", [
    b"\x80\x04r\xff\xff\xff\x7f.",  # keeps an object at place two thousand million
    b"\x80\x04Nr\xff\xff\xff\x7f.",
    b"\x80\x04\x8e\x00\x00\x00\x00\x10\x00\x00\x00.",  # bytes, 64 GB of them
    b"", b"no pickle", b"\x80\x04}q\x00(", b"PK\x03\x04"], ids=range(7))
def test_damaged_files_are_told_before_memory_is_taken(tmp_path, data):
    (tmp_path / "net.pkl").write_bytes(data)
    with pytest.raises(FaceswapError, match="is no pickle file, or is damaged"):
        published.read_published(tmp_path / "net.pkl")


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<f2", ">f4", "<i8", "|u1"])
def test_arrays_are_read_as_they_were(tmp_path, kind):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    for one in array, np.asfortranarray(array):
        for protocol in 2, 4:
            (tmp_path / "a.pkl").write_bytes(pickle.dumps(one, protocol))
            assert (pickles.array(pickles.read(tmp_path / "a.pkl")) == array).all()


def test_tensors_that_are_views_are_read_as_they_were(tmp_path):
    torch = pytest.importorskip("torch")
    whole = torch.arange(24.0).reshape(4, 6)
    for one in whole, whole.T, whole[1:, ::2], whole.half(), torch.tensor(3.0):
        (tmp_path / "t.pkl").write_bytes(pickle.dumps(one))
        assert (pickles.array(pickles.read(tmp_path / "t.pkl")) == one.numpy()).all()


def test_an_array_that_says_more_than_it_holds_is_refused():
    def stub(name, *args, state=None):
        made = type("Stub", (pickles.Stub,), {"called": name})(*args)
        made.state = state
        return made

    numbers = np.zeros(4, np.float32).tobytes()
    kind = stub("numpy.dtype", "f4", False, True, state=(3, "<", None, None, None, -1, -1, 0))
    with pytest.raises(ValueError, match="not the size"):
        pickles.array(stub("numpy.core.multiarray._reconstruct", state=(1, (1 << 40,), kind, False, numbers)))
    with pytest.raises(ValueError, match="larger than its numbers"):
        pickles._tensor(np.zeros(4, np.float32), 2, (3,), (1,))
    with pytest.raises(ValueError, match="no numbers"):
        pickles.array(stub("numpy.core.multiarray._reconstruct", state=(1, (1,), stub("numpy.dtype", "O8"), False, numbers)))
