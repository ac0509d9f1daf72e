"""What runs a model: one file an engine, imported only when it is chosen."""
