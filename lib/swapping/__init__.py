"""From a face to a frame with the swapped face in it: crop, swap, colours, detail, blend, paste;
eyelids, order in depth, labels.

Imports: lib.alignments, lib.faces, lib.media.pictures, lib.net, lib.onnx, lib.system.
"""
