"""What training and serving must agree on: the card in a model file, and how a picture becomes the network's input."""
