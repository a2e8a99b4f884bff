"""How results say that they are synthetic: `marking` signs Content Credentials (C2PA) with `keys`,
`xmp` holds the plain statement, `reading` verifies files, `run_record` tells what a run did.

Imports: lib.files, lib.media, lib.media.pictures, lib.system.
"""
