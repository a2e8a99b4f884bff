"""Model folders: checkpoints, checked before they are read; trained models, ready to swap; weights
of other models.

Imports: lib.faces, lib.files, lib.nn, lib.swapping.exemplars, lib.system.
"""
