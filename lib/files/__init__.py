"""Files in and out: the one place that writes files (`writing`) and the one that reads what others made (`reading`).

Imports `lib.errors` and `lib.words` alone, so that every other room may import it.
"""
