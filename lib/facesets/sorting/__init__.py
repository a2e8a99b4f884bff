"""Order of a face set by a measure, and files moved there and back.

Imports: lib.faces, lib.facesets, lib.files, lib.system.
"""
