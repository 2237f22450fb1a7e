"""Puts secrets in the place of their handles, after a call was decided on and recorded."""

from collections.abc import Mapping
from typing import Any, cast

from host.domain.errors import DeniedError
from host.domain.jsonrpc import Json


def reveal_secrets(params: Json, handles: Mapping[str, str], *, own: bool) -> Json:
    """Return the parameters of a call as its server is to get them.

    Args:
        params: With handles.
        handles: What each of them stands for.
        own: Whether they would go to something of the host's own, such as another plugin.

    Raises:
        DeniedError: A secret would become readable for a plugin.
    """
    if own:
        raise DeniedError(
            "A secret may only be given to a server, not to a plugin, an agent or the host.",
            next_step="Call the server's tool directly.",
        )
    return {**params, "arguments": _replaced(params.get("arguments"), handles)}


def hide_secrets(result: Json, handles: Mapping[str, str]) -> Json:
    """Return a result with the handles in the place of secrets that a server echoed."""
    return _replaced(result, {secret: handle for handle, secret in handles.items() if secret})


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        for old, new in texts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {_replaced(key, texts): _replaced(item, texts) for key, item in members}
    if isinstance(value, list):
        return [_replaced(item, texts) for item in cast("list[Any]", value)]
    return value
