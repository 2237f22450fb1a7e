"""Asks JSON web services with limits on time and size; the weather and search servers use it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import anyio
import httpx

from servers.tool import RefusalError

_REASONS = ("reason", "detail", "error", "message", "title")
USER_AGENT = "mcp-agent-host (bundled server)"


class ServiceError(RefusalError):
    """A service answered with an HTTP status that is not 200, kept in `status`."""

    def __init__(self, message: str, next_step: str = "", *, status: int) -> None:
        super().__init__(message, next_step)
        self.status = status


@dataclass(frozen=True)
class Service:
    """A web service that answers JSON.

    Args:
        name: What errors call it.
        client: The connection pool; the caller closes it.
        timeout: Seconds for one whole request, headers to last byte.
        max_bytes: Largest body that is read, after decompression.
    """

    name: str
    client: httpx.AsyncClient
    timeout: float = 20.0
    max_bytes: int = 8_000_000
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def get(self, url: str, params: Mapping[str, str]) -> dict[str, Any]:
        """Ask with GET.

        Raises:
            RefusalError: The service is unreachable, slow, or does not answer JSON.
            ServiceError: It answered with an error status.
        """
        return await self._ask(httpx.Request("GET", url, params=params, headers=self._headers()))

    async def post(self, url: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Ask with POST and a JSON body; raises as `get` does."""
        return await self._ask(httpx.Request("POST", url, json=body, headers=self._headers()))

    def _headers(self) -> dict[str, str]:
        # Without compression a body is as large as its bytes: no decompression bomb.
        return {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **self.headers}

    async def _ask(self, request: httpx.Request) -> dict[str, Any]:
        try:
            with anyio.fail_after(self.timeout):
                status, headers, body = await self._read(request)
        except TimeoutError as error:
            raise RefusalError(
                f"{self.name} did not answer within {self.timeout:g} s.", "Try again later."
            ) from error
        except httpx.HTTPError as error:
            raise RefusalError(
                f"{self.name} at {request.url.host} could not be reached"
                f" ({type(error).__name__}: {error}).",
                "Check the network connection and the server's settings, then try again.",
            ) from error
        if status != HTTPStatus.OK:
            raise self._refused(status, headers, body)
        return self._parse(body)

    async def _read(self, request: httpx.Request) -> tuple[int, httpx.Headers, bytes]:
        response = await self.client.send(request, stream=True, follow_redirects=False)
        try:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise RefusalError(f"{self.name} sent a compressed answer that was not asked for.")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self.max_bytes:
                    raise RefusalError(
                        f"{self.name} answered with more than {self.max_bytes} bytes.",
                        "Ask for less.",
                    )
            return response.status_code, response.headers, bytes(body)
        finally:
            await response.aclose()

    def _refused(self, status: int, headers: httpx.Headers, body: bytes) -> ServiceError:
        said = _reason(body)
        said = f": {said}" if said else "."
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = headers.get("Retry-After", "")
            what = f"limits how often it is asked{said}"
            step = f"Try again {f'in {wait} s' if wait.isdigit() else 'in a minute or later'}."
        elif status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            what = f"refused access (HTTP {status}){said}"
            step = "Check the API key in this server's settings."
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            what = f"failed (HTTP {status}){said}"
            step = "Try again later."
        else:
            what = f"refused the request (HTTP {status}){said}"
            step = ""
        return ServiceError(f"{self.name} {what}", step, status=status)

    def _parse(self, body: bytes) -> dict[str, Any]:
        try:
            value = json.loads(body)
        except ValueError as error:  # also undecodable text
            raise RefusalError(
                f"{self.name} answered with something that is not JSON.", "Try again later."
            ) from error
        if not isinstance(value, dict):
            raise RefusalError(f"{self.name} answered with JSON that is not an object.")
        return cast("dict[str, Any]", value)


def _reason(body: bytes) -> str:
    """Return what a JSON error body says, in any of the shapes that the providers use."""
    try:
        value = json.loads(body)
    except ValueError:
        return ""
    for key in _REASONS:
        if not isinstance(value, dict):
            break
        found = cast("dict[str, Any]", value).get(key)
        if isinstance(found, dict):
            inner = cast("dict[str, Any]", found)
            found = next((inner[k] for k in _REASONS if _is_text(inner.get(k))), None)
        if _is_text(found):
            return str(found)[:300]
    return ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
