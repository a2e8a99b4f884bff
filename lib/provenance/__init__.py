"""The mark of the synthetic: C2PA manifests, XMP, keys, and the record of a run.

Imports: lib.files, lib.media, lib.media.pictures, lib.system.
"""
