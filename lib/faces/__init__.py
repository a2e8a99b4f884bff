"""A face in a picture, by its landmarks: geometry, crops, pose, masks, brows, gaze, hair, quality;
and where faces are looked for.

Imports: lib.system.
"""
