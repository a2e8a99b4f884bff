"""Finding the faces of a source, into its store: the setup, the plan of what is left to do, the
work on each frame, the whole.

Imports: lib.alignments, lib.alignments.database, lib.faces, lib.facesets, lib.files, lib.media,
lib.system.
"""
