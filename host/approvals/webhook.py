"""Tells a web service about approvals, with a signature by which it knows who says so."""

import hashlib
import hmac
import json
import logging
import time
from typing import Any

import anyio
import httpx

from host.approvals.approval import Approval
from host.config.approvals import WebhookConfig
from host.domain.jsonrpc import Json

log = logging.getLogger(__name__)

TRIES = 3
"""Attempts at one message."""
PAUSE = 1.0
"""Seconds before the second attempt; twice as many before each further one."""


class Webhook:
    """Posts each event as JSON; see `sign` for the signature.

    Args:
        config: Where to.
        pause: Seconds before the second attempt.
    """

    def __init__(self, config: WebhookConfig, *, pause: float = PAUSE) -> None:
        self._config = config
        self._pause = pause

    async def announce(self, event: str, approval: Approval, arguments: Json | None) -> None:
        """Post an event; that it could not be delivered is logged."""
        body: dict[str, Any] = {
            "event": f"approval.{event}",
            "approval": approval.show(),
            "answer_with": f"host approvals approve {approval.id}",
        }
        if self._config.include_arguments and arguments is not None:
            body["arguments"] = arguments
        content = json.dumps(body).encode()
        problem: str | None = None
        for attempt in range(TRIES):
            problem = await self._post(content)
            if problem is None:
                return
            if attempt + 1 < TRIES:
                await anyio.sleep(self._pause * 2**attempt)
        log.warning("the webhook was not told of %s: %s", approval.id, problem)

    async def _post(self, content: bytes) -> str | None:
        """Return what went wrong; None if nothing did."""
        moment = str(int(time.time()))
        secret = self._config.secret.get_secret_value()
        headers = {
            "content-type": "application/json",
            "x-host-timestamp": moment,
            "x-host-signature": sign(secret, moment, content),
        }
        try:
            async with httpx.AsyncClient(timeout=self._config.timeout) as client:
                reply = await client.post(self._config.url, content=content, headers=headers)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        return None if reply.is_success else f"it answered {reply.status_code}"


def sign(secret: str, moment: str, content: bytes) -> str:
    """Return the signature of a message: HMAC-SHA256 over time stamp, a dot and the body.

    A receiver compares it in constant time, and drops messages whose time is minutes away.
    """
    mac = hmac.new(secret.encode(), moment.encode() + b"." + content, hashlib.sha256)
    return f"v1={mac.hexdigest()}"
