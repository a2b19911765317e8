"""Expectation, maximisation, priors, sampling and auto-refinement."""
