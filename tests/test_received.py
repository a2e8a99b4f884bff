"""Folders that come from somebody else: whatever lies in them, a command touches nothing outside of what it was told to write."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

WRITTEN = ("options.json", "options.copy.json", "log.jsonl", "preview.png", "loss.png", "report.html", "identities.json", "history.png",
           "exemplars_a.h5", "exemplars_b.h5", "out.mp4", "out.mp4.run.json", "frames.json", "swap.json", "sort-undo-1.jsonl", "state.json",
           "00001.png", "a.png", "gather.json", "packed.h5")


def everything(folder: Path) -> dict[str, tuple]:
    """What a folder holds: of each file its mode, time and bytes."""
    seen = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(about.st_mode) else os.readlink(path) if path.is_symlink() else None
        seen[path.relative_to(folder).as_posix()] = about.st_mode, about.st_mtime_ns, content
    return seen


@pytest.fixture
def home(tmp_path) -> Path:
    folder = tmp_path / "home"
    for name in (".bashrc", ".ssh/id_ed25519", ".config/faceswap.toml", "Documents/notes.txt", ".00000007/state.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name} of the user's")
    return folder


@pytest.fixture
def received(tiny_swap, home, tmp_path) -> Path:
    """What `swap` made, with links into the home folder under all names that programs of this kind write to."""
    folder = Path(shutil.copytree(tiny_swap, tmp_path / "received"))
    for inner in [folder, *(path for path in folder.rglob("*") if path.is_dir() and path.name != "saves")]:
        names = {path.name for path in inner.iterdir()} | set(WRITTEN)
        for name in names:
            for planted in (f"{name}.part", f".{name}.part", f"{name}.tmp", f"{name}.lock"):
                if not (inner / planted).exists():
                    (inner / planted).symlink_to(home / ".bashrc")
        for name in (".beat", "loss.png", "report.html", "timelapse", "events", "snapshots"):
            if not (inner / name).exists():
                (inner / name).symlink_to(home if name in ("timelapse", "events", "snapshots") else home / ".bashrc")
    return folder


COMMANDS = {
    "train": lambda folder: ("train", "-A", folder / "out.faceswap" / "a", "-B", folder / "out.faceswap" / "b", "-m",
                             folder / "out.faceswap" / "model", "-i", 5),
    "convert": lambda folder: ("convert", "-i", folder / "a.mp4", "-o", folder / "out.mp4", "-m", folder / "out.faceswap" / "model"),
    "frames": lambda folder: ("convert", "-i", folder / "a.mp4", "-o", folder / "frames", "-m", folder / "out.faceswap" / "model"),
    "extract": lambda folder: ("extract", "-i", folder / "a.mp4", "-o", folder / "out.faceswap" / "a", "-D", "hog"),
    "sort": lambda folder: ("sort", "-i", folder / "out.faceswap" / "a", "--by", "size"),
    "pack": lambda folder: ("faces", "pack", "-i", folder / "out.faceswap" / "a", "-o", folder / "packed.h5"),
    "swap": lambda folder: ("swap", "-A", folder / "a.mp4", "-B", folder / "b.mp4", "-o", folder / "out.mp4", "-t", "tiny", "-i", 4,
                            "-D", "hog"),
    "cut": lambda folder: ("ffmpeg", "cut", "-i", folder / "a.mp4", "-o", folder / "out.mp4", "--from", "0.2", "--to", "0.4"),
    "frames of a video": lambda folder: ("ffmpeg", "extract", "-i", folder / "a.mp4", "-o", folder / "frames"),
}


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot refuse links")
@pytest.mark.parametrize("name", COMMANDS)
def test_links_in_a_received_folder_lead_no_command_out_of_it(name, received, home, clips, faceswap, own_plugins, tmp_path):
    for clip, identity in zip(clips, "ab"):
        shutil.copy(clip, received / f"{identity}.mp4")
    before, outside = everything(home), {path.name for path in tmp_path.iterdir()}
    done = faceswap(*COMMANDS[name](received), code=None, **own_plugins)
    assert done.returncode in (0, 1), done.stderr
    assert done.returncode == 0 or len([line for line in done.stderr.splitlines() if line.startswith("error")]) == 1, done.stderr
    assert everything(home) == before
    assert {path.name for path in tmp_path.iterdir()} == outside
