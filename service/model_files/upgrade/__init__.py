"""Rewrites what older Keras wrote into what this Keras loads, with the same answers."""
