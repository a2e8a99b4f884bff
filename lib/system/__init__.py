"""The machine and the terminal: cores, memory, GPUs, locks, threads, logs, progress bars, times of
stages.

Imports: lib.files.
"""
