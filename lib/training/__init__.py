"""Training: one loop for all models. This folder itself: the plan of a run, made without Keras.

Imports: lib.training.batches.
"""
