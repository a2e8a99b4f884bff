"""Where frames come from and go to, chosen by the name of a file or folder.

Imports: lib.files, lib.media, lib.media.pictures, lib.media.video.
"""
