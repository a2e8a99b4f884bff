"""Where frames come from: a video file, a folder of pictures, or one picture."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from lib.errors import FaceswapError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS
from lib.media.animated import is_animated
from lib.media.base import FrameSource
from lib.media.pictures.content import identify
from lib.media.pictures.picture_file import read
from lib.media.pictures.picture_source import PictureSource
from lib.options import expanded


def open_source(path: Path, exact: bool = True) -> FrameSource:
    """The frames of the video, the folder of pictures or the single picture at `path`.

    The ending of a file decides, and its content where the ending is unknown. `exact` False: a
    video's colours may be a level too dark, which is ten times as fast and enough to find faces.
    Raises FaceswapError where there is nothing, it cannot be read, or a folder holds no picture.
    """
    # PyAV takes 0.1 s to import, which pictures need not pay
    from lib.media.video.video_source import VideoSource

    path = expanded(Path(path))
    if path.is_dir():
        return PictureSource(path)
    if not path.exists():
        address = str(path)
        if address.startswith("file:/"):
            place = address.removeprefix("file:").lstrip("/").removeprefix("localhost/")
            raise FaceswapError(f"{path} is an address. Name the file by its path: "
                                f"/{unquote(place)}")
        if "://" in address or ":/" in address[2:]:
            raise FaceswapError(f"{path} is an address, not a file. Download it first, and name "
                                "the file.")
        raise FaceswapError(f"{path} does not exist. Check the name, or name a video, a picture or "
                            "a folder of pictures.")
    ending = path.suffix.lower()
    is_picture = ending in PICTURE_ENDINGS
    if not is_picture and ending not in VIDEO_ENDINGS:
        is_picture = identify(path) in ("picture", "heic", "jxl")
    if not is_picture or is_animated(path):
        return VideoSource(path, exact)
    read(path)  # a single picture is checked now, where a folder would only lose one
    return PictureSource(path)
