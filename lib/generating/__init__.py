"""New faces from a trained generator: seeds, styles, projection, published weights, people that
are none.

Imports: lib.faces, lib.facesets, lib.files, lib.media, lib.media.pictures, lib.nn,
lib.provenance, lib.system, lib.training.saved.
"""
