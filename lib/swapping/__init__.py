"""From a face to a frame with the swapped face in it: crop, swap, colours, detail, blend, paste;
eyelids, gaze, order in depth, labels.

Imports: lib.alignments, lib.faces, lib.media.pictures, lib.mesh, lib.net, lib.onnx, lib.system.
"""
