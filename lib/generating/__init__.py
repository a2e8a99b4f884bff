"""New faces from a trained `generator`, or from `published` weights (`pickles` reads their files):
`interpolation` between them, `directions` to edit them, `projection` of a photo, `identities` of
new people, `faces` in generated pictures, `measures`, and the `output` folder.

Imports: lib.faces, lib.facesets, lib.files, lib.media, lib.media.pictures, lib.nn,
lib.provenance, lib.system, lib.training.saved.
"""
