"""Refuses a model file that could harm, before Keras reads it: run in a process of its own."""
