"""The light engine: a model converted for LiteRT, ahead of time or while it is loaded, runs without TensorFlow."""
