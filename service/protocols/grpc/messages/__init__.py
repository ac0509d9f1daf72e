"""The messages of the protocols, made by `make protos` from protos/, in a descriptor pool of their own."""
