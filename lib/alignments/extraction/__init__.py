"""Finding the faces of a source, into its store: the setup, the plan of what is left to do, the work on each frame, the whole.

Imports: nothing.
"""
