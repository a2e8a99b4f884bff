"""What an evaluation says: tables, JSON, CSV, and HTML pages that need no other file.

Imports: lib.evaluation, lib.files, lib.system.
"""
