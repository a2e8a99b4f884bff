"""The files of dlib: landmarks by regression trees and the face recognition network, read as data.

Imports: lib.files, lib.net, lib.onnx, lib.system.
"""
