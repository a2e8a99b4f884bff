"""What a run that is at work, or was killed, has in a folder."""

from pathlib import Path

from lib.files.writing import PART


def unfinished(folder: Path) -> list[Path]:
    """Files in `folder` that a run is writing, or that a killed one left."""
    return sorted(path for path in folder.iterdir() if PART.fullmatch(path.name) and not path.name.endswith(".lock"))
