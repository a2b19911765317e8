"""The forward model and its inverse direction: views, crops, prediction, observation, pseudo-subtomograms."""
