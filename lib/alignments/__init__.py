"""The alignments store of a source: what was found in each frame, how it is found, tracked, masked,
told apart, exchanged.

Imports: lib.alignments.database, lib.faces, lib.facesets, lib.files, lib.media,
lib.media.pictures, lib.system.
"""
