"""`train`: its settings and their checks, the faces and whom they show, the plan, the measures.

Call `train(TrainSettings(...))` of `run`; `summarize` and `find_rate` answer and train nothing.

Imports: lib.alignments, lib.alignments.extraction, lib.alignments.mask_files, lib.evaluation,
lib.faces, lib.facesets, lib.files, lib.jobs.shared, lib.media.endpoints, lib.nn, lib.swapping,
lib.swapping.exemplars, lib.system, lib.training, lib.training.batches, lib.training.covers,
lib.training.model, lib.training.run, lib.training.saved, lib.training.step, lib.training.watch.
"""
