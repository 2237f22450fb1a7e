"""Streamable HTTP towards a tool server, in both protocol eras."""

import asyncio
import contextlib
import logging
from collections.abc import Generator, Mapping

from host.domain.errors import UpstreamError, UpstreamProtocolError, UpstreamUnavailableError
from host.domain.header import encode_header_value
from host.domain.jsonrpc import (
    Json,
    RequestId,
    RpcError,
    as_object,
    decode,
    encode,
    failure,
    notification,
    request,
    response,
)
from host.domain.protocol import LIST_METHODS, META_VERSION, NAMED_METHODS, meta_of
from host.gateway.http1.client import HttpClient
from host.gateway.http1.reply import BodyTooLongError, HttpReply
from host.gateway.http1.url import HttpUrl
from host.gateway.oauth.authorizer import Authorizer, Challenge
from host.gateway.upstream.channel import OnMessage, Outgoing
from host.gateway.upstream.event_stream import RECONNECT_DELAY, EventParser, Place, ServerEvent

log = logging.getLogger(__name__)

BASE_HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
}
RECONNECT_LIMIT = 60.0
"""Longest delay, in seconds, between attempts to reopen the standing stream."""
RESUME_ATTEMPTS = 5
"""How often a broken response stream is resumed before its request fails."""
REDIRECT_LIMIT = 3
CANCEL_LIMIT = 2.0
"""Seconds that a server has to take a cancellation, for which a refused question waits."""
REPEATABLE = frozenset({"initialize", "server/discover", "ping", *LIST_METHODS})
"""Methods that may reach a server twice without harm, where a kept connection ended unseen."""


class SessionExpiredError(UpstreamUnavailableError):
    """The server no longer knows the session; the request was not carried out."""


@contextlib.contextmanager
def _ended(reply: HttpReply) -> Generator[None]:
    """Give an answer back at the end of the block: kept where it was served, else abandoned."""
    try:
        yield
    except BaseException:
        reply.abort()
        raise
    reply.release()


