"""The loop, and what a model costs before it runs.

Imports: lib.evaluation, lib.files, lib.nn, lib.system, lib.training, lib.training.batches,
lib.training.model, lib.training.saved, lib.training.step, lib.training.watch.
"""
