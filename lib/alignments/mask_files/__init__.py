"""Masks as files that people paint and draw: pictures beside those of the faces, and polygons;
written, and read back into the store.

Imports: lib.alignments, lib.faces, lib.facesets, lib.files, lib.media, lib.media.pictures,
lib.system.
"""
