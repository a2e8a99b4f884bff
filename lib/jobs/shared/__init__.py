"""What several jobs share: options that are declared once, faces found where they are not known
yet, the compositor that options describe, marks of what is synthetic.

Imports: lib.alignments, lib.alignments.database, lib.alignments.extraction, lib.files, lib.media,
lib.provenance, lib.swapping, lib.system.
"""
