"""`demo`: the whole way without a download."""

from __future__ import annotations

import numpy as np

from lib.media.endpoints.sample_clips import MovingCamera, admiral, astronaut
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import DETECTORS


def test_camera_moves_smoothly_and_never_loses_the_face():
    detector = DETECTORS.create("hog")
    for portrait in astronaut(), admiral():
        centres = []
        for frame in list(MovingCamera(portrait, seconds=3.0, side=256))[::3]:
            faces = detector.detect([frame.image])[0]
            assert len(faces) == 1
            centres.append(faces[0].box.reshape(2, 2).mean(0))
        steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        assert np.ptp(centres, axis=0).min() > 10  # pixels, in both directions
        assert np.median(steps) < 15  # in three frames


def test_the_same_phase_films_the_same_clip():
    one, two = (next(MovingCamera(astronaut(), side=64).frames(30, 31)) for _ in range(2))
    assert (one.image == two.image).all() and one.index == 30 and one.time == 30 / 25


def test_demo_leaves_video_sheet_and_preview_and_says_where(faceswap, tmp_path):
    folder = tmp_path / "demo"
    done = faceswap("demo", "-o", folder, "--minutes", 0.03, "--seconds", 1)
    for name in "out.mp4", "sheet.png", "training.png":
        assert (folder / name).stat().st_size > 1000
        assert str(folder / name) in done.stderr
    assert sum(1 for _ in open_source(folder / "out.mp4")) == 25
    sheet = picture_file.read(folder / "sheet.png")
    assert sheet.shape == (512, 6 * 256, 3)
    frame = next(open_source(folder / "a.mp4").frames(0, 1)).image
    assert np.abs(sheet[128:256, :256] - frame[256::2, ::2].astype(float)).mean() < 8  # the original's first frame, above
