"""generate: new faces from a trained StyleGAN. `job` holds the call, `settings` its options,
`session` what all results share, `figures` pictures and videos, `projection` a photo's face,
`comparison` the training set's nearest faces, `people` face sets of new people.

Imports: lib.evaluation, lib.faces, lib.facesets, lib.generating, lib.jobs.shared,
lib.media.pictures, lib.provenance, lib.system.
"""
