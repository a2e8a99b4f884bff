"""Sorting of face folders: `order` by a measure and into groups, `clusters` of similar faces,
`moves` of files, which can be undone.

Imports: lib.faces, lib.facesets, lib.files, lib.system.
"""
