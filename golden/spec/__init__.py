"""Records that hardware and reference model share: number formats, modes and the command set.

This package contains no arithmetic, so that neither side can copy an error of the other.
"""
