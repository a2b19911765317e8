"""What is done to maps: shell correlation, masks, filters, sharpening, symmetry.

Maps go in and out as (n, n, n) float32 arrays in (z, y, x) order with the centre at index n//2.
"""
