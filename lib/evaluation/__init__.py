"""How good a swap, a set of faces or a generator is: measures, verdicts, reports, line-ups.

Imports: lib.faces, lib.faces.hair, lib.facesets, lib.files, lib.media, lib.media.pictures,
lib.swapping, lib.swapping.exemplars, lib.system.
"""
