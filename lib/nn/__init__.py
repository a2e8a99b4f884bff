"""Keras layers and blocks that models share, the backend, first weights, optimizers that Keras
lacks.

Imports: lib.dlib, lib.system.
"""
