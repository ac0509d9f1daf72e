"""The servers that are compared. All but the floors answer with an engine of this service."""
