"""The HTTP face: who may come in, and which era serves them."""

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from host.config.bind import is_loopback
from host.config.settings import HttpConfig
from host.domain.errors import AccessError, HostError
from host.domain.jsonrpc import (
    INVALID_REQUEST,
    Json,
    RpcError,
    decode,
)
from host.domain.principal import Principal
from host.domain.protocol import HANDSHAKE_VERSIONS, STATELESS_VERSIONS, has_envelope
from host.gateway.gateway import Gateway, unsupported_version
from host.identity.oauth import OAuthVerifier
from host.identity.tokens import TokenStore
from host.orchestrator.http_handshake import HandshakeHttp
from host.orchestrator.http_message import BodyTooLargeError, HttpMessage, plain
from host.orchestrator.http_stateless import StatelessSession, serve_stateless
from host.orchestrator.rate import RateLimit
from host.orchestrator.session import GRACE, check_message, params_of

log = logging.getLogger(__name__)

LOCAL = Principal(user="local", client="http", role="user")
"""Who a caller is where nobody is asked (`--no-auth`)."""
LAST_WORDS = 1.0
"""Seconds that answers which are ready may take to be sent when the host ends."""
STATELESS_LIFE = 3600.0
"""Seconds for which a stateless client is remembered after its last request."""
EXPECTED_LIMIT = 256
"""Pairs of Host and Origin whose judgement is remembered; clients send the same one each time."""


@dataclass(frozen=True, slots=True)
class Door:
    """What decides who comes in.

    Attributes:
        tokens: The tokens made by `host tokens`.
        oauth: Judges OAuth tokens, where they are used.
    """

    config: HttpConfig
    tokens: TokenStore
    oauth: OAuthVerifier | None = None


