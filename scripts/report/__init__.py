"""The page that the report writes: evidence, charts, plots."""
