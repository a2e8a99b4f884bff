"""translate: whole pictures, or faces of a set, drawn anew by a model that was trained without
pairs. `job` holds the call, `settings` its options, `pictures` and `faces` what is read and
written.

Imports: lib.faces, lib.facesets, lib.files, lib.jobs.shared, lib.media, lib.media.endpoints,
lib.media.pictures, lib.provenance, lib.swapping, lib.swapping.exemplars, lib.system,
lib.training.batches, lib.training.saved.
"""
