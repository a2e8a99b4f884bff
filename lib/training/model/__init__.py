"""What a model is, what the known autoencoders share, losses, and what adversarial models need.

Imports: lib.faces, lib.nn, lib.training.batches, lib.training.watch.
"""
