"""HDR colours as an SDR screen shows them, and back: for people who look at faces, and for
networks, which learnt from SDR."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

PQ, HLG = 16, 18  # transfers as FFmpeg numbers them
WHITE = 255 * 256  # of RGB of 16 bits, as FFmpeg has it
# candela a square metre of a white sheet in HDR (ITU-R BT.2408), which is white in SDR
REFERENCE = 203.0
PEAK = 1000.0  # the brightest that is told apart; what screens for HLG are taken to have
KNEE = 0.5  # up to this linear SDR level light stays as it is
STEPS = 65535
# Linear RGB of these primaries (FFmpeg's numbers) as that of BT.709: BT.2020, P3 with the white of
# daylight
TO_709 = {9: ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349),
              (-0.018151, -0.100579, 1.118730)),
          12: ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0),
               (-0.019638, -0.078636, 1.098274))}


@dataclass(frozen=True)
class Tone:
    """The way from the code values of an HDR video, RGB, to those of SDR (sRGB), and back.

    Light up to KNEE stays; what is brighter is pressed together so that PEAK becomes white. Each
    channel by itself, so that the way leads back; colours that SDR does not have are clipped.
    """

    transfer: int
    primaries: int

    def sdr(self, code: np.ndarray, deep: bool = False) -> np.ndarray:
        """(H, W, 3) uint8, or uint16 up to WHITE, of `code` (H, W, 3) uint16 up to WHITE."""
        light = cv2.transform(_looked_up(self._light, code), self._matrix)
        place = np.sqrt(np.clip(light, 0, 1, out=light), out=light)
        return _looked_up(_DEEP if deep else _BYTES, (place * STEPS + 0.5).astype(np.uint16))

    def hdr(self, shown: np.ndarray, code: np.ndarray,
            mask: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint16: the code values of what is `shown`, (H, W, 3) as `sdr` gives it, in
        place of `code`. What SDR cannot show of `code` stays as far as it is not covered: `mask`
        (H, W) in [0, 1] is 1 where nothing of it is seen."""
        beyond = code.astype(np.float32) - self._code(self.sdr(code, shown.dtype == np.uint16))
        if mask is not None:
            beyond *= 1 - mask[..., None]
        return np.rint(np.clip(self._code(shown) + beyond, 0, WHITE)).astype(np.uint16)

    def _code(self, shown: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32 code values, up to WHITE."""
        light = _looked_up(_LINEAR, shown if shown.dtype == np.uint16 else shown * np.uint16(256))
        light = cv2.transform(light, np.linalg.inv(self._matrix).astype(np.float32))
        return _looked_up(self._codes, (np.sqrt(np.clip(light, 0, 1)) * STEPS
                                        + 0.5).astype(np.uint16))

    @cached_property
    def _matrix(self) -> np.ndarray:
        return np.array(TO_709.get(self.primaries, np.eye(3)), np.float32)

    @cached_property
    def _light(self) -> np.ndarray:
        """(65536,) float32: linear light on the SDR screen, 1 = white, by the code value."""
        signal = np.minimum(np.arange(65536) / WHITE, 1.0)
        return _pressed(_nits(signal, self.transfer) / REFERENCE).astype(np.float32)

    @cached_property
    def _codes(self) -> np.ndarray:
        """(65536,) float32: code values, by the root of the light on the SDR screen."""
        signal = np.arange(65536) / WHITE
        light = np.sqrt(np.minimum(_pressed(_nits(np.minimum(signal, 1),
                                                  self.transfer) / REFERENCE), 1))
        rising = np.concatenate([[True], np.diff(light) > 0])
        return np.interp(np.arange(STEPS + 1) / STEPS, light[rising],
                         (signal * WHITE)[rising]).astype(np.float32)


def _looked_up(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What `table` (65536,) has at `places`, uint16 of any shape."""
    try:
        return cv2.LUT(np.ascontiguousarray(places), table)
    except cv2.error:  # before OpenCV 5 it takes bytes alone
        return table[places]


def _nits(signal: np.ndarray, transfer: int) -> np.ndarray:
    """Candela a square metre: of PQ by SMPTE ST 2084, of HLG by ITU-R BT.2100 on a screen of
    PEAK."""
    if transfer == PQ:
        root = signal ** (1 / 78.84375)
        return 10000 * (np.maximum(root - 0.8359375,
                                   0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scene = np.where(signal <= 0.5, signal ** 2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return PEAK * scene ** 1.2


def _pressed(light: np.ndarray) -> np.ndarray:
    """Linear light, 1 = REFERENCE, so that PEAK becomes 1: a straight line up to KNEE, then a
    Moebius transform."""
    peak, knee = PEAK / REFERENCE, KNEE
    a = -knee ** 2 * (peak - 1) / (knee ** 2 - 2 * knee + peak)
    b = (knee ** 2 - 2 * knee * peak + peak) / (peak - 1)
    scale = (b * b + 2 * b * knee + knee * knee) / (b - a)
    return np.where(light <= knee, light, scale * (light + a) / (light + b))


def _srgb(light: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] of linear light (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light,
                    1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def _linear(values: np.ndarray) -> np.ndarray:
    """The other way round."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


_SEEN = _srgb((np.arange(STEPS + 1) / STEPS) ** 2)
_BYTES = np.rint(255 * _SEEN).astype(np.uint8)  # by the root of the light
_DEEP = np.rint(WHITE * _SEEN).astype(np.uint16)
_LINEAR = _linear(np.minimum(np.arange(65536) / WHITE, 1.0)).astype(np.float32)
