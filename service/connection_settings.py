"""Settings of where the service listens, and of those who connect. Knows no model."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic_settings import NoDecode

# What browsers leave away where it is the scheme's own.
_OWN_PORTS = {"http": 80, "https": 443}
_ROUTE = "^(/[A-Za-z0-9_.~:@-]+)+/?$"


class ConnectionSettings(BaseModel):
    """Those of the service that are about its connections."""

    host: Annotated[str, Field(description="address to listen on; 0.0.0.0 for every one of this machine")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")] = 8000
    grpc_port: Annotated[
        int | None,
        Field(
            ge=0,
            le=65535,
            description="port to answer gRPC at, beside HTTP and on the same host; 0 takes a free one; none answers "
            "none",
        ),
    ] = None
    uds: Annotated[
        Path | None, Field(description="Unix socket to listen on, instead of a host and a port; it is made")
    ] = None
    tls_certificate: Annotated[
        Path | None, Field(description="PEM file with the certificate, and those it rests on; clients use HTTPS then")
    ] = None
    tls_key: Annotated[
        Path | None,
        Field(description="PEM file with the certificate's key, unencrypted, if it is in a file of its own"),
    ] = None
    root_path: Annotated[
        str,
        Field(
            pattern="^((/[A-Za-z0-9_.~-]+)+/?)?$",
            description="prefix of the path under which a proxy shows the service, such as /images, whether the proxy "
            "takes it away or not",
        ),
    ] = ""
    forwarded_allow_ips: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="addresses and networks of proxies whose X-Forwarded-Prefix is believed, by commas; * for all"
        ),
    ] = ("127.0.0.1", "::1")
    cors_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description="pages of other hosts that may call, like https://example.org, by commas; * lets all"),
    ] = ()
    health_route: Annotated[
        str | None,
        Field(pattern=_ROUTE, description="another path that tells whether the service is ready; see docs/clouds.md"),
    ] = None
    predict_route: Annotated[
        str | None,
        Field(
            pattern=_ROUTE, description="another path that takes images, alone or as `instances`; see docs/clouds.md"
        ),
    ] = None
    receive_timeout_s: Annotated[
        float,
        Field(gt=0, description="how long a request may take to come and an answer to be read; more for many bytes"),
    ] = 10.0
    keep_alive_s: Annotated[
        float,
        Field(
            gt=0,
            description="how long a connection may idle between requests; longer than whatever stands in front keeps "
            "its own open, which is often 60",
        ),
    ] = 75.0
    max_connections: Annotated[
        int,
        Field(
            ge=1,
            description="most connections of each worker; past it idle ones are closed, and if none idles it is 503",
        ),
    ] = 1024

    @property
    def ways(self) -> int:
        """By how many protocols clients connect: HTTP, and gRPC where it is answered."""
        return 1 if self.grpc_port is None else 2

    @model_validator(mode="after")
    def _a_key_is_of_a_certificate(self) -> Self:
        if self.tls_key and not self.tls_certificate:
            raise ValueError(f"--tls-key {self.tls_key} needs a --tls-certificate")
        return self

    @field_validator("root_path", "health_route", "predict_route")
    @classmethod
    def _without_a_slash_at_its_end(cls, path: str | None) -> str | None:
        return path.rstrip("/") if path else path

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            if proxy != "*":
                ip_network(proxy)  # its error says what is wrong
        return proxies

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_name_them(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_origin, origins))

    @field_validator("cors_origins", "forwarded_allow_ips", mode="before")
    @classmethod
    def _split_proxies_and_origins(cls, value: object) -> object:
        return split_by_commas(value)


def split_by_commas(value: object) -> object:
    """The names in a text, in a tuple; what is no text as it is."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _origin(given: str) -> str:
    """An origin as a browser sends it: in small letters, without the scheme's own port and a slash at the end."""
    if given in {"*", "null"}:
        return given
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{given!r} is no origin ({error}); give one like https://example.org") from error
    if parts.scheme not in _OWN_PORTS or not parts.hostname or "*" in given or parts.username is not None:
        raise ValueError(
            f"{given!r} is no origin, which is a scheme and a host, like https://example.org, or * for all"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, _OWN_PORTS[parts.scheme]} else "")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{given!r} has more than an origin, which browsers name without a path; give {origin}")
    return origin
