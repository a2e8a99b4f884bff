from __future__ import annotations

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass

from lib.errors import DONE
from lib.options import option
from lib.settings import Settings
from lib.system import device

GIB = 1 << 30


@dataclass(kw_only=True)
class DevicesSettings(Settings):
    """Show the processor, memory, GPUs, backend and precision that training will use."""

    json: bool = option(False, "Print one JSON object.")


def run(settings: DevicesSettings) -> int:
    free, total = device.memory()
    backend = device.backend()
    facts = {
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "processor": device.processor(),
        "cores": device.cores(),
        "memory": total,
        "memory_free": free,
        "gpus": [asdict(gpu) for gpu in device.gpus()],
        "backend": backend,
        "backend_version": _version(backend),
        "keras_version": _version("keras"),
        "precision": device.default_precision(),
    }
    if settings.json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        _print(facts)
    return DONE


def _print(facts: dict) -> None:
    print(f"system     {facts['system']}")
    print(f"processor  {facts['processor']}, {facts['cores']} core{'s' * (facts['cores'] != 1)} "
          "for this process")
    print(
        f"memory     {facts['memory_free'] / GIB:.1f} GiB free of {facts['memory'] / GIB:.1f} GiB")
    for gpu in facts["gpus"]:
        capability = ".".join(map(str, gpu["compute_capability"]))
        load = "" if gpu["utilization"] is None else f", {gpu['utilization']} % busy"
        print(f"GPU {gpu['index']}      {gpu['name']}, "
              f"{(gpu['memory'] - gpu['memory_used']) / GIB:.1f} GiB free of "
              f"{gpu['memory'] / GIB:.1f} GiB, compute capability {capability}, driver "
              f"{gpu['driver']}{load}")
    if not facts["gpus"]:
        print("GPU        none found: everything runs on the processor")
    print(f"backend    {facts['backend']} {facts['backend_version']}, Keras "
          f"{facts['keras_version']}")
    print(f"precision  {facts['precision']}")


def _version(name: str) -> str:
    """The installed version of a package, or "not installed"."""
    for package in (name, f"{name}-cpu"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"