class HttpChannel:
    """A `Channel` over Streamable HTTP.

    Args:
        name: The server's name, for messages.
        url: Its endpoint.
        client: The connection pool.
        authorizer: Adds credentials, and obtains new ones when they are refused.
        on_message: Receives the server's notifications and requests.
        limit: Bytes that one message of the server may have.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        client: HttpClient,
        authorizer: Authorizer,
        on_message: OnMessage,
        limit: int,
    ) -> None:
        self._name = name
        self._url = HttpUrl.parse(url)
        self._client = client
        self._authorizer = authorizer
        self._on_message = on_message
        self._limit = limit
        self._standing: asyncio.Task[None] | None = None
        self._courtesy: set[asyncio.Task[None]] = set()
        self.closed: Exception | None = None
        """Always None: a connection that broke is opened again."""
        self.session_id: str | None = None
        self.version: str | None = None
        """The negotiated revision, sent with every request of the handshake era."""

    async def send(self, outgoing: Outgoing) -> Json:
        """Send a request and wait for its result."""
        body = encode(request(outgoing.id, outgoing.method, outgoing.params))
        repeatable = outgoing.method in REPEATABLE
        try:
            headers = self._headers(outgoing)
            reply = await self._post(body, headers, repeatable=repeatable)
            if outgoing.method == "initialize":
                self.session_id = reply.headers.get("mcp-session-id")
            with _ended(reply):
                return await self._result(reply, outgoing, headers)
        except asyncio.CancelledError:
            if not outgoing.stateless and outgoing.method != "initialize":
                self._cancel_at_server(outgoing.id)
            raise
        except OSError as error:
            raise self._unreachable(error) from error

    async def notify(self, method: str, params: Json | None) -> None:
        """Send a notification."""
        await self._deliver(notification(method, params))

    async def reply(self, request_id: RequestId, outcome: Json | RpcError) -> None:
        """Answer a request of the server.

        A refusal comes after the cancellations before it, each of which is a post of its own: a
        call that is given up shall not go on with the question it had asked as one refused.
        """
        if isinstance(outcome, RpcError):
            if self._courtesy:
                await asyncio.wait(self._courtesy, timeout=CANCEL_LIMIT)
            await self._deliver(failure(request_id, outcome))
        else:
            await self._deliver(response(request_id, outcome))

    async def close(self) -> None:
        """Close the standing stream and tell the server that the session is over."""
        tasks = [*self._courtesy, *([self._standing] if self._standing else [])]
        for task in tasks:
            task.cancel()
        if self.session_id is not None:
            with contextlib.suppress(OSError, UpstreamError):
                async with asyncio.timeout(2):
                    headers = {**self._headers(None), **await self._credentials()}
                    reply = await self._client.request("DELETE", self._url, headers=headers)
                    reply.release()

    def listen(self) -> None:
        """Open the standing stream of the handshake era and keep it open."""
        if self._standing is not None:  # it listens to a session that is over
            self._standing.cancel()
        self._standing = asyncio.create_task(self._stand(), name=f"{self._name} events")

    async def _credentials(self) -> Mapping[str, str]:
        return await self._authorizer.headers(str(self._url))

    def _headers(self, outgoing: Outgoing | None) -> dict[str, str]:
        headers = dict(BASE_HEADERS)
        if outgoing is not None:
            headers.update(outgoing.carrier)
        if outgoing is not None and outgoing.stateless:
            headers["mcp-protocol-version"] = str(meta_of(outgoing.params).get(META_VERSION, ""))
            headers["mcp-method"] = outgoing.method
            key = NAMED_METHODS.get(outgoing.method)
            if key and outgoing.params:
                headers["mcp-name"] = encode_header_value(str(outgoing.params.get(key, "")))
            headers.update(outgoing.headers)
            return headers
        if self.session_id is not None:
            headers["mcp-session-id"] = self.session_id
        if self.version is not None:
            headers["mcp-protocol-version"] = self.version
        return headers

    async def _post(
        self, body: bytes, headers: Mapping[str, str], *, repeatable: bool = False
    ) -> HttpReply:
        """Post a message, follow redirects within the origin, and answer challenges."""
        redirects = refusals = 0
        while True:
            credentials = await self._credentials()
            reply = await self._client.request(
                "POST",
                self._url,
                headers={**headers, **credentials} if credentials else headers,
                body=body,
                repeatable=repeatable,
            )
            if reply.status < 300:
                return reply
            if reply.status in (307, 308) and redirects < REDIRECT_LIMIT:
                redirects += 1
                with _ended(reply):
                    self._url = self._redirected(reply)
                continue
            if reply.status in (401, 403):
                refusals += 1
                challenge = Challenge(
                    str(self._url), reply.status, reply.headers, credentials, refusals
                )
                if await self._is_answered(challenge, reply):
                    continue
            return reply

    async def _is_answered(self, challenge: Challenge, reply: HttpReply) -> bool:
        """Whether a refused request is worth sending again; its answer is not needed then."""
        again = False
        try:
            again = await self._authorizer.challenged(challenge)
        except BaseException:
            reply.release()
            raise
        if again:
            reply.release()
        return again

    def _redirected(self, reply: HttpReply) -> HttpUrl:
        target = self._url.join(reply.headers.get("location", ""))
        if target.origin != self._url.origin:
            raise UpstreamProtocolError(
                f"Server {self._name!r} redirects to {target.origin}, another site.",
                upstream=self._name,
                next_step="Put that URL into the configuration if it is the one you mean.",
            )
        return target

    async def _deliver(self, message: Json) -> None:
        """Post a message that has no answer."""
        try:
            reply = await self._post(encode(message), self._headers(None))
            reply.release()
            if reply.status >= 400:
                log.debug("%s refused a message: HTTP %d", self._name, reply.status)
        except OSError as error:
            raise self._unreachable(error) from error

    async def _result(
        self, reply: HttpReply, outgoing: Outgoing, headers: Mapping[str, str]
    ) -> Json:
        if reply.status == 404 and "mcp-session-id" in headers:  # maybe another is in use by now
            raise SessionExpiredError(
                f"Server {self._name!r} ended the session.", upstream=self._name
            )
        if reply.content_type == "text/event-stream" and reply.status == 200:
            return await self._stream_result(reply, outgoing)
        body = await self._read(reply)
        try:
            message = as_object(decode(body)) or {}
        except RpcError:
            message = {}
        if "result" in message or "error" in message:
            return self._outcome(message)
        raise self._odd_answer(reply, body)

    def _outcome(self, message: Json) -> Json:
        result = as_object(message.get("result"))
        if result is not None:
            return result
        raise RpcError.from_wire(message.get("error"))

    async def _read(self, reply: HttpReply) -> bytes:
        try:
            return await reply.read(self._limit)
        except BodyTooLongError as error:
            raise self._too_large() from error

    async def _stream_result(self, reply: HttpReply, outgoing: Outgoing) -> Json:
        """Read a response stream up to its result; resume it where it breaks and can be resumed."""
        place = Place()
        result = await self._scan(reply, outgoing, place)
        attempts = 0
        while result is None and place.id and not outgoing.stateless and attempts < RESUME_ATTEMPTS:
            before = place.id
            await asyncio.sleep(place.delay)
            headers = {**self._headers(None), **await self._credentials()}
            headers |= {"last-event-id": place.id, "accept": "text/event-stream"}
            resumed = await self._client.request("GET", self._url, headers=headers, repeatable=True)
            with _ended(resumed):
                if resumed.status == 200:
                    result = await self._scan(resumed, outgoing, place)
            attempts = attempts + 1 if place.id == before else 0
        if result is None:
            raise UpstreamUnavailableError(
                f"Server {self._name!r} closed the stream before it answered.", upstream=self._name
            )
        return result

    async def _scan(self, reply: HttpReply, outgoing: Outgoing, place: Place) -> Json | None:
        """Read one stream; return the result, or None where the stream ended before it."""
        parser = EventParser(self._limit)
        try:
            while chunk := await reply.chunk():
                for event in self._events(parser, chunk):
                    place.pass_by(event)
                    result = self._take(event, outgoing.id)
                    if result is not None:
                        return result
        except OSError as error:
            log.debug("%s: a response stream broke: %s", self._name, error)
        return None

    def _events(self, parser: EventParser, chunk: bytes) -> list[ServerEvent]:
        """Return the events that a chunk completes.

        A list and no asynchronous generator: one that is left early costs a task to end it.
        """
        try:
            return list(parser.feed(chunk))
        except ValueError as error:
            raise self._too_large() from error

    def _take(self, event: ServerEvent, request_id: RequestId | None) -> Json | None:
        """Hand on what the server says; return the result once it is the answer to the request."""
        if not event.data or event.event != "message":
            return None
        try:
            body = as_object(decode(event.data))
        except RpcError:
            body = None
        if body is None:
            log.warning("%s sent an event that is not JSON-RPC: %.200r", self._name, event.data)
            return None
        if "method" in body:
            self._on_message(body, request_id)
        elif request_id is not None and ("result" in body or "error" in body):
            return self._outcome(body)
        return None

    async def _stand(self) -> None:
        """Keep the standing stream open: the server's unsolicited messages come on it."""
        place, wait = Place(), RECONNECT_DELAY
        while True:
            try:
                headers = {**self._headers(None), **await self._credentials()}
                headers["accept"] = "text/event-stream"
                if place.id:
                    headers["last-event-id"] = place.id
                reply = await self._client.request(
                    "GET", self._url, headers=headers, repeatable=True
                )
                with _ended(reply):
                    if reply.status in (400, 404, 405, 501):
                        return
                    if reply.status != 200:
                        raise self._odd_answer(reply, b"")
                    parser = EventParser(self._limit)
                    while chunk := await reply.chunk():
                        for event in self._events(parser, chunk):
                            place.pass_by(event)
                            wait = place.delay
                            self._take(event, None)
            except (OSError, RpcError, UpstreamError) as error:
                log.debug("%s: the standing stream broke: %s", self._name, error)
                wait = min(wait * 2, RECONNECT_LIMIT)
            await asyncio.sleep(wait)

    def _cancel_at_server(self, request_id: RequestId) -> None:
        async def cancel() -> None:
            params = {"requestId": request_id, "reason": "The client cancelled the request."}
            try:
                async with asyncio.timeout(CANCEL_LIMIT):
                    await self.notify("notifications/cancelled", params)
            except (TimeoutError, UpstreamError) as error:
                log.debug("%s did not take a cancellation: %r", self._name, error)

        task = asyncio.create_task(cancel())
        self._courtesy.add(task)
        task.add_done_callback(self._courtesy.discard)

    def _unreachable(self, error: Exception) -> UpstreamUnavailableError:
        return UpstreamUnavailableError(
            f"Server {self._name!r} at {self._url.origin} cannot be reached: "
            f"{error or type(error).__name__}.",
            upstream=self._name,
            next_step="Is it running, and is the URL right? `host doctor` tries it.",
        )

    def _too_large(self) -> UpstreamProtocolError:
        return UpstreamProtocolError(
            f"Server {self._name!r} answered with more than {self._limit:,} bytes.",
            upstream=self._name,
            next_step="Raise max_result_bytes for this server, or ask it for less.",
        )

    def _odd_answer(self, reply: HttpReply, body: bytes) -> UpstreamError:
        if reply.status in (401, 403):
            return UpstreamUnavailableError(
                f"Server {self._name!r} refused the credentials (HTTP {reply.status}).",
                upstream=self._name,
                next_step=f"Run `host servers login {self._name}`, or correct its `auth`.",
            )
        return UpstreamProtocolError(
            f"Server {self._name!r} answered HTTP {reply.status} ({reply.content_type}) "
            f"with something that is not MCP: {body[:120]!r}.",
            upstream=self._name,
            next_step="Is the URL the MCP endpoint itself, path included?",
        )
