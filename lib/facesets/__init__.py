"""Sets of aligned faces. `folder` holds `face_file`s, whose bytes `png` reads and writes; `packed`
is one HDF5 file, which `packing` makes; `face_set` reads either; `references` finds the faces of
people in anything; the room `sorting` puts sets into an order.

Imports: lib.faces, lib.files, lib.media, lib.media.endpoints, lib.media.pictures, lib.system.
"""
