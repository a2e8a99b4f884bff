"""dlib's files as data (`reader`): `landmarks` by regression trees, the `recognition` network; and
its own `predictors`.

Imports: lib.files, lib.net, lib.onnx, lib.system.
"""
