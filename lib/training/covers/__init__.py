"""Things in front of a face, to teach a network what covers it: made by chance (hands, microphones,
masks ...), cut out of pictures of the user's, and set over faces; and what users say is covered.

Imports: lib.faces, lib.media.pictures, lib.training.batches.
"""
