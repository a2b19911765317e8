"""The outside world <-> the model: one module per file format."""
