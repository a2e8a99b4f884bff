"""What `faceswap.py bench` measures, a file for each subject. Each has `measure(settings) ->
list[Figure]`.
"""
