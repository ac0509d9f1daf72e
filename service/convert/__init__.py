"""Converts models for the light engine ahead of time, so that the service starts at once."""
