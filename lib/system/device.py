"""What this machine computes with: cores, memory, GPUs, backend, precision. Imports neither NumPy
nor TensorFlow."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.reading import parse_json, read_json

CGROUPS = Path("/sys/fs/cgroup")
MMAP_THRESHOLD, BLOCK = -3, 4 << 20  # glibc's number of that setting; bytes
# where bfloat16 was measured to train 1.5 to 1.8 times as fast
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
TF_CONFIG = ('{"cluster": {"worker": ["host:port", ...]}, '
             '"task": {"type": "worker", "index": 0}}')


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, as its driver describes it."""

    index: int
    name: str
    memory: int  # bytes
    memory_used: int  # bytes, by all processes
    compute_capability: tuple[int, int]
    utilization: int | None  # percent over the last moments; None where the driver does not tell
    driver: str


def cores() -> int:
    """Processor cores that this process may use: the affinity mask, cut by the container's
    quota."""
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    else:
        usable = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, usable if quota is None else min(usable, math.ceil(quota)))


def memory() -> tuple[int, int]:
    """Bytes of memory (free to take, in all), within the container's limit."""
    import psutil

    machine = psutil.virtual_memory()
    limits = [(int(limit), folder) for folder, limit in _cgroup_values("memory.max")
              if limit.isdigit()]
    limit, folder = min(limits, default=(machine.total, None))
    if limit >= machine.total:
        return machine.available, machine.total
    used = _read(folder / "memory.current") or "0"
    return max(0, min(machine.available, limit - int(used))), limit


def give_blocks_back() -> None:
    """From now on large blocks of memory go back to the system as soon as they are free, where
    glibc manages memory.

    Else it keeps more and more of them between smaller ones: 4K video took a tenth more memory.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other systems have no such word
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, BLOCK)


def processor() -> str:
    """The processor's name."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def gpus() -> list[Gpu]:
    """The NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible; none where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no module, library or driver, or one of another version: CUDA finds none
        return []
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index)
                   for index in range(pynvml.nvmlDeviceGetCount())]
        visible = _visible([pynvml.nvmlDeviceGetUUID(handle) for handle in handles])
        return [_gpu(pynvml, index, handles[index], driver) for index in visible]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def backend() -> str:
    """The Keras backend that training will use: KERAS_BACKEND, else Keras's own settings file, else
    "tensorflow"."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    settings = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        name = read_json(settings).get("backend")
    except (OSError, ValueError, AttributeError):
        name = None
    return name if isinstance(name, str) and name else "tensorflow"


def worker() -> tuple[int, int]:
    """(number of this process, of how many) in the cluster that TF_CONFIG tells of; (0, 1) where
    there is none.

    Raises FaceswapError where it is no cluster of TensorFlow's.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 0, 1
    try:
        config = parse_json(text)
        cluster = [(kind, number) for kind in ("chief", "worker")
                   for number in range(len(config["cluster"].get(kind, ())))]
        return cluster.index((config["task"]["type"], int(config["task"]["index"]))), len(cluster)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FaceswapError("TF_CONFIG does not say which worker of which cluster this is "
                            f"({error}). It looks like {TF_CONFIG}; or unset it.") from error


def default_precision(on_gpu: bool | None = None) -> str:
    """"bfloat16" where the processor or the GPU that computes has it in hardware, else "float32".

    `on_gpu` says whether the backend computes on a GPU; None takes it to use one where there is
    one. Only Linux tells the processor's abilities; elsewhere the processor is taken to have none.
    """
    if on_gpu is not False and (devices := gpus()):
        has_bfloat16 = all(gpu.compute_capability >= (8, 0) for gpu in devices)
    else:
        has_bfloat16 = bool(BFLOAT16_FLAGS & set(_cpuinfo().get("flags", "").split()))
    return "bfloat16" if has_bfloat16 else "float32"


def _gpu(nvml, index: int, handle, driver: str) -> Gpu:
    space = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        utilization = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
    except nvml.NVMLError:  # a slice of a shared GPU does not tell
        utilization = None
    return Gpu(index, nvml.nvmlDeviceGetName(handle), space.total, space.used,
               tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle)), utilization, driver)


def _visible(uuids: list[str]) -> list[int]:
    """The numbers of the GPUs with these UUIDs that CUDA_VISIBLE_DEVICES names."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(range(len(uuids)))
    numbers = []
    for item in map(str.strip, chosen.split(",")):
        matches = [number for number, uuid in enumerate(uuids)
                   if item == str(number) or (item and uuid.startswith(item))]
        if not matches:  # CUDA ignores what follows an entry that it does not know
            break
        numbers.append(matches[0])
    return numbers


def _cpuinfo() -> dict[str, str]:
    text = _read(Path("/proc/cpuinfo")) or ""
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _cgroup_quota() -> float | None:
    """Cores' worth of time that the container grants, or None."""
    quotas = []
    for _, value in _cgroup_values("cpu.max"):  # version 2: "200000 100000" or "max 100000"
        quota, _, period = value.partition(" ")
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    # version 1
    old = _read(CGROUPS / "cpu" / "cpu.cfs_quota_us"), _read(CGROUPS / "cpu" / "cpu.cfs_period_us")
    if all(old) and int(old[0]) > 0:
        quotas.append(int(old[0]) / int(old[1]))
    return min(quotas, default=None)


def _cgroup_values(name: str) -> list[tuple[Path, str]]:
    """The setting `name` of this process's control group and of those around it."""
    lines = (_read(Path("/proc/self/cgroup")) or "").splitlines()
    group = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = CGROUPS / group.lstrip("/")
    folders = [item for item in (folder, *folder.parents)
               if item == CGROUPS or CGROUPS in item.parents]
    return [(item, value) for item in folders if (value := _read(item / name))]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def end_beyond(child: subprocess.Popen, most: float) -> None:
    """Waits until the process `child` ends, and ends it where it takes more than `most` bytes of
    memory."""
    import psutil

    try:
        process = psutil.Process(child.pid)
        while child.poll() is None:
            if process.memory_info().rss > most:
                child.kill()
            time.sleep(0.02)
    except psutil.NoSuchProcess:
        pass
