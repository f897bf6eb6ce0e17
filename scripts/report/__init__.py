"""The page of `tilebert report`: its evidence, charts and plots."""
