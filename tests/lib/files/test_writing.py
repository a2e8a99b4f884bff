"""What is written appears whole, never through a link, and only our own files are removed."""

import ast
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.facesets.sorting import moves
from lib.files import writing
from lib.media.endpoints.source import open_source
from lib.plugin import WRITERS
from lib.system.lock import Beat, Lock
from lib.training.saved import checkpoint

ROOT = Path(__file__).resolve().parents[3]
ALLOWED = {  # where files are written by other means, and why
    "lib/files/writing.py": "the one place",
    "scripts/benchmarks/extract.py": "pictures in a temporary folder",
    "scripts/benchmarks/convert.py": "in a temporary folder",
    "scripts/benchmarks/train.py": "in a temporary folder",
}


def writes(call: ast.Call) -> bool:
    """Whether a call opens a file for writing, moves, copies or removes one by other means than `lib.files.writing`."""
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    words = [value.value for value in [*call.args, *(item.value for item in call.keywords)]
             if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    if name == "av.open" and ast.unparse(call.args[0]) in ("io.BytesIO()", "file"):  # memory, or a file that was made here
        return False
    if last == "open" and name != "AlignmentStore.open":
        return "os.devnull" not in ast.unparse(call) and any(set(word) <= set("rwaxbt+") and set(word) & set("wax+") for word in words)
    if last in ("write_text", "write_bytes") and name.partition(".")[0] not in ("writing",) and "." in name:
        return True
    return name in ("os.replace", "os.rename", "shutil.rmtree", "shutil.move", "shutil.copy", "shutil.copy2", "shutil.copyfile", "os.open",
                    "shutil.copytree", "tempfile.mkstemp", "tempfile.NamedTemporaryFile", "cv2.imwrite", "np.save") or last == "touch"


def test_nothing_else_opens_a_file_for_writing():
    found = []
    for path in sorted(path for folder in ("lib", "plugins", "scripts") for path in (ROOT / folder).rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if place not in ALLOWED:
            calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
            found += [f"{place}:{call.lineno} {ast.unparse(call)[:80]}" for call in calls if writes(call)]
    assert not found, "\n".join(found)


@pytest.fixture
def secret(tmp_path) -> Path:
    """A file of the user's that somebody would have overwritten."""
    path = tmp_path / "home" / ".bashrc"
    path.parent.mkdir()
    path.write_text("mine")
    return path


@pytest.mark.parametrize("write", [
    lambda path: writing.write_bytes(path, b"new"), lambda path: writing.write_text(path, "new"),
    lambda path: writing.write_json(path, "new"), lambda path: writing.copy_file(ROOT / "README.md", path)],
    ids=["bytes", "text", "json", "copy"])
def test_a_link_at_the_name_of_a_result_is_replaced_and_not_followed(write, secret, tmp_path):
    (tmp_path / "result").symlink_to(secret)
    write(tmp_path / "result")
    assert secret.read_text() == "mine" and not (tmp_path / "result").is_symlink() and (tmp_path / "result").stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "result"]


@pytest.mark.parametrize("open_it", [writing.open_append, writing.create, writing.open_lock, Lock])
def test_a_link_is_not_opened_for_writing(open_it, secret, tmp_path):
    (tmp_path / "log").symlink_to(secret)
    with pytest.raises(OSError):
        open_it(tmp_path / "log")
    assert secret.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("open_it", [writing.open_append, writing.open_lock])
def test_a_pipe_is_refused_without_waiting(open_it, tmp_path):
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError):
        open_it(tmp_path / "log")


def test_a_beat_does_not_write_through_a_link(secret, tmp_path):
    (tmp_path / ".beat").symlink_to(secret)
    secret.write_text("")
    with Beat(tmp_path / ".beat"):
        pass
    assert secret.read_text() == ""


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "result").write_text("old")
    with pytest.raises(ZeroDivisionError):
        with writing.open_new(tmp_path / "result") as file:
            file.write(b"new")
            raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["result"] and (tmp_path / "result").read_text() == "old"


