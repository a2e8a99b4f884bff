"""Picture files: read, written, and folders of them as sources of frames.

Imports: lib.files, lib.media, lib.media.video, lib.system.
"""
