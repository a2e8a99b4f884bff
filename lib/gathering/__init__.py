"""Footage and pictures fetched from lists of addresses.

Imports: lib.files, lib.media, lib.media.pictures, lib.media.video, lib.net, lib.system.
"""
