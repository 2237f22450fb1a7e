"""A person who agrees to every login page, and a client that repeats what was challenged."""

import ssl

import httpx2
from typing_extensions import override

from host.gateway.oauth.authorizer import Authorizer, Challenge
from host.gateway.oauth.consent import Consent

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""One for all: loading the system's certificates for each client is slow, and all is loopback."""


class AgreeingVisitor(Consent):
    """Follows the login page's redirects, back to the port where the host listens."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    @override
    async def show(self, url: str) -> str | None:
        self.shown.append(url)
        async with httpx2.AsyncClient(verify=TLS, follow_redirects=True) as browser:
            await browser.get(url)
        return None


async def call(authorizer: Authorizer, url: str) -> int:
    """Return the status of one request, after whatever the authorizer made of refusals."""
    async with httpx2.AsyncClient(verify=TLS) as http:
        attempt = 1
        while True:
            sent = await authorizer.headers(url)
            answer = await http.post(url, json={}, headers=dict(sent))
            refused = Challenge(url, answer.status_code, answer.headers, sent=sent, attempt=attempt)
            if answer.status_code not in {401, 403} or not await authorizer.challenged(refused):
                return answer.status_code
            attempt += 1
