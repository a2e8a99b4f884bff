"""MediaPipe's Face Mesh: 468 points of a face in space and its irises (`networks`), and what they
say in the words of this toolkit, 68 landmarks and the pose of the head (`points`); irises and lids
of faces whose landmarks are known (`irises`).

Imports: lib.faces, lib.files, lib.net, lib.onnx.
"""
