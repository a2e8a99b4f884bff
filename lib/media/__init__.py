"""Frames in and out of files. This folder itself: the contracts of sources and sinks, budgets
before a file is opened, colours, samples, times.

Imports: lib.files, lib.system.
"""
