"""Hair that hangs over a face: seen by its colours, taken off training faces, kept in front of
swapped ones.

Imports: lib.faces.
"""
