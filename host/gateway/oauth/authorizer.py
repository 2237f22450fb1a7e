"""What an HTTP upstream asks before each request, and after each 401 or 403."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Challenge:
    """An answer of 401 or 403 to one request.

    Attributes:
        url: Where the request went.
        status: 401 or 403.
        headers: Headers of the answer; names compare without case.
        sent: What `Authorizer.headers` returned for that request, so that a token which another
            task has replaced in the meantime is not replaced again.
        attempt: How often this very request was refused, counted from 1.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    sent: Mapping[str, str] = field(repr=False, default_factory=dict[str, str])
    attempt: int = 1

    def header(self, name: str) -> str | None:
        """Return a header of the answer by its name in any case."""
        wanted = name.casefold()
        return next((text for key, text in self.headers.items() if key.casefold() == wanted), None)


class Authorizer(Protocol):
    """Supplies the credentials of one upstream."""

    async def headers(self, url: str) -> Mapping[str, str]:
        """Return the headers for the next request to `url`, refreshing a token when due.

        Raises:
            LoginRequiredError: Nobody has logged in and this authorizer may not ask.
        """
        ...

    async def challenged(self, challenge: Challenge) -> bool:
        """Answer a 401 or 403: True when the request is worth sending again.

        The caller then asks for `headers` anew and sends the request once more, with
        `Challenge.attempt` one higher. False ends it: the refusal stands.

        Raises:
            LoginRequiredError: A person has to log in, or log in again for more rights.
        """
        ...


class HeaderAuthorizer(Authorizer):
    """The same headers on every request; a refusal stands."""

    def __init__(self, headers: Mapping[str, SecretStr | str]) -> None:
        self._headers = {
            name: text.get_secret_value() if isinstance(text, SecretStr) else text
            for name, text in headers.items()
        }

    @override
    def __repr__(self) -> str:
        return f"HeaderAuthorizer({', '.join(self._headers)})"

    @override
    async def headers(self, url: str) -> Mapping[str, str]:
        """Return the fixed headers."""
        return self._headers

    @override
    async def challenged(self, challenge: Challenge) -> bool:
        """Return False: the same headers would be refused again."""
        return False


class BearerAuthorizer(HeaderAuthorizer):
    """A fixed bearer token, beside further fixed headers."""

    def __init__(
        self, token: SecretStr, headers: Mapping[str, SecretStr | str] | None = None
    ) -> None:
        super().__init__({**(headers or {}), "Authorization": f"Bearer {token.get_secret_value()}"})
