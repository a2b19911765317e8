"""How particles differ from each other, found at given poses."""
