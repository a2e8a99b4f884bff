"""How good a swap, a set of faces or a generator is. `clip` measures a swap (`frames` and `detail`
its frames, `aggregates` adds them up, `measures` names them), `compare` two swaps, `sets` faces to
train on, `distance` generated faces; `held_out` and `generator_progress` serve training,
`quick_look` looks ahead, `verdict` says it in a sentence, `lineup` lets people judge.

Imports: lib.faces, lib.faces.hair, lib.facesets, lib.files, lib.media, lib.media.pictures,
lib.mesh, lib.swapping, lib.swapping.exemplars, lib.system.
"""
