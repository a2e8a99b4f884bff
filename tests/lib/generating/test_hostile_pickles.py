"""Pickles that would take all of the memory, or never end: refused in one line, and nothing of them runs."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from lib.errors import FaceswapError
from lib.generating import pickles, published

ROOT = Path(__file__).resolve().parents[3]
STUB = b"ctorch\nx\n"


def doubled(times: int) -> bytes:
    """A tuple of a tuple twice, and so on, as a key."""
    return b"\x80\x02}" + b")" + b"2\x86" * times + b"K\x01s."


def modules(depth: int, twice: bool) -> bytes:
    """G_ema with a graph of modules in which each holds the next, or the next twice."""
    inner = b"}" + b"X\x0b\0\0\0_parametersNsX\x08\0\0\0_buffersNsX\x08\0\0\0_modulesNs"
    data = STUB + b")R" + inner + b"b"
    for _ in range(depth):
        held = b"}X\x01\0\0\0a" + b"h\0s" + (b"X\x01\0\0\0b" + b"h\0s") * twice
        state = b"}X\x0b\0\0\0_parametersNsX\x08\0\0\0_buffersNsX\x08\0\0\0_modules" + held + b"s"
        data += b"q\0" + b"0" + STUB + b")R" + state + b"b"
    return b"\x80\x02}X\x05\0\0\0G_ema" + data + b"s."


HOSTILE = {
    "doubled tuple": doubled(60),
    "nested tuples": b"\x80\x02}" + b")" + b"\x85" * 500_000 + b"K\x01s.",
    "nested tuples of protocol 0": b"(" * 300_000 + b"t" * 300_000 + b".",
    "nested tuples from memory": b"\x80\x02)q\0" + b"0h\0h\0\x86q\0" * 60 + b"0}h\0K\x01s.",
    "operations": b"\x80\x02" + b"]0" * 600_000 + b"N.",
    "classes": b"\x80\x02" + b"".join(b"ctorch\nx%d\n0" % number for number in range(1001)) + b"N.",
    "copies": b"\x80\x02c_codecs\nencode\nq\0X\xa0\x86\x01\0"
    + b"a" * 100_000
    + b"q\x01X\x06\0\0\0latin1\x86q\x02"
    + b"h\0h\x02R0" * 50_000
    + b"N.",
    "sets": b"\x80\x02c__builtin__\nset\nq\0("
    + b"K\x01" * 10_000
    + b"lq\x01\x85q\x02"
    + b"h\0h\x02R0" * 50_000
    + b"N.",
    "modules without an end": modules(100, False),
    "modules by the power of two": modules(60, True),
    "a long number": b"L" + b"1" * 5000 + b"L\n.",
    "far memory": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a class that runs": b"cposix\nsystem\n(S'touch ran'\ntR.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_is_refused_in_one_line(tmp_path, name):
    (tmp_path / "x.pkl").write_bytes(HOSTILE[name])
    with pytest.raises(FaceswapError) as told:
        published.read_published(tmp_path / "x.pkl")
    assert "\n" not in str(told.value) and len(str(told.value)) < 500
    assert not (tmp_path / "ran").exists()


def test_no_depth_of_other_objects_ends_the_process(tmp_path):
    """Lists, dictionaries and stubs within each other are read, looked at and thrown away again."""
    resource = pytest.importorskip("resource", reason="this system has no limits of memory")
    deep = {
        "lists": b"\x80\x02" + b"]" * 400_000 + b"a" * 399_999 + b".",
        "stubs": b"\x80\x02N" + (b"\x85q\0" + b"0" + STUB + b"h\0R") * 150_000 + b".",
    }
    for name, data in deep.items():
        (tmp_path / f"{name}.pkl").write_bytes(data)
    code = (
        "import sys\nfrom pathlib import Path\nfrom lib.errors import FaceswapError\nfrom lib.generating import published\n"
        "for name in sys.argv[1:]:\n    try:\n        published.read_published(Path(name))\n    except FaceswapError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *(str(tmp_path / f"{name}.pkl") for name in deep)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    assert done.returncode == 0 and done.stdout.count("\n") == len(deep), done.stderr


def test_noise_beyond_all_sizes_is_passed_over():
    import numpy as np

    assert published._convert("synthesis/noise9999999999", np.zeros((1, 1, 4, 4))) is None
    assert published._convert("synthesis/noise3", np.zeros((1, 1, 4, 4)))[0] == "synthesis.b16.conv0.noise_const"


def test_usual_objects_are_read_as_they_are(tmp_path):
    value = {"a": [1, (2, (3, "x")), {"b": None}], "c": ((1, 2), (3, 4)), "d": b"\xff", "e": {5, 6}}
    for protocol in range(6):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol))
        assert pickles.read(tmp_path / "x.pkl") == value
