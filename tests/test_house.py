"""The house: imports go one way, between rooms as between files; each room says what it imports; no room is crowded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("lib", "plugins", "scripts")
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
           for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))}
ROOMS = [name for name, path in MODULES.items() if name.startswith("lib") and path.name == "__init__.py"]
MOST_FILES = 15  # of a room
LONGEST_SCRIPT, LONGEST_FILE, LONGEST_FUNCTION = 150, 400, 50  # lines, docstrings and comments among them
MOST_LONG = 0.05  # share of all lines that longer functions may hold


def imported(name: str, typing: bool) -> set[str]:
    """The project's modules that a module imports, in functions too; with `typing`, those for type checkers as well."""
    found = set()
    for node in statements(ast.parse(MODULES[name].read_text(encoding="utf-8")), typing):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {full if full in MODULES else node.module for full in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & MODULES.keys()) - {name}


def statements(tree: ast.AST, typing: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not typing:
            continue
        yield node
        yield from statements(node, typing)


def room_of(name: str) -> str:
    return name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """A circle in the graph, or None."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str] | None:
        if name in way:
            return way[way.index(name):] + [name]
        if name in done:
            return None
        for after in sorted(graph.get(name, ())):
            if around := follow(after, [*way, name]):
                return around
        done.add(name)
        return None

    return next((around for name in sorted(graph) if (around := follow(name, []))), None)


@pytest.fixture(scope="module")
def files() -> dict[str, set[str]]:
    return {name: imported(name, typing=False) for name in MODULES}


@pytest.fixture(scope="module")
def rooms(files) -> dict[str, set[str]]:
    """The rooms that each room imports from."""
    wanted: dict[str, set[str]] = {}
    for name, others in files.items():
        wanted.setdefault(room_of(name), set()).update(map(room_of, others))
    return {room: others - {room} for room, others in wanted.items()}


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) is None


def test_no_circle_between_files():
    assert circle({name: imported(name, typing=True) for name in MODULES}) is None


def test_no_circle_between_rooms(rooms):
    assert circle(rooms) is None


def test_imports_point_from_scripts_to_plugins_to_lib(files):
    """A command's script is imported by nothing; those of benchmarks may be by `bench`, which runs them."""
    assert [(name, other) for name, imports in files.items() for other in imports
            if name.startswith("lib") and other.startswith(("plugins", "scripts"))
            or other.startswith("scripts") and not other.startswith("scripts.benchmarks")] == []


@pytest.mark.parametrize("script", [name for name in MODULES if re.fullmatch(r"scripts\.\w+", name)])
def test_scripts_are_thin(script):
    assert len(MODULES[script].read_text(encoding="utf-8").splitlines()) <= LONGEST_SCRIPT


def test_files_and_functions_are_short():
    texts = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
    assert [name for name, text in texts.items() if len(text.splitlines()) > LONGEST_FILE] == []
    long = [node.end_lineno - node.lineno + 1 for text in texts.values() for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST_FUNCTION]
    assert sum(long) < MOST_LONG * sum(len(text.splitlines()) for text in texts.values())


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_lives_there_and_what_it_imports(room, rooms):
    told = ast.get_docstring(ast.parse(MODULES[room].read_text(encoding="utf-8"))) or ""
    what, _, imports = told.partition("Imports:")
    assert len(what) > 20 and imports, f"{room} says nothing of itself"
    assert set(re.findall(r"lib\.[a-z_.]*[a-z]", imports)) == {other for other in rooms.get(room, ()) if other not in ("lib", room)}


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_is_crowded(room):
    assert len([name for name in MODULES if room_of(name) == room and name != room]) <= MOST_FILES
