"""Where the README's figures come from: this service and others, on the same machine, model and images."""
