"""The passphrase that answers from a terminal need, where one is set."""

import hashlib
import hmac
import os

import anyio
from anyio import to_thread

from host.approvals.approval import DESK
from host.domain.errors import AccessError
from host.storage.store import Store

_COST, _BLOCK, _LANES = 1 << 14, 8, 1
"""Parameters of scrypt: 16 MB and some 50 ms for each guess."""


class Passphrase:
    """Kept as a salted, slow digest beside the approvals, where no file can be removed to lift it.

    Args:
        store: Keeps it; whoever shares the database shares the passphrase.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._one_guess = anyio.Lock()

    async def is_set(self) -> bool:
        """Return whether answers need it."""
        return await self._kept() is not None

    async def set(self, text: str, *, current: str | None) -> None:
        """Set it; an empty text removes it.

        Raises:
            AccessError: There is one, and `current` is another.
        """
        await self.check(current)
        async with self._store.transaction(DESK) as database:
            await database.execute("delete from host.approval_passphrase")
            if not text:
                return
            salt = os.urandom(16)
            digest = await to_thread.run_sync(_digest, text, salt)
            await database.execute(
                "insert into host.approval_passphrase (user_id, salt, digest) values (%s, %s, %s)",
                [DESK.user, salt.hex(), digest.hex()],
            )

    async def check(self, text: str | None) -> None:
        """Check a guess, one at a time, so that guessing stays slow.

        Raises:
            AccessError: A passphrase is set, and this is another one.
        """
        async with self._one_guess:
            kept = await self._kept()
            if kept is None:
                return
            salt, digest = kept
            if text is not None:
                guess = await to_thread.run_sync(_digest, text, salt)
                if hmac.compare_digest(guess, digest):
                    return
        raise AccessError(
            "The passphrase of approvals is missing or wrong.",
            next_step="Type the one that was set with `host approvals passphrase`.",
        )

    async def _kept(self) -> tuple[bytes, bytes] | None:
        async with self._store.transaction(DESK) as database:
            cursor = await database.execute("select salt, digest from host.approval_passphrase")
            row = await cursor.fetchone()
        return None if row is None else (bytes.fromhex(row["salt"]), bytes.fromhex(row["digest"]))


def _digest(text: str, salt: bytes) -> bytes:
    return hashlib.scrypt(text.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES)
