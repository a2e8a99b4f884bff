"""How dlib writes its files.

An integer is a byte that holds its length and sign, then its bytes, lowest first; a float is a mantissa and an exponent of two; a vector
its length and its items; a text its length and its letters; a matrix its sides below zero and its items, row by row; a tensor a 2, its
four sides, and its items as float32.
"""

from __future__ import annotations

import math

import numpy as np

TENSOR = 2


class Reader:
    """Reads numbers one after the other. What is not there raises IndexError or ValueError."""

    def __init__(self, data: bytes, place: int = 0):
        self.data, self.place = data, place

    def integer(self) -> int:
        length, below_zero = self.data[self.place] & 15, self.data[self.place] & 128
        start, self.place = self.place + 1, self.place + 1 + length
        value = int.from_bytes(self.data[start:self.place], "little")
        return -value if below_zero else value

    def floats(self, count: int) -> np.ndarray:
        """(count,) float32."""
        return np.array([math.ldexp(self.integer(), self.integer()) for _ in range(count)], np.float32)

    def tensor(self) -> np.ndarray:
        """All items, float32, in a row."""
        self.expect(TENSOR)
        count = math.prod(self.integer() for _ in range(4))
        start, self.place = self.place, self.place + 4 * count
        return np.frombuffer(self.data, "<f4", count, start)

    def expect(self, *numbers: int) -> None:
        """Raises ValueError where other numbers follow."""
        if [self.integer() for _ in numbers] != list(numbers):
            raise ValueError(f"other numbers than expected before byte {self.place}")

    def skip_to(self, text: str) -> None:
        """Goes on behind the next place where `text` is written."""
        written = bytes([1, len(text)]) + text.encode()
        found = self.data.find(written, self.place)
        if found < 0:
            raise ValueError(f"there is no {text} behind byte {self.place}")
        self.place = found + len(written)
