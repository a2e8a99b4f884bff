"""The video commands, one file each, and what they share: what the ffmpeg program is told, how it
is watched and how its output is checked.

Imports: lib.files, lib.media, lib.media.encoding, lib.media.endpoints, lib.media.pictures,
lib.media.video, lib.provenance, lib.system.
"""
