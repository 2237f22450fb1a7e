"""What plugins keep between calls: one small store for each plugin and user, labels included."""

import json
from collections.abc import Iterable, Sequence
from typing import Protocol

from host.domain.errors import DeniedError, SandboxError
from host.domain.principal import Principal
from host.sandbox.broker import JSON
from host.storage.store import Database, Store
from host.taint.session import SessionTaint

MAX_KEY = 200
"""Characters of a key."""

MAX_KEYS = 1_000
"""Keys that one plugin may have for one user."""


class Taint(Protocol):
    """The labels of what a call has seen; the gateway's own where it keeps any."""

    def current(self) -> frozenset[str]:
        """Return the labels that whatever the call writes has to carry."""
        ...

    def add(self, labels: Iterable[str]) -> None:
        """Note that the call has read something with these labels."""
        ...


class RequestTaint:
    """The labels of the session that a plugin's call belongs to.

    Args:
        session: What the session has met.
    """

    def __init__(self, session: SessionTaint) -> None:
        self._session = session

    def current(self) -> frozenset[str]:
        """Return what the session has met so far."""
        return self._session.labels

    def add(self, labels: Iterable[str]) -> None:
        """Keep that the session has met what these labels are about."""
        found = frozenset(labels)
        if found:
            self._session.meet(found, source="what a plugin kept")


class CallTaint:
    """The labels that one call of a plugin has gathered, where there is no session."""

    def __init__(self) -> None:
        self._labels: frozenset[str] = frozenset()

    def current(self) -> frozenset[str]:
        """Return the labels gathered so far."""
        return self._labels

    def add(self, labels: Iterable[str]) -> None:
        """Gather labels."""
        self._labels |= frozenset(labels)


class DatabaseState:
    """A plugin's values for one user, in the store.

    Args:
        store: The database.
        plugin: Whose values.
        principal: For whom the plugin runs; row-level security shows nobody else's.
        quota: Bytes of keys and values together.
        taint: What written values inherit and what read ones pass on.
    """

    def __init__(
        self, store: Store, plugin: str, *, principal: Principal, quota: int, taint: Taint
    ) -> None:
        self._store = store
        self._plugin = plugin
        self._principal = principal
        self._quota = quota
        self._taint = taint

    async def get(self, key: str) -> JSON:
        """Return the value under `key`, or None; its labels become the call's."""
        async with self._store.transaction(self._principal) as database:
            found = await database.execute(
                "select value, labels from host.plugin_state"
                " where plugin = %s and user_id = %s and key = %s",
                [self._plugin, self._principal.user, key],
            )
            row = await found.fetchone()
        if row is None:
            return None
        self._taint.add(row["labels"])
        return json.loads(row["value"])

    async def set(self, key: str, value: JSON) -> None:
        """Store `value` under `key`, with the labels of what the call has read so far.

        Raises:
            SandboxError: The key is unusable, or the quota would be exceeded.
        """
        check_key(key)
        text = json.dumps(value, separators=(",", ":"))
        size = len(key.encode()) + len(text)
        labels = sorted(self._taint.current())
        async with self._store.transaction(self._principal) as database:
            await self._reserve(database, key, size)
            await database.execute(
                "insert into host.plugin_state (plugin, user_id, key, value, labels, size)"
                " values (%s, %s, %s, %s, %s, %s) on conflict (user_id, plugin, key) do update"
                " set value = excluded.value, labels = excluded.labels, size = excluded.size,"
                " changed = now()",
                [self._plugin, self._principal.user, key, text, labels, size],
            )

    async def _reserve(self, database: Database, key: str, size: int) -> None:
        """See that the value fits; two calls that store at once are taken one after the other."""
        mine = [self._plugin, self._principal.user]
        await database.execute("select pg_advisory_xact_lock(hashtext(%s || '/' || %s))", mine)
        found = await database.execute(
            "select coalesce(sum(size), 0)::bigint as used, count(*) as keys"
            " from host.plugin_state where plugin = %s and user_id = %s and key <> %s",
            [*mine, key],
        )
        row = await found.fetchone()
        used, keys = (row["used"], row["keys"]) if row is not None else (0, 0)
        check_quota(used + size, keys + 1, quota=self._quota)

    async def delete(self, key: str) -> bool:
        """Remove `key`; return whether it was there."""
        async with self._store.transaction(self._principal) as database:
            done = await database.execute(
                "delete from host.plugin_state where plugin = %s and user_id = %s and key = %s",
                [self._plugin, self._principal.user, key],
            )
        return done.rowcount > 0

    async def keys(self, prefix: str) -> Sequence[str]:
        """List the keys that start with `prefix`."""
        async with self._store.transaction(self._principal) as database:
            found = await database.execute(
                "select key, labels from host.plugin_state where plugin = %s and user_id = %s"
                " and starts_with(key, %s) order by key",
                [self._plugin, self._principal.user, prefix],
            )
            rows = await found.fetchall()
        for row in rows:  # a key is as much the work of what was read as its value
            self._taint.add(row["labels"])
        return [str(row["key"]) for row in rows]


