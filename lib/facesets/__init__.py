"""Folders and packed files of aligned faces, and sorting them.

Imports: lib.faces, lib.files, lib.media, lib.media.endpoints, lib.media.pictures, lib.system.
"""
