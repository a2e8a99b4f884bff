"""What gets installed: a lock for each list of requirements, with hashes, from which alone make installs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LISTS = {  # the lock -> the lists that it is made from
    "requirements.lock": ["requirements.txt"],
    "requirements-build.lock": ["requirements-build.txt"],
    "requirements-dev.lock": ["requirements.txt", "requirements-dev.txt"],
    "requirements-gpu.lock": ["requirements.txt", "requirements-gpu.txt"],
}
UNSAFE = {  # what these let a received file or a server do is said in requirements.txt
    "keras": "3.14.1",
    "onnxruntime": "1.26.0",
    "av": "17.1.0",
    "requests": "2.32.3",
    "urllib3": "2.6.3",
    "pillow": "12.2.0",
    "h5py": "3.12.1",
}


def requirements(name: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """Name of the package -> version, hashes."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^ *#.*\n", "", (ROOT / name).read_text()).strip())
    pins = {}
    for entry in entries:
        package, version = re.match(r"([\w.-]+)==([\w.+-]+)", entry).groups()
        assert canonicalize_name(package) not in pins, f"{package} twice: one version serves every Python"
        pins[canonicalize_name(package)] = version, re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)
    return pins


@pytest.mark.parametrize("lock", LISTS)
def test_lock_holds_a_fitting_version_of_each_requirement_with_hashes(lock):
    pins = locked(lock)
    for requirement in (requirement for name in LISTS[lock] for requirement in requirements(name)):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)][0]), requirement
    assert [name for name, (_, hashes) in pins.items() if not hashes] == []


@pytest.mark.parametrize("lock", LISTS)
def test_lock_names_no_place_to_download_from(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text


@pytest.mark.parametrize("lock", list(LISTS)[1:])
def test_locks_agree(lock):
    pins, others = locked("requirements.lock"), locked(lock)
    assert {name: others[name] for name in others if name in pins} == {
        name: pins[name] for name in others if name in pins
    }


@pytest.mark.parametrize("name", UNSAFE)
def test_ranges_leave_out_what_is_unsafe(name):
    (requirement,) = (requirement for requirement in requirements("requirements.txt") if requirement.name == name)
    assert not requirement.specifier.contains(UNSAFE[name])


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize(
    "arguments, locks",
    [
        (["demo"], ["build", ""]),
        (["test"], ["build", "", "dev"]),
        (["REQUIREMENTS=requirements-gpu.txt", "demo"], ["build", "gpu"]),
    ],
)
def test_make_installs_from_locks_alone(arguments, locks):
    steps = subprocess.run(
        ["make", "--dry-run", "--always-make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    installs = [step for step in steps if " pip install " in step]
    assert [step.split()[-1] for step in installs] == [f"requirements{lock and '-' + lock}.lock" for lock in locks]
    assert all("--require-hashes" in step and "--no-build-isolation" in step for step in installs)
