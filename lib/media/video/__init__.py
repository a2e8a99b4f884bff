"""Video files as sources of frames, through FFmpeg's libraries.

Imports: lib.media.
"""
