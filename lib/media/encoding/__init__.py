"""Video files as sinks of frames: stretches that survive a kill, sound and all else taken over.

Imports: lib.files, lib.media, lib.media.endpoints, lib.media.video, lib.system.
"""
