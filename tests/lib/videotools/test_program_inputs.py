"""What the ffmpeg program may open: the files that are named, of the formats that they were found to have."""

import shutil

import pytest

from lib.errors import FaceswapError
from lib.videotools import ffmpeg

COPY = ["-map", "0:V:0", "-c", "copy", "-f", "null", "-"]


@pytest.fixture
def playlist(clips, tmp_path):
    """A playlist that names a video beside it, which ffmpeg would play."""
    shutil.copy(clips[0], tmp_path / "other.mp4")
    path = tmp_path / "a.png"
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    return path


def test_a_playlist_leads_to_no_other_file(playlist):
    ffmpeg.run(["-f", "concat", "-safe", "0", "-i", str(playlist), *COPY], "play")  # it is one
    with pytest.raises(FaceswapError, match="holds no video, but the names of other files"):
        ffmpeg.input_arguments(playlist)


@pytest.mark.parametrize("formats", [ffmpeg.PICTURES, ["mov,mp4,m4a,3gp,3g2,mj2"]], ids=["pictures", "videos"])
def test_nor_does_one_in_a_list(playlist, formats):
    live = playlist.with_name("b.m3u8")
    live.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nother.ts\n#EXT-X-ENDLIST\n")
    ffmpeg.run(
        [*ffmpeg.input_arguments(playlist.with_name("other.mp4")), "-c", "copy", str(playlist.with_name("other.ts"))], "copy"
    )
    ffmpeg.run(["-i", str(live), *COPY], "play")  # it is one
    with pytest.raises(FaceswapError, match="could not play"):
        ffmpeg.run([*ffmpeg.list_arguments(formats), *COPY], "play", stdin=f"ffconcat version 1.0\nfile 'file:{live}'\n")


def test_a_list_of_videos_is_played(clips):
    words = ffmpeg.list_arguments(["mov,mp4,m4a,3gp,3g2,mj2"])
    ffmpeg.run([*words, *COPY], "play", stdin=f"ffconcat version 1.0\nfile 'file:{clips[0]}'\n")
