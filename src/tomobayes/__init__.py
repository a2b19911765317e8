"""Bayesian structure determination from cryo-electron tomography tilt series."""