def test_write_new_never_replaces(tmp_path):
    writing.write_new(tmp_path / "key", b"first", mode=0o600)
    with pytest.raises(FileExistsError):
        writing.write_new(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first" and (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_sweep_removes_what_killed_runs_left_and_nothing_else(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ours, theirs, old = (writing.part_beside(tmp_path / str(number)) for number in range(3))
    dead = ours.with_name(ours.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
    elsewhere = old.with_name(f".faceswap-00000000-{ended.pid}-00000000.part")
    for path in (ours, dead, elsewhere, tmp_path / "film.part", tmp_path / ".faceswap-notes.part"):
        path.write_text("x")
    writing.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {ours.name, elsewhere.name, "film.part", ".faceswap-notes.part"}
    os.utime(elsewhere, (0, 0))
    writing.sweep(tmp_path)
    assert not elsewhere.exists() and ours.exists()


# --- folders that come from somebody else


def test_saves_of_a_model_folder_that_lead_elsewhere_are_refused(tmp_path):
    target, folder = tmp_path / "home", tmp_path / "model"
    (target / ".ssh").mkdir(parents=True)
    (target / ".ssh" / "id").write_text("key")
    (target / ".00000001").mkdir()
    folder.mkdir()
    (folder / "saves").symlink_to(target)
    with pytest.raises(FaceswapError, match="is a link to another place"):
        checkpoint.saves(folder)
    with pytest.raises(FaceswapError, match="is a link to another place"):
        checkpoint.save(folder, {}, {}, {}, checkpoint.State(1, 0.0))
    assert (target / ".ssh" / "id").exists() and (target / ".00000001").exists()


def test_old_saves_that_are_links_or_hold_other_files_stay(tmp_path):
    saves, home = tmp_path / "model" / "saves", tmp_path / "home"
    home.mkdir()
    (home / "state.json").write_text("mine")
    for number in range(1, 6):
        (saves / f"{number:08d}").mkdir(parents=True)
        (saves / f"{number:08d}" / "state.json").write_text("{}")
    (saves / "00000001" / "diary.txt").write_text("mine")
    (saves / ".00000009").symlink_to(home)
    (saves / ".git").mkdir()
    (saves / "0").symlink_to(home)
    checkpoint.save(tmp_path / "model", {}, {}, {}, checkpoint.State(6, 0.0), keep=2)
    assert {path.name for path in saves.iterdir()} == {"00000006", "00000005", "00000001", ".00000009", ".git", "0"}
    assert (saves / "00000001" / "diary.txt").exists() and (home / "state.json").read_text() == "mine"


def test_a_journal_that_names_another_file_is_refused(tmp_path, secret):
    with AlignmentStore.open(tmp_path / "x.db"):
        pass
    name = str(secret).encode()
    journal = tmp_path / "x.db-journal"
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(504) + (2).to_bytes(4, "big") + name + len(name).to_bytes(4, "big")
                        + (sum(name) & 0xFFFFFFFF).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7"))
    for read_only in (True, False):
        with pytest.raises(FaceswapError, match="names another file"):
            AlignmentStore.open(tmp_path / "x.db", read_only)
    assert secret.read_text() == "mine"


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
def test_a_link_beside_a_store_is_refused(ending, tmp_path, secret):
    with AlignmentStore.open(tmp_path / "x.db"):
        pass
    if ending != "-journal":
        sqlite3.connect(tmp_path / "x.db").execute("PRAGMA journal_mode = wal")
    for leftover in tmp_path.glob("x.db-*"):
        leftover.unlink()
    (tmp_path / f"x.db{ending}").symlink_to(secret)
    for read_only in (True, False):
        with pytest.raises(FaceswapError, match="is a link"):
            AlignmentStore.open(tmp_path / "x.db", read_only)
    assert secret.read_text() == "mine"


def test_undoing_a_sort_moves_nothing_through_a_link(tmp_path, secret):
    folder = tmp_path / "faces"
    folder.mkdir()
    (folder / "sub").symlink_to(secret.parent)
    writing.write_text(folder / "sort-undo-1.jsonl", '{"format": 1, "by": "size", "folders": []}\n'
                       '{"before": "stolen.png", "after": "sub/.bashrc"}\n')
    with pytest.raises(FaceswapError, match="is a link to another place"):
        moves.undo(folder, moves.read_undo(folder))
    assert secret.read_text() == "mine" and not (folder / "stolen.png").exists()


# --- work in progress


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_has_the_name_of_our_work_folder_is_not_touched(kind, tmp_path, shared):
    clip = shared("videos/formats/h264_8bit.mp4")
    work = tmp_path / "out.mp4.part"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "000000").write_text("mine")
    if kind == "file":
        work.write_text("mine")
    elif kind == "folder":
        mine.rename(work)
    else:
        work.symlink_to(mine)
    source = open_source(clip)
    with pytest.raises(FaceswapError, match="is in the way"):
        with WRITERS.create("video").open(tmp_path / "out.mp4", source) as sink:
            for frame in source.frames(0, 1):
                sink.write(frame, frame.image)
    assert (work if kind == "file" else work / "000000").read_text() == "mine"


def test_a_folder_without_our_mark_is_never_removed(tmp_path):
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "photo").write_text("mine")
    writing.remove_work_folder(tmp_path / "out.part")
    (tmp_path / "ours").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    writing.make_work_folder(tmp_path / "ours")
    writing.remove_work_folder(tmp_path / "link")
    assert (tmp_path / "out.part" / "photo").exists() and writing.is_work_folder(tmp_path / "ours")
    writing.remove_work_folder(tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
