"""Random bytes for whatever reads bytes of strangers: `make fuzz` for hours, a moment of it in the suite."""
