"""`host run --reformulate`: the rewritten message, and what its author makes of it."""

import sys

from host.cli.agent_client import AgentClient
from host.cli.line import read_line
from host.cli.run import text_of
from host.cli.tools import printable
from host.domain.errors import ConfigError
from host.domain.protocol import object_member

CHOICES = "[Enter] send it, e edit it, o send the original, q leave, or say what to change: "


async def settle_message(client: AgentClient, message: str, *, unseen: bool) -> str:
    """Return the message that is to be sent.

    Args:
        client: The daemon.
        message: As it was written.
        unseen: Whether the rewritten message is sent without a look at it.

    Raises:
        ConfigError: It could not be rewritten.
        KeyboardInterrupt: Its author wants to send nothing.
    """
    text = await _rewrite(client, message)
    while not unseen:
        _show(text)
        said = (await read_line(CHOICES)).strip()
        if said in ("", "y", "yes"):
            break
        if said in ("q", "quit", "n", "no"):
            raise KeyboardInterrupt
        if said in ("o", "original"):
            return message
        if said in ("e", "edit"):
            return (await read_line("message: ", text)).strip() or text
        text = await _rewrite(client, message, earlier=text, remark=said)
    return text


async def _rewrite(client: AgentClient, message: str, **about: str) -> str:
    found = await client.call("orchestrator__rewrite_message", {"message": message, **about})
    if found.get("isError") is True:
        raise ConfigError(text_of(found))
    return str(object_member(found, "structuredContent").get("message", ""))


def _show(text: str) -> None:
    lines = "\n".join(f"  {line}" for line in printable(text).splitlines())
    print(f"reformulated:\n{lines}", file=sys.stderr)
