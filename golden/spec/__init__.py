"""What hardware and model agree on: number formats, modes of the array, and the command set.

Records, no arithmetic.
"""
