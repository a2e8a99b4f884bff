"""Model folders: saves, checked before they are read; trained models, ready to swap; weights taken
over.

Imports: lib.faces, lib.files, lib.nn, lib.swapping.exemplars, lib.system.
"""