class ShortState:
    """Values that last as long as this object: for `host plugins run` and tests.

    Args:
        quota: Bytes of keys and values together.
    """

    def __init__(self, quota: int = 1 << 20) -> None:
        self._quota = quota
        self._values: dict[str, str] = {}

    async def get(self, key: str) -> JSON:
        """Return the value under `key`, or None."""
        text = self._values.get(key)
        return None if text is None else json.loads(text)

    async def set(self, key: str, value: JSON) -> None:
        """Store `value` under `key`."""
        check_key(key)
        values = {**self._values, key: json.dumps(value, separators=(",", ":"))}
        size = sum(len(name.encode()) + len(text) for name, text in values.items())
        check_quota(size, len(values), quota=self._quota)
        self._values = values

    async def delete(self, key: str) -> bool:
        """Remove `key`; return whether it was there."""
        return self._values.pop(key, None) is not None

    async def keys(self, prefix: str) -> Sequence[str]:
        """List the keys that start with `prefix`."""
        return sorted(key for key in self._values if key.startswith(prefix))


class NoState:
    """The state of a plugin that was granted none.

    Args:
        why: What it is told.
        next_step: What its author can do.
    """

    def __init__(self, why: str, *, next_step: str | None = None) -> None:
        self._error = DeniedError(why, next_step=next_step)

    async def get(self, key: str) -> JSON:
        """Refuse."""
        raise self._refusal(key)

    async def set(self, key: str, value: JSON) -> None:
        """Refuse."""
        raise self._refusal(key)

    async def delete(self, key: str) -> bool:
        """Refuse."""
        raise self._refusal(key)

    async def keys(self, prefix: str) -> Sequence[str]:
        """Refuse."""
        raise self._refusal(prefix)

    def _refusal(self, _: str) -> DeniedError:
        return DeniedError(self._error.message, next_step=self._error.next_step)


def check_key(key: str) -> None:
    """See that a key can be stored.

    Raises:
        SandboxError: It is empty, too long or has control characters.
    """
    if not 0 < len(key) <= MAX_KEY or any(ord(letter) < 32 for letter in key):
        raise SandboxError(
            f"{key[:40]!r} is no key for host.state.",
            next_step=f"Use 1 to {MAX_KEY} characters, no control characters.",
        )


def check_quota(size: int, keys: int, *, quota: int) -> None:
    """See that a plugin stays within what it may keep.

    Raises:
        SandboxError: It would not.
    """
    if size > quota or keys > MAX_KEYS:
        raise SandboxError(
            f"host.state is full: {size} bytes under {keys} keys; {quota} bytes and {MAX_KEYS} keys"
            " are allowed.",
            next_step="Delete keys, or raise `limits.state_kb` in the manifest.",
        )
