"""What the model saw and how it came to its answer. Knows no HTTP."""
