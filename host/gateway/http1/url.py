"""The parts of a URL that a request is made of."""

import base64
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

from typing_extensions import override

from host.gateway.http1.error import NotSentError

_PORTS = {"http": 80, "https": 443}
_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path or query; `%` too, since escapes are written already."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a connection is made to and credentials are good for."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as the `Host` header has them."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"

    @override
    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """One URL.

    Attributes:
        target: Path and query, escaped.
        login: The value of `Authorization` that a user and password in the URL stand for.
        text: The whole URL as it was written.
    """

    origin: Origin
    target: str
    login: str | None
    text: str

    @classmethod
    def parse(cls, text: str) -> "HttpUrl":
        """Return the parts of an absolute URL.

        Raises:
            NotSentError: It is not one, or not of http or https.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
            name = host if host.isascii() else host.encode("idna").decode()
        except (ValueError, UnicodeError) as error:
            raise NotSentError(f"{text!r} is not a URL: {error}") from error
        if parts.scheme not in _PORTS or not host:
            raise NotSentError(f"{text!r} is not an http or https URL")
        path = quote(parts.path or "/", safe=_KEPT)
        target = f"{path}?{quote(parts.query, safe=_KEPT)}" if parts.query else path
        login = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            login = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return cls(Origin(parts.scheme, name, port or _PORTS[parts.scheme]), target, login, text)

    def join(self, location: str) -> "HttpUrl":
        """Return the URL that a relative or absolute reference means here."""
        return HttpUrl.parse(urljoin(self.text, location))

    @override
    def __str__(self) -> str:
        return self.text
