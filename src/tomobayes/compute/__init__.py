"""Threads, precision and devices; the only room besides fourier/ that knows where arrays live."""
