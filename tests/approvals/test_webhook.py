import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr, ValidationError

from host.approvals.approval import Approval
from host.approvals.webhook import Webhook
from host.config.approvals import WebhookConfig
from host.domain.jsonrpc import Json
from tests.approvals.desks import call, open_office
from tests.fakes.web import serve_web

pytestmark = pytest.mark.anyio

SECRET = "a shared secret"  # noqa: S105 - the test's own


class Receiver:
    """A web service that keeps what it is sent, and answers 500 so often first."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.told = anyio.Event()

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body = (await receive()).get("body", b"")
        self.got.append(({k.decode(): v.decode() for k, v in scope["headers"]}, body))
        status = 500 if len(self.got) <= self.failures else 204
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        if status == 204:
            self.told.set()


async def told(folder: Path, receiver: Receiver, **fields: Any) -> list[Json]:
    """Ask for an approval while a webhook listens, and return what it was told."""
    async with serve_web(receiver) as url, open_office(folder) as office:
        config = WebhookConfig.model_validate({"url": url, "secret": SecretStr(SECRET), **fields})
        office.board.heralds = (Webhook(config, pause=0.0),)
        await office.desk.ask(call())
        with anyio.fail_after(60):
            await receiver.told.wait()
    return [json.loads(body) for _headers, body in receiver.got]


async def test_webhook_is_told_with_a_signature_and_without_the_arguments(
    empty_store_folder: Path,
):
    receiver = Receiver()
    [message] = await told(empty_store_folder, receiver)
    assert message["event"] == "approval.asked"
    assert message["approval"]["name"] == "mail__send"
    assert message["answer_with"] == f"host approvals approve {message['approval']['id']}"
    assert "arguments" not in message
    headers, body = receiver.got[0]
    signed = headers["x-host-timestamp"].encode() + b"." + body
    wanted = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-host-signature"] == f"v1={wanted}"


async def test_webhook_is_tried_again_and_shows_arguments_where_that_is_wanted(
    empty_store_folder: Path,
):
    messages = await told(empty_store_folder, Receiver(failures=2), include_arguments=True)
    assert len(messages) == 3
    assert messages[-1]["arguments"] == {"to": "bob"}


async def test_a_webhook_that_fails_does_not_disturb_the_call(
    empty_store_folder: Path, caplog: pytest.LogCaptureFixture
):
    config = WebhookConfig(url="http://127.0.0.1:9/nobody", secret=SecretStr(SECRET))
    async with open_office(empty_store_folder) as office:
        found = await office.desk.ask(call())
        assert isinstance(found, Approval)
        await Webhook(config, pause=0.0).announce("asked", found, None)
    assert f"the webhook was not told of {found.id}" in caplog.text


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://example.com/", "example.com"])
def test_a_webhook_beyond_this_machine_needs_https(url: str):
    with pytest.raises(ValidationError):
        WebhookConfig(url=url, secret=SecretStr(SECRET))
