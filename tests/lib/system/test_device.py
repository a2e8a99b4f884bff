"""What the machine is said to be."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from lib.system import device
from lib.version import ROOT


def test_cores_follow_the_affinity_of_the_process():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no processor affinity")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert device.cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= device.cores() <= os.cpu_count()


@pytest.mark.parametrize("setting, expected", [("150000 100000", 1.5), ("max 100000", None), ("50000 100000", 0.5)])
def test_quota_of_a_container(tmp_path, monkeypatch, setting, expected):
    (tmp_path / "cpu.max").write_text(setting)
    monkeypatch.setattr(device, "CGROUPS", tmp_path)
    assert device._cgroup_quota() == expected


def test_half_a_core_is_one(tmp_path, monkeypatch):
    (tmp_path / "cpu.max").write_text("50000 100000")
    monkeypatch.setattr(device, "CGROUPS", tmp_path)
    assert device.cores() == 1


def test_memory_limit_of_a_container(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text(str(1 << 30))
    (tmp_path / "memory.current").write_text(str(1 << 28))
    monkeypatch.setattr(device, "CGROUPS", tmp_path)
    free, total = device.memory()
    assert total == 1 << 30
    assert 0 < free <= (1 << 30) - (1 << 28)


def test_memory_is_within_the_machine():
    free, total = device.memory()
    assert 0 < free <= total <= psutil.virtual_memory().total


def test_a_machine_without_a_gpu_is_no_error():
    assert isinstance(device.gpus(), list)


@pytest.mark.parametrize("chosen, expected", [(None, [0, 1, 2]), ("", []), ("-1", []), ("2,0", [2, 0]), ("GPU-bb", [1]), ("0,7,1", [0])])
def test_visible_gpus(monkeypatch, chosen, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert device._visible(["GPU-aa11", "GPU-bb22", "GPU-cc33"]) == expected


@pytest.mark.parametrize("flags, expected", [
    ("fpu avx512f avx512_bf16 sse2", "bfloat16"), ("amx_bf16 amx_tile", "bfloat16"), ("avx2 fma", "float32")])
def test_precision_is_what_the_processor_has(monkeypatch, flags, expected):
    monkeypatch.setattr(device, "_cpuinfo", lambda: {"flags": flags})
    assert device.default_precision(on_gpu=False) == expected


def test_backend_is_the_one_keras_would_take(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert device.backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert device.backend() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert device.backend() == "torch"


def test_nothing_heavy_is_imported():
    code = "import sys; from lib.system import device as d; d.cores(); d.memory(); d.gpus(); d.default_precision(); d.backend(); " \
           "print([m for m in ('numpy', 'cv2', 'tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
