"""The command line and the TOML file of a subcommand.

Imports: lib.files.
"""
