"""The toolkit's own version."""

VERSION = "0.8"