class HttpFace:
    """Serves the requests that reach the endpoint.

    Args:
        gateway: Serves the requests.
        door: Who comes in.
    """

    def __init__(self, gateway: Gateway, door: Door) -> None:
        self._gateway = gateway
        self._door = door
        self.handshake = HandshakeHttp(gateway)
        self._visitors: dict[str, tuple[StatelessSession, float]] = {}
        self._limit = RateLimit(door.config.requests_per_minute)
        self._expected: dict[tuple[str, str | None], bool] = {}
        self._busy: set[asyncio.Task[None]] = set()

    async def __call__(self, http: HttpMessage) -> None:
        """Serve one request to the end of its answer."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection serves requests in tasks
        self._busy.add(task)
        try:
            await self._route(http)
        except RpcError as error:
            await http.answer_error(400, error)
        except BodyTooLargeError:
            most = self._door.config.max_body_bytes
            error = RpcError(INVALID_REQUEST, f"A body has at most {most:,} bytes here.")
            await http.answer_error(413, error)
        except ConnectionError:
            log.debug("a client left in the middle of its request")
        except Exception:  # the boundary of the face: a fault here must not end the server
            log.exception("a request failed")
            if not http.streaming:
                await http.answer(500)
        finally:
            self._busy.discard(task)

    async def close(self, grace: float = GRACE) -> None:
        """Finish the calls in flight, for at most `grace` seconds, and end every stream."""
        deadline = asyncio.get_running_loop().time() + grace
        await self.handshake.close(grace)
        self._gateway.end_listening()
        if self._busy:  # the last answers are on their way
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait(self._busy, timeout=max(left, LAST_WORDS))
        for task in list(self._busy):
            task.cancel()
        if self._busy:  # what was given up is told so
            await asyncio.wait(self._busy, timeout=LAST_WORDS)

    async def _route(self, http: HttpMessage) -> None:
        if not self._is_expected(http):
            await http.answer(403, json.dumps(plain("Host or Origin is not allowed.")).encode())
            return
        oauth = self._door.oauth
        if oauth is not None and http.path == oauth.metadata_path and http.method == "GET":
            await http.answer(200, json.dumps(oauth.metadata()).encode())
            return
        if http.path.rstrip("/") == "/health":
            await http.answer(200, b'{"status":"ok"}')
            return
        if http.path.rstrip("/") != self._door.config.path.rstrip("/"):
            text = f"The endpoint is {self._door.config.path}."
            await http.answer(404, json.dumps(plain(text)).encode())
            return
        principal = await self._admit(http)
        if principal is None:
            return
        wait = self._limit.take(principal.id)
        if wait > 0:
            error = RpcError(INVALID_REQUEST, f"Too many requests; wait {wait:.0f} s.")
            await http.answer(
                429,
                json.dumps({"jsonrpc": "2.0", "id": None, "error": error.to_wire()}).encode(),
                [(b"retry-after", str(int(wait) + 1).encode())],
            )
            return
        await self._serve(http, principal)

    def _is_expected(self, http: HttpMessage) -> bool:
        """Whether Host and Origin are ours.

        A web page whose name was rebound to a loopback address reaches this port from inside the
        browser; what gives it away is the name in its Host and Origin headers.
        """
        key = http.headers.get("host", ""), http.headers.get("origin")
        expected = self._expected.get(key)
        if expected is None:
            if len(self._expected) >= EXPECTED_LIMIT:
                self._expected.clear()
            expected = self._expected[key] = self._judge(*key)
        return expected

    def _judge(self, host_header: str, origin: str | None) -> bool:
        config = self._door.config
        host = _host_name(host_header)
        if not (is_loopback(host) or host == config.host or host in config.allowed_hosts):
            return False
        if origin is None or origin in config.allowed_origins:
            return True
        try:
            name = urlsplit(origin).hostname
        except ValueError:
            return False
        return name is not None and (is_loopback(name) or name in config.allowed_hosts)

    async def _admit(self, http: HttpMessage) -> Principal | None:
        """Return who is calling; answer and return None where nobody may."""
        if self._door.config.auth == "none":
            return LOCAL
        scheme, _, token = http.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else ""
        if self._door.oauth is not None:
            return await self._admit_oauth(http, self._door.oauth, given)
        principal = self._door.tokens.verify(given) if given else None
        if principal is None:
            text = (
                "A token is needed: `host tokens create NAME` makes one; "
                "send it as Authorization: Bearer TOKEN."
            )
            header = (b"www-authenticate", b'Bearer realm="mcp-agent-host"')
            await http.answer(401, json.dumps(plain(text)).encode(), [header])
        return principal

    async def _admit_oauth(
        self, http: HttpMessage, oauth: OAuthVerifier, given: str
    ) -> Principal | None:
        failure: AccessError | None = None
        if given:
            try:
                return await oauth.verify(given)
            except AccessError as error:
                failure = error
            except HostError as error:
                await http.answer(503, json.dumps(plain(str(error))).encode())
                return None
        refusal = oauth.refusal(failure)
        header = (b"www-authenticate", refusal.www_authenticate.encode())
        text = str(failure or "An access token is needed.")
        await http.answer(refusal.status, json.dumps(plain(text)).encode(), [header])
        return None

    async def _serve(self, http: HttpMessage, principal: Principal) -> None:
        version = http.headers.get("mcp-protocol-version")
        if http.method == "POST":
            await self._post(http, principal, version)
        elif version is not None and version not in (*HANDSHAKE_VERSIONS, *STATELESS_VERSIONS):
            await http.answer_error(400, unsupported_version(version))
        elif version in STATELESS_VERSIONS or http.method not in ("GET", "DELETE"):
            allowed = b"POST" if version in STATELESS_VERSIONS else b"GET, POST, DELETE"
            await http.answer(405, b"", [(b"allow", allowed)])
        elif http.method == "GET":
            await self.handshake.get(http, principal)
        else:
            await self.handshake.delete(http, principal)

    async def _post(self, http: HttpMessage, principal: Principal, version: str | None) -> None:
        stateless = version in STATELESS_VERSIONS
        takes_json, takes_events = http.accepts()
        if not takes_json or (stateless and not takes_events):
            error = RpcError(INVALID_REQUEST, "Accept application/json and text/event-stream.")
            await http.answer_error(406, error)
            return
        if not http.carries_json():
            error = RpcError(INVALID_REQUEST, "The body's Content-Type has to be application/json.")
            await http.answer_error(415, error)
            return
        body = check_message(decode(await http.body(self._door.config.max_body_bytes)))
        enveloped = "id" in body and "method" in body and has_envelope(params_of(body))
        if stateless or enveloped:
            await self._post_stateless(http, principal, body)
        elif version is not None and version not in HANDSHAKE_VERSIONS:
            await http.answer_error(400, unsupported_version(version), body.get("id"))
        else:
            await self.handshake.post(http, principal, body)

    async def _post_stateless(self, http: HttpMessage, principal: Principal, body: Json) -> None:
        if "id" not in body:
            await http.answer(202)
        elif "method" not in body:
            error = RpcError(INVALID_REQUEST, "A stateless client posts requests only.")
            await http.answer_error(400, error)
        else:
            await serve_stateless(self._gateway, self._visitor(principal), http, body)

    def _visitor(self, principal: Principal) -> StatelessSession:
        """Return the session of a stateless client: one for each principal and client."""
        now = time.monotonic()
        known = self._visitors.get(principal.id)
        session = known[0] if known else StatelessSession(principal, "http")
        self._visitors[principal.id] = (session, now)
        return session

    async def sweep(self) -> None:
        """Forget stateless clients and sessions that nobody used for long."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.handshake.sweep())
            while True:
                await asyncio.sleep(60)
                edge = time.monotonic() - STATELESS_LIFE
                for key, (session, seen) in list(self._visitors.items()):
                    if seen < edge:
                        del self._visitors[key]
                        await self._gateway.close_session(session)


def _host_name(header: str) -> str:
    """Return the name in a Host header, without the port."""
    if header.startswith("["):
        return header.partition("]")[0].removeprefix("[")
    return header.partition(":")[0]
