"""Damaged and hostile files for everything that is read: `python -m tests.fuzz KIND COUNT`."""
