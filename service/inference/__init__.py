"""From pixels to probabilities. Knows no HTTP."""
