"""What a run leaves to look at: log, previews, plots, the report, the page.

Imports: lib.evaluation, lib.evaluation.reports, lib.files, lib.media, lib.onnx, lib.system,
lib.training, lib.training.batches, lib.training.saved.
"""
