"""Keeps what plugins were compiled to, for the pool: a second process need not compile again."""

import hashlib
from collections import OrderedDict


def digest(source: str, name: str) -> str:
    """Returns what tells one compilation from another; the code holds the plugin's name."""
    return hashlib.sha256(f"{name}\0{source}".encode("utf-8", "replace")).hexdigest()


class CompiledCode:
    """Code by the digest of its source; the host keeps it and never reads it.

    It belongs to one zygote, so to one Python and one compiler; the least recently used goes first.

    Args:
        max_characters: Of all code together.
    """

    def __init__(self, max_characters: int = 32 << 20) -> None:
        self._most = max_characters
        self._held = 0
        self._code: OrderedDict[str, str] = OrderedDict()

    def get(self, key: str) -> str:
        """Returns the code under a digest, or nothing."""
        code = self._code.get(key, "")
        if code:
            self._code.move_to_end(key)
        return code

    def put(self, key: str, code: str) -> None:
        """Keeps code under a digest, unless that would take more than an eighth of all room."""
        if not code or len(code) > self._most // 8:
            return
        self._held += len(code) - len(self._code.pop(key, ""))
        self._code[key] = code
        while self._held > self._most:
            _, dropped = self._code.popitem(last=False)
            self._held -= len(dropped)

    def clear(self) -> None:
        """Forgets everything: another zygote may have another compiler."""
        self._code.clear()
        self._held = 0
