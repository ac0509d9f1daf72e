"""Pictures and descriptions of the network. Knows no HTTP."""
