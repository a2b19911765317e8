"""Tilt series with known truth: from an atomic model or a map to images, and from the truth to what is written of it."""
