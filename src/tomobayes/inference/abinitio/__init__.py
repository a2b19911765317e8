"""Maps from positions alone."""
