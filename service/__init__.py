"""Answers about images over HTTP, from a trained model file. Knows nothing of how the file was made."""
