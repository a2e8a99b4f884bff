"""onnxruntime: sessions on the best device, bounded memory and time for networks of strangers.

Run as a program it loads a network, to try whether that can be done within the bounds.
"""

from __future__ import annotations

import math
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import opened
from lib.system import device
from lib.version import ROOT

# The best first
PROVIDERS = ("CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider",
             "CPUExecutionProvider")
BATCH = 16  # pictures a call at most: a crowd must not need the memory of all its faces at once
MEMORY = 1_500_000_000  # bytes that the tensors of users' networks may take in all ...
LARGE_FILE = 500_000_000  # ... unless a network's file has more: it cannot fill the memory unseen
LOADING = 6.0  # seconds of a processor to load a network and half a gigabyte of its weights
LOOPS = b'"\x04Loop', b'"\x04Scan'  # field 4 of a NodeProto, its operator
LOOK_INTERVAL, PATIENCE = 0.2, 2.0  # seconds between looks at a call, and that it is given to end
OVERHEAD = 300_000_000  # bytes that Python and onnxruntime themselves take
REFUSED = "refused: "


def session(file: Path, network: bytes | None = None, bounded: bool = False) -> Any:
    """An `onnxruntime.InferenceSession` of the network in `file`; a call computes on one thread.

    Where `file` is of another kind, `network` is what was made of it. `bounded`: its tensors may
    take no more than MEMORY. Raises FaceswapError where the package is missing or the file is no
    network.
    """
    onnxruntime = _package()
    settings = onnxruntime.SessionOptions()
    # Frames and faces already keep all cores busy
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4  # errors are raised
    providers = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
    settings.enable_mem_pattern = "DmlExecutionProvider" not in providers  # DirectML refuses it
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("",
                                                  "-1") and "CUDAExecutionProvider" in providers:
        providers.remove("CUDAExecutionProvider")
    if bounded and file.stat().st_size <= LARGE_FILE:
        _bound_memory()
        settings.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(network or str(file), settings, providers=providers)
    except Exception as error:  # onnxruntime has a dozen exceptions without a common base
        raise FaceswapError(f"{file} is not a network that onnxruntime can load: "
                            f"{one_line(error)}. Replace it.") from error


def run(session: Any, outputs: Sequence[str], inputs: dict[str, np.ndarray],
        limit: float) -> list[np.ndarray]:
    """`session.run` where Ctrl-C reaches it. Raises TimeoutError after `limit` seconds of a
    processor, and what onnxruntime raises."""
    options, is_over, results = _package().RunOptions(), threading.Event(), []
    options.log_severity_level = 4

    def work() -> None:
        try:
            results.append(session.run(outputs, inputs, options))
        except BaseException as error:
            results.append(error)
        is_over.set()

    worker = threading.Thread(target=work, name="network", daemon=True)
    worker.start()
    try:
        while not is_over.wait(LOOK_INTERVAL):
            if _processor_time(worker) > limit:
                raise TimeoutError
    except BaseException:
        options.terminate = True  # before the network's next operation
        worker.join(PATIENCE)
        raise
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


@cache
def try_out(file: Path, changed: int) -> None:
    """Loads a network in a process of its own, with limits of time and memory: constants are
    computed while it is loaded.

    Raises FaceswapError where that fails. `changed` tells one file under a name from another.
    """
    _package()
    size = file.stat().st_size
    memory, seconds = MEMORY + OVERHEAD + 3 * size, math.ceil(LOADING * (1 + 2 * size / 1e9))
    command = [sys.executable, "-m", "lib.onnx.runtime", os.path.abspath(file), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, errors="replace",
                          env=os.environ | {"PYTHONPATH": str(ROOT)}) as child:
        try:
            device.end_beyond(child, memory)
        except BaseException:
            child.kill()
            raise
        output = child.stdout.read()
    if child.returncode and output.startswith(REFUSED):
        raise FaceswapError(output.removeprefix(REFUSED).strip())
    if child.returncode:
        raise FaceswapError(f"{file} takes too much time or memory to load. Use another network.")


def has_loops(file: Path) -> bool:
    """Whether the network in `file` may compute a part of itself any number of times."""
    with (opened(file) as network,
          mmap.mmap(network.fileno(), 0, access=mmap.ACCESS_READ) as data):
        return any(data.find(mark) >= 0 for mark in LOOPS)


def one_line(error: Exception) -> str:
    """What an error of onnxruntime says."""
    return " ".join(str(error).split()) or type(error).__name__


def _processor_time(worker: threading.Thread) -> float:
    """Seconds that a thread has computed; 0 where the system does not tell, or it has ended."""
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(worker.ident))
    except (AttributeError, OSError, OverflowError):
        return 0.0


def _package() -> Any:
    """onnxruntime. Raises FaceswapError where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise FaceswapError("ONNX networks need the package onnxruntime. Run: "
                            f"{Path(sys.executable).name} -m pip install onnxruntime (with an "
                            "NVIDIA GPU onnxruntime-gpu, on Windows also "
                            "onnxruntime-directml).") from None
    return onnxruntime


@cache
def _bound_memory() -> None:
    """One allocator for all users' networks, which gives no more than MEMORY."""
    onnxruntime = _package()
    place = onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                      onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(MEMORY, -1, -1, -1))


def _limit_processor(seconds: int) -> None:
    """Lets this process end before it has computed for longer."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    _limit_processor(int(sys.argv[2]))
    try:
        session(path)
    except FaceswapError as error:
        print(f"{REFUSED}{error}", flush=True)
    except MemoryError:
        sys.exit(1)
    else:
        os._exit(0)  # at once, whatever threads there are
    sys.exit(1)
