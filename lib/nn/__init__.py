"""Keras layers and blocks that models share, the backend, first weights, optimizers that Keras
lacks; networks as ONNX files.

Imports: lib.dlib, lib.onnx, lib.system.
"""
