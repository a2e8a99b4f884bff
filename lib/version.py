"""The toolkit's own version, and the folder that holds it."""

from pathlib import Path

VERSION = "0.8"
ROOT = Path(__file__).resolve().parent.parent
