"""ONNX networks: those of the user's own, run within bounds, and the few that the toolkit writes.

Imports: lib.files, lib.system.
"""
