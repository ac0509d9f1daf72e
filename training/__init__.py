"""Fits a convolutional network to pictures and publishes it as a model file with a card. Knows no service."""
