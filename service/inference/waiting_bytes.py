"""How many bytes of requests are held that nobody works on yet: one bound for a whole process. Knows no HTTP."""

from service.errors import Overloaded


class WaitingBytes:
    """Those of bodies that have not come to their end, and of images that wait to be decoded.

    Whoever holds some adds them to `count` as long as they wait.
    """

    def __init__(self, most: int) -> None:
        """There may be `most`, and what comes in at once."""
        self.most = most
        self.count = 0

    def ensure_room(self) -> None:
        """Raises Overloaded where there are too many."""
        if self.count > self.most:
            raise Overloaded(
                f"requests of {self.most:,} bytes wait already, as many as may (--max-waiting-bytes); send the request "
                "again later"
            )
