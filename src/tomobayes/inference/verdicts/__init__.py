"""Conventions that images themselves can tell: hand of the defocus, sign of the contrast, hand of a map."""
