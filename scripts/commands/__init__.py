"""A file for each command of tilebert."""
