"""Transforms, frequency grids, slice extraction and insertion."""
