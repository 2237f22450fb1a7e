"""Names of servers and clients: which are legal, and what a wrong one should have been."""

import re

MAX_NAME = 32
"""Longest server name; with `__` it leaves 30 of the 64 characters of a tool name to the tool."""

RESERVED = ("host", "agent", "orchestrator")
"""Prefixes of the host's own tools; no server may take one of them."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")


def check_name(name: str) -> str | None:
    """Return what is wrong with a server's name in one sentence, None if it is legal.

    A legal name is in every model provider's alphabet for tool names (`[a-zA-Z0-9_-]`), in lower
    case, without `__` (which ends it in `server__tool`), and neither equal to a reserved prefix nor
    of the form `host-…` or `host_…`.
    """
    better = suggest_name(name)
    if "__" in name:
        return f"The name {name!r} contains '__', which ends a server's name; try {better!r}."
    if not _NAME.fullmatch(name):
        return (
            f"The name {name!r} may only have a-z, 0-9, '-' and '_', and begin and end with a "
            f"letter or a digit; try {better!r}."
        )
    if len(name) > MAX_NAME:
        return f"The name {name!r} is longer than {MAX_NAME} characters; try {better!r}."
    if _is_reserved(name):
        return f"The name {name!r} is kept for the host's own tools; try {better!r}."
    return None


def suggest_name(name: str) -> str:
    """Return a legal name that looks like a given one."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    text = re.sub(r"[^a-z0-9_-]+", "-", text)
    text = re.sub(r"_{2,}", "_", text)
    text = re.sub(r"-{2,}", "-", text).strip("-_") or "server"
    if _is_reserved(text):
        text = f"my-{text}"
    return text[:MAX_NAME].rstrip("-_")


def _is_reserved(name: str) -> bool:
    return re.split(r"[-_]", name, maxsplit=1)[0] in RESERVED
