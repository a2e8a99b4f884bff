"""The SQLite file below the store: its format, the check of what it may hold, rows and what they
stand for.

Imports: lib.faces, lib.files, lib.system.
"""
