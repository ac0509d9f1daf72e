"""Domain errors: what went wrong, as a code and a text for a person. Knows no HTTP and nothing else of the project."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar

STOPPING = "the service is stopping; send the request again to another one, or later"


class ServiceError(Exception):
    """Something that the client is told. The text says what arrived, what was expected and what to do.

    Each class has a `code` for programs; what it is over HTTP is said in `service.http.problems`.

    ServiceError
      ├─ MalformedRequest       the request is not of the form that the call takes
      ├─ Unauthorized           no API key, or not one that is known
      ├─ NotFound               no such model, version, label or call
      ├─ NotInCard              the model file says nothing of what was asked for
      ├─ RequestTimeout         the body came too slowly
      ├─ BodyTooLarge           the body has more bytes than are read
      ├─ UnsupportedMediaType   the body is declared to be something that the call does not take
      │    └─ UnsupportedEncoding    the body is compressed in a way that is not read
      ├─ NotInModel             the model has no such layer, map, place or class
      ├─ NoFiniteAnswer         what the model makes of the image is no finite number
      ├─ TooManyRequests        the rate limit of the client's key is reached
      ├─ ClientDisconnected     the client left before its answer; nobody reads this
      ├─ StorageFailed          no room, or no right, to write a temporary file
      ├─ NotSupported           the call is not answered by a service that is set up like this one
      ├─ InferenceFailed        the model failed at the batch that the request was in
      ├─ Unavailable            the call cannot be answered at present
      │    ├─ NotReady              the model is not loaded, or the service is stopping
      │    ├─ Overloaded            more waits already than may
      │    ├─ GraphvizMissing       the program that draws the diagram is not installed
      │    └─ NothingToExplain      the engine has no layers to look into
      └─ DeadlineExceeded       the answer was not there in time
    """

    code: ClassVar[str] = "internal"
    retry_after_s: float | None = None
    """After how many seconds it is worth trying again; None where nothing is known of that."""


class MalformedRequest(ServiceError):
    """The request is not of the form that the call takes."""

    code = "malformed_request"


class Unauthorized(ServiceError):
    """The request has no API key, or not one that is known."""

    code = "unauthorized"


class NotFound(ServiceError):
    """There is no such model, version, label or call here."""

    code = "not_found"


class NotInCard(ServiceError):
    """The model file says nothing of what was asked for."""

    code = "not_in_card"


class RequestTimeout(ServiceError):
    """The body came too slowly."""

    code = "request_timeout"


class BodyTooLarge(ServiceError):
    """The body has more bytes than are read."""

    code = "body_too_large"


class UnsupportedMediaType(ServiceError):
    """The body is declared to be something that the call does not take."""

    code = "unsupported_media_type"


class UnsupportedEncoding(UnsupportedMediaType):
    """The body is compressed in a way that is not read."""

    def __init__(self, text: str, known: Iterable[str]) -> None:
        """`known` are the ways that are read."""
        self.known = tuple(known)
        super().__init__(text)


class NotInModel(ServiceError):
    """The model has no such layer, map, place or class."""

    code = "not_in_model"


class NoFiniteAnswer(ServiceError):
    """What the model makes of the image is no finite number: it overflowed, and nothing is most probable."""

    code = "no_finite_answer"


class TooManyRequests(ServiceError):
    """The rate limit of the client's key is reached."""

    code = "too_many_requests"

    def __init__(self, text: str, retry_after_s: float) -> None:
        """The next request is admitted in `retry_after_s` seconds."""
        self.retry_after_s = retry_after_s
        super().__init__(text)


class ClientDisconnected(ServiceError):
    """The client left before its answer."""

    code = "client_disconnected"


class StorageFailed(ServiceError):
    """The service cannot write a temporary file."""

    code = "storage_failed"

    def __init__(self, cause: OSError) -> None:
        """`cause` is what the system said."""
        super().__init__(
            f"the service cannot write to its folder for temporary files ({cause.strerror or cause}); make room or "
            "mend its rights there (TMPDIR names it), and send the request again"
        )


class NotSupported(ServiceError):
    """The call is not answered by a service that is set up like this one."""

    code = "not_supported"


@contextmanager
def writing_temporary_files() -> Iterator[None]:
    """Raises StorageFailed for any OSError of what is done meanwhile."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(error) from error


class InferenceFailed(ServiceError):
    """The model failed at the batch that the request was in. Its cause is what was raised there."""

    code = "inference_failed"


class Unavailable(ServiceError):
    """The call cannot be answered at present."""

    code = "unavailable"


class NotReady(Unavailable):
    """The model is not loaded, or the service is stopping."""

    code = "not_ready"
    retry_after_s = 1


class Overloaded(Unavailable):
    """More waits already than may."""

    code = "overloaded"
    retry_after_s = 1


class GraphvizMissing(Unavailable):
    """The program that draws the diagram is not installed."""

    code = "graphviz_missing"


class NothingToExplain(Unavailable):
    """The engine that runs the model has no layers to look into."""

    code = "nothing_to_explain"


class DeadlineExceeded(ServiceError):
    """The answer was not there in time."""

    code = "deadline_exceeded"
