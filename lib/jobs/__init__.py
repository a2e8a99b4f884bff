"""What the commands do, each as one function of its settings: `extract(ExtractSettings(input=...))`.
All take a progress callback and a way to stop. Scripts, and any other front end, call these and
tell the result.

Imports: lib.alignments, lib.alignments.database, lib.alignments.extraction,
lib.alignments.mask_files, lib.evaluation, lib.evaluation.reports, lib.faces, lib.facesets,
lib.facesets.sorting, lib.files, lib.gathering, lib.jobs.convert, lib.jobs.shared, lib.jobs.train,
lib.media, lib.media.endpoints, lib.media.pictures, lib.provenance, lib.swapping, lib.system,
lib.training.batches, lib.videotools.
"""
