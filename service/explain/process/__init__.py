"""The process of its own in which explanations are made, and the line of those who wait for it."""
