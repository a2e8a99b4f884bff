"""The format of dlib's files.

An integer is a byte with its length and sign, then its bytes, lowest first; a float is a mantissa
and an exponent of two; a vector its length and its items; a text its length and its characters; a
matrix its negative sides and its items, row by row; a tensor a 2, its four sides, and its items as
float32.
"""

from __future__ import annotations

import math

import numpy as np

TENSOR = 2


class Reader:
    """Reads numbers one after the other. Raises IndexError or ValueError at the end of the data."""

    def __init__(self, data: bytes, place: int = 0):
        self.data, self.place = data, place

    def integer(self) -> int:
        """The next integer."""
        length, is_negative = self.data[self.place] & 15, self.data[self.place] & 128
        start, self.place = self.place + 1, self.place + 1 + length
        value = int.from_bytes(self.data[start:self.place], "little")
        return -value if is_negative else value

    def floats(self, count: int) -> np.ndarray:
        """(count,) float32."""
        return np.array([math.ldexp(self.integer(), self.integer()) for _ in range(count)],
                        np.float32)

    def tensor(self) -> np.ndarray:
        """(N,) float32: all items."""
        self.expect(TENSOR)
        count = math.prod(self.integer() for _ in range(4))
        start, self.place = self.place, self.place + 4 * count
        return np.frombuffer(self.data, "<f4", count, start)

    def expect(self, *numbers: int) -> None:
        """Reads `numbers`. Raises ValueError where others follow."""
        if [self.integer() for _ in numbers] != list(numbers):
            raise ValueError(f"other numbers than expected before byte {self.place}")

    def skip_to(self, text: str) -> None:
        """Skips all up to and including the next `text`."""
        encoded = bytes([1, len(text)]) + text.encode()
        place = self.data.find(encoded, self.place)
        if place < 0:
            raise ValueError(f"there is no {text} after byte {self.place}")
        self.place = place + len(encoded)
