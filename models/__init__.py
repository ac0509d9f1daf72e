"""What training and serving must agree on: the card in a model file, and how an image becomes the model's input."""
