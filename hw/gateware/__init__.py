"""The accelerator itself, in Amaranth."""
