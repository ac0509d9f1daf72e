"""Images of what is explained. Knows neither Keras nor HTTP."""
