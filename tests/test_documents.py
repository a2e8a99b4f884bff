"""README and docs: command lines parse, options exist, every command has a page, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from lib.command import parsing
from lib.plugin import REGISTRIES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
OTHERS = {"--require-hashes", "--no-build-isolation", "--force-reinstall", "--logdir", "--help"}  # of other programs
DOCUMENTED = {"--color.amount"}  # of the plugins in plugins.md


def command_lines() -> list[tuple[str, str]]:
    """Document and command line, from blocks of shell and from code within a line that begins with `faceswap.py`."""
    lines = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for kind, block in BLOCK.findall(text):
            if kind in ("sh", "powershell"):
                joined = block.replace("\\\n", " ")
                lines += [(path.name, line) for line in joined.splitlines() if re.search(r"(^|\s)\S*faceswap\.py ", line)]
        rest = BLOCK.sub("", text)
        lines += [(path.name, code) for code in re.findall(r"`(faceswap\.py [^`]+)`", rest) if " COMMAND" not in code]
    return lines


def words(line: str) -> list[str]:
    """What follows `faceswap.py` in a line, without its comment."""
    every = shlex.split(line, comments=True)
    start = next(place for place, word in enumerate(every) if word.endswith("faceswap.py"))
    return [word for word in every[start + 1:] if word != ">"]


@pytest.mark.parametrize("document, line", command_lines())
def test_command_lines_parse(document, line, monkeypatch):
    monkeypatch.chdir(ROOT)  # presets/quick96.toml
    command, *argv = words(line)
    if ".json" in line.partition(">")[2]:  # output goes to a file
        argv = argv[:-1]
    assert command in parsing.commands(), f"{document}: {line}"
    try:
        parsing.parse(command, parsing.declaration(command), argv)
    except SystemExit as leaving:  # --help
        assert leaving.code in (None, 0)


def options() -> set[str]:
    """Every flag of every command and plugin."""
    declared = [option for command in parsing.commands() for option in parsing.declaration(command).options]
    flags = {f"--{name}" for option in declared for name in (option.flag, *option.aliases)} | {f"--no-{option.flag}" for option in declared if option.kind == "bool"}
    for registry in REGISTRIES.values():
        for name in registry.names():
            for option in registry.declaration(name).options:
                flags |= {f"--{registry.singular}.{option.flag}", f"--{registry.singular}.{name}.{option.flag}"}
    return flags | {"--config", "--log"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_options_exist(path):
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*", path.read_text(encoding="utf-8")))
    assert not told - options() - OTHERS - DOCUMENTED


def test_every_command_has_a_page_and_a_line_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in parsing.commands():
        assert (ROOT / "docs" / f"{command}.md").exists(), command
        assert f"[`{command}`](docs/{command}.md)" in readme, command


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def headings(path: Path) -> set[str]:
    """The anchors of a document, as GitHub makes them."""
    names = re.findall(r"^#+ (.*)$", BLOCK.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", name).lower().replace("`", "")).strip().replace(" ", "-")
            for name in names}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", path.read_text(encoding="utf-8"))):
        if not link.startswith("http"):
            file, _, anchor = link.partition("#")
            target = path.parent / file if file else path
            assert target.exists(), link
            assert not anchor or anchor in headings(target), link


def test_the_map_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for init in (ROOT / "lib").rglob("__init__.py"):
        room = init.parent.relative_to(ROOT).as_posix()
        if init.parent.parent.name == "jobs":
            continue  # rooms of single commands
        assert f"`{room}`" in text or f"`{init.parent.name}`" in text, room


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_named_in_documents_exist(path):
    for name in re.findall(r"`((?:lib|plugins|scripts|tests|presets)/[\w/]+\.(?:py|toml|txt))`", path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists() or "NAME" in name, name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_toml_is_valid(path):
    for kind, block in BLOCK.findall(path.read_text(encoding="utf-8")):
        if kind == "toml":
            tomllib.loads(block)


def test_the_configuration_file_of_the_documents_is_accepted(tmp_path):
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    config = tmp_path / "faceswap.toml"
    config.write_text(next(block for kind, block in BLOCK.findall(text) if kind == "toml"), encoding="utf-8")
    values = parsing.parse("extract", parsing.declaration("extract"), ["-i", "a.mp4", "--config", str(config)])
    assert values["detector"] == "yunet" and values["plugin_options"]["detector"]["min_score"] == 0.85
    parsing.parse("train", parsing.declaration("train"), ["-A", "a", "-B", "b", "-m", "m", "--config", str(config)])


def help_examples() -> list[tuple[str, str]]:
    """Command and example, from the lines of its help that begin with its name."""
    return [(command, re.split(r"  +", line)[0]) for command in parsing.commands()
            for line in parsing.declaration(command).doc.splitlines() if line.startswith(f"{command} ") and not line.endswith(".")]


@pytest.mark.parametrize("command, line", help_examples())
def test_examples_of_the_help_parse(command, line):
    parsing.parse(command, parsing.declaration(command), shlex.split(line)[1:])


def test_examples_of_the_help_are_read():
    assert len(help_examples()) > 30
