"""convert: the faces of a source replaced by what a trained model draws. `job` holds the call and
the loop over frames, `settings` its options, `models` which model draws whose face, `people` whose
faces are meant, `resuming` what an earlier run left, `preview` the sheets of --preview and --try.

Imports: lib.alignments, lib.faces, lib.facesets, lib.files, lib.jobs.shared, lib.media,
lib.media.endpoints, lib.media.pictures, lib.provenance, lib.swapping, lib.swapping.exemplars,
lib.system, lib.training.saved.
"""
