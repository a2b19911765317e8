"""Rotations, projection of points, point groups and grids of orientations."""
