"""The HTTP+SSE transport of 2024-11-05: one event stream in, posts to an announced address out."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from host.domain.errors import UpstreamError, UpstreamProtocolError, UpstreamUnavailableError
from host.domain.jsonrpc import (
    Json,
    RequestId,
    RpcError,
    as_object,
    decode,
    encode,
    failure,
    find_by_id,
    notification,
    request,
    response,
)
from host.domain.wait import outcome_of
from host.gateway.http1.client import HttpClient
from host.gateway.http1.url import HttpUrl
from host.gateway.oauth.authorizer import Authorizer, Challenge
from host.gateway.upstream.channel import OnMessage, Outgoing
from host.gateway.upstream.event_stream import EventParser, ServerEvent

log = logging.getLogger(__name__)


class LegacySseChannel:
    """A `Channel` over the legacy transport; `open` must have returned before anything is sent."""

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
        self._endpoint: asyncio.Future[HttpUrl] = asyncio.get_running_loop().create_future()
        self._pending: dict[RequestId, asyncio.Future[Json]] = {}
        self._reader: asyncio.Task[None] | None = None
        self.closed: Exception | None = None

    async def open(self) -> None:
        """Open the event stream and wait for the address to post to."""
        self._reader = asyncio.create_task(self._read(), name=f"{self._name} events")
        try:
            await outcome_of(self._endpoint)
        except BaseException:
            await self.close()
            raise

    async def send(self, outgoing: Outgoing) -> Json:
        """Send a request and wait for its result."""
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._pending[outgoing.id] = future
        try:
            message = request(outgoing.id, outgoing.method, outgoing.params)
            await self._post(message, outgoing.carrier)
            return await future
        except asyncio.CancelledError:
            cancel = {"requestId": outgoing.id, "reason": "The client cancelled the request."}
            with contextlib.suppress(UpstreamError):
                async with asyncio.timeout(2):
                    await self.notify("notifications/cancelled", cancel)
            raise
        finally:
            self._pending.pop(outgoing.id, None)

    async def notify(self, method: str, params: Json | None) -> None:
        """Send a notification."""
        await self._post(notification(method, params))

    async def reply(self, request_id: RequestId, outcome: Json | RpcError) -> None:
        """Answer a request of the server."""
        if isinstance(outcome, RpcError):
            await self._post(failure(request_id, outcome))
        else:
            await self._post(response(request_id, outcome))

    async def close(self) -> None:
        """Close the event stream."""
        if self._reader is not None:
            self._reader.cancel()

    async def _post(self, message: Json, carrier: Mapping[str, str] | None = None) -> None:
        if self.closed is not None:
            raise self.closed
        target = await outcome_of(self._endpoint)
        headers = {"content-type": "application/json", **(carrier or {})}
        headers |= await self._authorizer.headers(str(target))
        try:
            reply = await self._client.request(
                "POST", target, headers=headers, body=encode(message)
            )
        except OSError as error:
            raise self._gone(error) from error
        reply.release()
        if reply.status >= 400:
            raise UpstreamProtocolError(
                f"Server {self._name!r} answered HTTP {reply.status}.", upstream=self._name
            )

    async def _read(self) -> None:
        reason: Exception = self._gone(None)
        try:
            await self._read_events()
        except UpstreamError as error:
            reason = error
        except (OSError, ValueError, RpcError) as error:
            reason = self._gone(error)
        finally:
            self.closed = reason
            for future in [self._endpoint, *self._pending.values()]:
                if not future.done():
                    future.set_exception(reason)

    async def _read_events(self) -> None:
        for attempt in (1, 2, 3):
            sent = await self._authorizer.headers(str(self._url))
            headers = {"accept": "text/event-stream", **sent}
            reply = await self._client.request("GET", self._url, headers=headers, repeatable=True)
            try:
                if reply.status in (401, 403):
                    challenge = Challenge(
                        str(self._url), reply.status, reply.headers, sent, attempt
                    )
                    if await self._authorizer.challenged(challenge):
                        continue
                if reply.status != 200:
                    raise self._gone(OSError(f"HTTP {reply.status}"))
                parser = EventParser(self._limit)
                while chunk := await reply.chunk():
                    for event in parser.feed(chunk):
                        self._take(event)
                return
            finally:
                reply.abort()

    def _take(self, event: ServerEvent) -> None:
        if event.event == "endpoint":
            target = self._url.join(event.data.decode())
            if target.origin != self._url.origin:
                raise UpstreamProtocolError(
                    f"Server {self._name!r} wants posts at {target.origin}, another site.",
                    upstream=self._name,
                )
            if not self._endpoint.done():
                self._endpoint.set_result(target)
            return
        try:
            body = as_object(decode(event.data)) if event.data else None
        except RpcError:
            log.warning("%s sent an event that is not JSON-RPC: %.200r", self._name, event.data)
            return
        if body is None:
            return
        if "method" in body:
            self._on_message(body, None)
            return
        future = find_by_id(self._pending, body.get("id"))
        if future is None or future.done():
            return
        result = as_object(body.get("result"))
        if result is not None:
            future.set_result(result)
        else:
            future.set_exception(RpcError.from_wire(body.get("error")))

    def _gone(self, error: Exception | None) -> UpstreamUnavailableError:
        because = f": {error}" if error else ""
        return UpstreamUnavailableError(
            f"The event stream of server {self._name!r} at {self._url.origin} ended{because}.",
            upstream=self._name,
            next_step="If the server speaks Streamable HTTP, set `transport: http`.",
        )
