"""Addresses of models that lie elsewhere: which there are, and how they are shown. Fetches nothing."""

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

SCHEMES = ("https", "http", "s3", "gs", "hf", "models")
_SCHEME = re.compile(rf"({'|'.join(SCHEMES)}):/", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_EXAMPLES = {
    "https": "https://example.org/model.keras",
    "http": "http://example.org/model.keras",
    "s3": "s3://bucket/model.keras",
    "gs": "gs://bucket/model.keras",
    "hf": "hf://owner/repository/model.keras@main",
    "models": "models:/name@alias or models:/name/3",
}


def scheme_of(address: str) -> str | None:
    """Which of SCHEMES it is of, in small letters; None for a path of this machine."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else None


def check_address(address: str) -> None:
    """Raise ValueError where it is the address of no file, or of a kind that is not fetched. No secret is told."""
    scheme = scheme_of(address)
    if scheme is None:
        if _OTHER_SCHEME.match(address):
            raise ValueError(f"{address.partition(':')[0]}: is not fetched; use {', '.join(_EXAMPLES.values())}")
        return
    if not _FORMS[scheme].fullmatch(address) or shown(address).endswith("://…"):
        raise ValueError(f"{shown(address)} is not the address of one file, such as {_EXAMPLES[scheme]}")


def shown(address: str) -> str:
    """`address` without what may be a secret: user, password, query and fragment."""
    if scheme_of(address) not in ("https", "http", "s3", "gs", "hf"):
        return address
    hidden = f"{address.partition(':')[0]}://…"
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        if not host or parts.port == 0:
            return hidden
    except ValueError:  # such as of a port that is none: it may be a password with a slash in it
        return hidden
    return f"{parts.scheme}://{host}{parts.path}" + "?…" * bool(parts.query)


def file_name_of(address: str) -> str:
    """The name of the file that an https, s3 or gs address leads to, as it is there."""
    return PurePosixPath(unquote(urlsplit(address).path)).name


# A query signs an https address; elsewhere it would be overlooked.
_URL = re.compile(r"https?://[^/?#\s]+/[^?#\s]*[^/?#\s](\?[^#\s]*)?", re.IGNORECASE)
# One that ends in a slash is a folder with one model.
_OBJECT = re.compile(r"(s3|gs)://[^/?#@\s]+/[^?#]+", re.IGNORECASE)
_FORMS = {
    "https": _URL,
    "http": _URL,
    "s3": _OBJECT,
    "gs": _OBJECT,
    "hf": re.compile(r"hf://[\w.-]+/[\w.-]+/[^?#@]*[^/?#@](@[^@?#\s]+)?", re.IGNORECASE),
    "models": re.compile(r"models:/[^/@\s][^/@]*(@[\w.-]+|/[0-9]+)", re.IGNORECASE),
}
