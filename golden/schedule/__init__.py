"""GEMMs as jobs, cut into tiles, ordered as commands for a core, and timed."""
