"""Text of unknown origin, made fit for a log or a terminal. Knows neither."""

import re

# Control characters, of which a terminal makes commands and a log new lines; what ends a line elsewhere; what turns the
# order of reading round; halves of characters, which no stream takes.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The same on one line: each character that would be obeyed, not shown, is written as Python does, `\x1b`."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
