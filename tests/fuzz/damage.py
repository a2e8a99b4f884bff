"""How files are damaged: bytes alone, JSON values, and texts that are no usual ones."""

from __future__ import annotations

import json
import random
from typing import Any

NUMBERS = (
    0,
    1,
    -1,
    2,
    127,
    128,
    255,
    256,
    32767,
    65535,
    65536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 53,
    1 << 63,
    10**30,
    -(1 << 63),
    -0.0,
    0.5,
    1e-320,
    1e38,
    1e300,
    float("inf"),
    float("nan"),
)
TEXTS = (
    "",
    "\0",
    "..",
    "../../x",
    "/etc/passwd",
    "a" * 5000,
    "\ud800",
    "\U0001f600",
    "\x1b[2J",
    "nan",
    "1e999",
    "%d",
    "\n\n",
    "CON",
    "~",
    "{}",
    "[]",
    "-",
)
DEPTHS = (2, 65, 900, 5000)


def bytes_of(data: bytes, chance: random.Random) -> bytes:
    """`data` with some of its bytes changed, left out, doubled, moved or replaced."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        if not changed:
            break
        place = chance.randrange(min(len(changed), chance.choice((64, 4096, len(changed)))))
        length = chance.choice((1, 1, 2, 4, 8, 64, 1024))
        way = chance.randrange(8)
        if way < 3:
            changed[place] ^= 1 << chance.randrange(8)
        elif way == 3:
            number = chance.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
            changed[place : place + 4] = number.to_bytes(4, chance.choice(("big", "little")))
        elif way == 4:
            del changed[place : place + length]
        elif way == 5:
            changed[place:place] = changed[place : place + length]
        elif way == 6:
            changed[place : place + length] = chance.randbytes(length)
        else:
            del changed[place:]
    return bytes(changed)


def value(chance: random.Random, depth: int = 0) -> Any:
    """Some JSON value."""
    way = chance.randrange(9 if depth < 3 else 5)
    if way < 2:
        return chance.choice(NUMBERS)
    if way == 2:
        return chance.choice(TEXTS)
    if way < 5:
        return chance.choice((None, True, False))
    if way < 7:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if way == 7:
        return {chance.choice(TEXTS): value(chance, depth + 1) for _ in range(chance.randrange(4))}
    return nested(chance.choice(DEPTHS))


def nested(depth: int) -> Any:
    """Lists within each other, as text that `text_of` leaves as it is."""
    return Raw("[" * depth + "]" * depth)


class Raw:
    """Text that stands in JSON as it is."""

    def __init__(self, text: str):
        self.text = text


def json_of(said: Any, chance: random.Random) -> Any:
    """A copy of the JSON value `said` in which one place, or some, hold other values, are gone or named otherwise."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        said = _changed(said, chance)
    return said


def _changed(said: Any, chance: random.Random) -> Any:
    if chance.random() < 0.15 or not isinstance(said, (dict, list)) or not said:
        return value(chance)
    if isinstance(said, list):
        place = chance.randrange(len(said))
        way = chance.randrange(6)
        if way == 0:
            return said[:place] + said[place + 1 :]
        if way == 1:
            return said[:place] + [said[place]] + said[place:]
        return said[:place] + [_changed(said[place], chance)] + said[place + 1 :]
    key, way = chance.choice(list(said)), chance.randrange(8)
    if way == 0:
        return {name: item for name, item in said.items() if name != key}
    if way == 1:
        return {(chance.choice(TEXTS) if name == key else name): item for name, item in said.items()}
    if way == 2:
        return said | {chance.choice(TEXTS): value(chance)}
    return {name: _changed(item, chance) if name == key else item for name, item in said.items()}


def text_of(said: Any) -> str:
    """JSON with all that Python writes, and `Raw`."""
    raws: list[str] = []

    def kept(item: Any) -> str:
        raws.append(item.text)
        return f"@raw{len(raws) - 1}@"

    text = json.dumps(said, default=kept)
    for number, raw in enumerate(raws):
        text = text.replace(f'"@raw{number}@"', raw)
    return text


def json_text(said: Any, chance: random.Random) -> str:
    """The JSON value `said`, damaged as a value, or its text damaged as bytes."""
    if chance.random() < 0.75:
        return text_of(json_of(said, chance))
    return bytes_of(json.dumps(said).encode(), chance).decode("utf-8", "replace")
