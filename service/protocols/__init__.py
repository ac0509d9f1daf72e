"""Protocols of other serving systems: each decodes a request into images and encodes answers."""
