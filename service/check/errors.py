"""What stops a check. Knows nothing else of the project."""


class CheckError(Exception):
    """Something that was asked for cannot be done. The text says what arrived, what was expected and what to do."""
