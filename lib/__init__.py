"""What scripts and plugins share. This folder itself holds the ground: errors, words, typed values,
options, the registry and the contracts of plugins. It imports none of its rooms; plugins are found
by name alone.

Imports: none of its rooms.
"""
