"""Fits a convolutional network to images and publishes it as a model file with a card. Knows no service."""
