"""What a tilt series is made of, learned from its particles: optics, geometry, motion. Opens no files."""
