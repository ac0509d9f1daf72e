"""The servers that are compared. All but the floors answer with the same compiled function."""
