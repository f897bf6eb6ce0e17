"""The command line `tilebert`."""
