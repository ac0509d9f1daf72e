"""The program `cnn-check`: what would be assumed of a model file, and whether pictures say the same."""
