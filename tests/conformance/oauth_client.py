"""A small MCP client on `OAuthAuthorizer`, for the authorization scenarios of the official suite.

The suite starts it as `python -m tests.conformance.oauth_client URL` and plays the upstream and
its authorization server; a "browser" that follows redirects stands in for the person.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import anyio
import httpx2
from typing_extensions import override

from host.config.oauth import OAuthClientConfig
from host.domain.errors import HostError
from host.gateway.oauth.authorizer import Challenge
from host.gateway.oauth.consent import Consent
from host.gateway.oauth.oauth import OAuthAuthorizer
from host.secrets.tokens import TokenStore

DOCUMENT = "https://conformance-test.local/client-metadata.json"
VERSION = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25")
INFO = {"name": "mcp-agent-host", "version": "0.1.0"}


class FollowingConsent(Consent):
    """Goes to the login page as a browser would, whose person agrees to everything."""

    @override
    async def show(self, url: str) -> str | None:
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url)
            return urljoin(url, answer.headers["location"])


def build_config(context: Mapping[str, Any]) -> OAuthClientConfig:
    settings: dict[str, Any] = {"client_metadata_url": DOCUMENT}
    if "client_id" in context:
        settings["client_id"] = context["client_id"]
        settings["client_secret"] = context.get("client_secret")
        settings["issuer"] = context.get("issuer")
    if "private_key_pem" in context:
        settings["private_key"] = context["private_key_pem"]
        settings["signing_algorithm"] = context.get("signing_algorithm", "ES256")
    if str(context.get("name", "")).startswith("auth/client-credentials"):
        settings["grant"] = "client_credentials"
    return OAuthClientConfig(**settings)


class Connection:
    """One client's POSTs to the upstream, each answered challenge retried."""

    def __init__(self, url: str, authorizer: OAuthAuthorizer) -> None:
        self.url = url
        self.authorizer = authorizer
        self.session: str | None = None
        self.number = 0

    async def post(self, message: dict[str, Any]) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=30) as http:
            attempt = 1
            while True:
                sent = await self.authorizer.headers(self.url)
                extra = {
                    "Accept": "application/json, text/event-stream",
                    "MCP-Protocol-Version": VERSION,
                    "Mcp-Method": message["method"],
                }
                if "name" in message.get("params", {}):
                    extra["Mcp-Name"] = message["params"]["name"]
                if self.session:
                    extra["Mcp-Session-Id"] = self.session
                answer = await http.post(self.url, json=message, headers={**sent, **extra})
                challenge = Challenge(
                    self.url, answer.status_code, answer.headers, sent=sent, attempt=attempt
                )
                if answer.status_code not in {401, 403} or not await self.authorizer.challenged(
                    challenge
                ):
                    self.session = answer.headers.get("mcp-session-id", self.session)
                    return answer
                attempt += 1

    async def request(self, method: str, params: dict[str, Any]) -> None:
        self.number += 1
        if VERSION >= "2026":
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": VERSION,
                "io.modelcontextprotocol/clientInfo": INFO,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        answer = await self.post(
            {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        )
        sys.stderr.write(f"{method} {answer.status_code} {answer.text[:300]}\n")
        answer.raise_for_status()


async def main(url: str) -> None:
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    context.setdefault("name", os.environ.get("MCP_CONFORMANCE_SCENARIO", ""))
    with tempfile.TemporaryDirectory() as folder:
        authorizer = OAuthAuthorizer(
            "conformance",
            url,
            config=build_config(context),
            store=TokenStore(Path(folder)),
            consent=FollowingConsent(),
        )
        connection = Connection(url, authorizer)
        if VERSION < "2026":
            start = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": INFO}
            await connection.request("initialize", start)
            await connection.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await connection.request("tools/list", {})
        await connection.request("tools/call", {"name": "test-tool", "arguments": {}})


if __name__ == "__main__":
    try:
        anyio.run(main, sys.argv[1])
    except (HostError, httpx2.HTTPStatusError) as failure:
        sys.exit(f"{type(failure).__name__}: {failure}")
