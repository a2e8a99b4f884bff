"""The video commands: what the ffmpeg program is asked, watched and checked for.

Imports: lib.files, lib.media, lib.media.encoding, lib.media.video, lib.provenance, lib.system.
"""
