"""Exemplars: real pictures of B that give a drawn face its fine detail.

A network that trained for minutes draws a blur. B's training pictures hold what it lacks: irises,
lashes, teeth, skin. `bank` keeps a choice of them in the model's folder, `features` describes
faces, `choice` finds for each frame the pictures that suit it, over whole stretches of video,
`drawing` bends them onto the face and gives the drawing the frequencies that it lacks, and `stage`
does all this for convert and the previews. Nothing here imports Keras.

Imports: lib.faces, lib.faces.hair, lib.files, lib.mesh, lib.swapping, lib.system.
"""
