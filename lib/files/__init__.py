"""Files, whoever made them: the one place that writes files (`writing`), the one that reads what
others made (`reading`), HDF5 within bounds, names, and what tells one content from another.

Imports: nothing of lib but its ground.
"""
