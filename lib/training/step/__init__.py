"""The compiled step of each backend.

Imports: lib.nn, lib.training, lib.training.batches, lib.training.model.
"""
