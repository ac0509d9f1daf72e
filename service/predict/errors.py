"""What stops the program. Knows nothing else of the project."""


class WrongUse(Exception):
    """What was asked for cannot be done. The text says what arrived, what was expected and what to do."""


class Stopped(Exception):
    """The work cannot go on at present. What was answered is kept, and the same command goes on with it."""
