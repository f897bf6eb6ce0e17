"""tilebert: an FPGA accelerator for the matrix products of a quantized BERT."""

__version__ = "0.1.0"
"""The distribution's version; pyproject.toml reads it here."""
