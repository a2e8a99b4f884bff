"""What models learn from: faces and pictures in memory, cut, bent, warped and coloured into
batches.

Imports: lib.faces, lib.faces.hair, lib.facesets, lib.media.pictures, lib.system.
"""
