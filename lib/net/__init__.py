"""What is fetched from servers: one careful client, and the weight files.

Imports: lib.files.
"""
