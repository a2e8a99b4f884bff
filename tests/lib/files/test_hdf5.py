"""HDF5 files from elsewhere: nothing of other files is read, and no more memory taken than the file has bytes."""

import h5py
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.files import hdf5
from lib.files.reading import Unreadable
from lib.swapping.exemplars import bank
from lib.training.saved import weights

SECRET = np.arange(1000, 1016, dtype=np.float32)


@pytest.fixture
def secret(tmp_path):
    """A file with numbers that nobody should get to see, as HDF5 and as bytes."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["00000"] = SECRET
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    return tmp_path


def soft(file, name, folder):
    file["there"] = SECRET
    file[name] = h5py.SoftLink("/there")


def external(file, name, folder):
    file[name] = h5py.ExternalLink(str(folder / "secret.h5"), "/00000")


def raw(file, name, folder):
    file.create_dataset(name, (16,), np.float32, external=[(str(folder / "secret.bin"), 0, 64)])


def virtual(file, name, folder):
    layout = h5py.VirtualLayout((16,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "00000", (16,))
    file.create_virtual_dataset(name, layout)


def nothing(file, name, folder):
    file.create_dataset(name, (1 << 36,), np.float32, chunks=(1 << 16,))


def packed(file, name, folder):
    file.create_dataset(name, data=np.zeros(1 << 20, np.float32), compression="gzip")


def texts(file, name, folder):
    file[name] = ["a", "b"]


def group(file, name, folder):
    file.create_group(name)


WAYS = [soft, external, raw, virtual, nothing, packed, texts, group]


@pytest.mark.parametrize("way", WAYS)
def test_one_dataset(secret, way):
    with h5py.File(secret / "x.h5", "w") as file:
        way(file, "00000", secret)
    with hdf5.open_hdf5(secret / "x.h5") as file, pytest.raises(Unreadable):
        hdf5.numbers(file, "00000")


@pytest.mark.parametrize("way", [way for way in WAYS if way is not group])
def test_a_file_that_is_read_as_a_whole(secret, way):
    with h5py.File(secret / "x.h5", "w") as file:
        file.create_group("a/b")
        way(file["a/b"], "00000", secret)
    with pytest.raises(Unreadable):
        hdf5.check_numbers(secret / "x.h5")


def test_groups_in_each_other_without_an_end(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        inner = file.create_group("a")
        inner["again"] = file["/"]
        inner["a"] = inner
    with pytest.raises(Unreadable, match="two places"):
        hdf5.check_numbers(tmp_path / "x.h5")


def test_what_is_good_is_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b"], file["scalar"], file["empty"] = SECRET, np.int64(5), np.zeros((0, 3))
    hdf5.check_numbers(tmp_path / "x.h5")
    with hdf5.open_hdf5(tmp_path / "x.h5") as file:
        assert np.array_equal(hdf5.numbers(file, "a/b"), SECRET) and hdf5.numbers(file, "scalar") == 5
    (tmp_path / "link.h5").symlink_to("x.h5")
    with pytest.raises(FaceswapError, match="is a link"):
        hdf5.open_hdf5(tmp_path / "link.h5", named=False)


@pytest.mark.parametrize("way", [external, raw, virtual, soft])
def test_an_optimizer_and_a_bank_are_read_so(secret, way):
    class Variable:
        shape = (16,)

        def assign(self, value):
            pytest.fail(f"{value} was read")

    with h5py.File(secret / "x.optimizer.h5", "w") as file:
        way(file, "00000", secret)
        file.pop("there", None)
    with pytest.raises(FaceswapError, match="does not hold this model's optimizer"):
        weights.load_variables(secret / "x.optimizer.h5", [Variable()])
    with h5py.File(secret / "exemplars_b.h5", "w") as file:
        file.attrs.update({"kind": bank.KIND, "format": 1, "coverage": "full", "bare": False, "sources": ""})
        way(file, "jpegs", secret)
        file["ends"], file["landmarks"], file["moments"] = [16], np.zeros((1, 68, 2)), [0]
    with pytest.raises(FaceswapError, match="Cannot read"):
        bank.read(secret / "exemplars_b.h5")
