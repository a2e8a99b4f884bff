"""Videos that only writers are tried with."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture
def hdr(astronaut, tmp_path) -> Path:
    """An HDR10 video: BT.2020, PQ, with what its screen was like."""
    return _video(astronaut, tmp_path / "hdr.mkv", 16, "hdr10=1:repeat-headers=1:max-cll=1000,400:"
                  "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)")


@pytest.fixture
def hlg(astronaut, tmp_path) -> Path:
    """An HDR video as broadcasters and phones make them: BT.2020, HLG, which needs no more words."""
    return _video(astronaut, tmp_path / "hlg.mkv", 18, "repeat-headers=1")


def _video(astronaut: np.ndarray, path: Path, transfer: int, words: str) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx265", rate=25, options={"preset": "ultrafast", "x265-params": f"log-level=error:{words}"})
        video.width, video.height, video.pix_fmt = 192, 160, "yuv420p10le"
        video.codec_context.colorspace, video.codec_context.color_primaries, video.codec_context.color_trc = 9, 9, transfer
        for index in range(12):
            image = np.ascontiguousarray(astronaut[60:220, 100 + 2 * index:292 + 2 * index])
            picture = av.VideoFrame.from_ndarray(image).reformat(format="yuv420p10le")
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path
