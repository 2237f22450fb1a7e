"""The OAuth tokens of upstreams: in the system's keyring, or in a file only its owner can read."""

import contextlib
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_serializer
from typing_extensions import override

from host.config.oauth import AuthMethod
from host.secrets.lock import process_lock

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "mcp-agent-host"
"""Name under which entries appear in the system's keyring."""
KEYRING_SECONDS = 10.0
"""How long a keyring may take; one that waits for somebody to unlock it counts as not there."""


class _Sealed(BaseModel):
    """A stored model: its secrets show in storage (context `reveal`) and nowhere else."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @field_serializer("*", when_used="json", check_fields=False)
    def _reveal(self, value: object) -> object:
        return value.get_secret_value() if isinstance(value, SecretStr) else value


class ClientRecord(_Sealed):
    """How the host is known at one authorization server; never shown to another one."""

    client_id: str
    client_secret: SecretStr | None = None
    auth_method: AuthMethod = "none"
    source: str = "configured"
    """`configured`, `document` or `registered`."""
    redirect_uri: str | None = None
    """Where a registered client may be sent back to."""


class TokenRecord(_Sealed):
    """What the host holds for one upstream, bound to the issuer that gave it."""

    resource: str
    issuer: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    resource_metadata: str | None = None
    """Where the upstream once said its metadata is; not every later refusal says so again."""
    client: ClientRecord
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    expires_at: float | None = None
    """Unix time; None means unknown."""
    scopes: tuple[str, ...] = ()
    """What was granted, or asked for where the answer did not say."""
    wanted: tuple[str, ...] = ()
    """What the next login has to ask for besides."""


class TokenVault(Protocol):
    """Keeps one text under a key; `FileVault` and `KeyringVault` do."""

    def load(self, key: str) -> str | None:
        """Return the text, None if there is none."""
        ...

    def save(self, key: str, text: str) -> bool:
        """Keep the text; False if this vault cannot."""
        ...

    def delete(self, key: str) -> None:
        """Forget the text, if there is one."""
        ...


class FileVault(TokenVault):
    """One file a key, mode 0600 in a folder of mode 0700, replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    @override
    def load(self, key: str) -> str | None:
        """Return the text, None if there is no file or it cannot be read."""
        try:
            return self._path(key).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    @override
    def save(self, key: str, text: str) -> bool:
        """Write the text, so that a reader sees the old or the new one."""
        make_private(self.folder)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=f".{key}.")  # made with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(self._path(key))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return True

    @override
    def delete(self, key: str) -> None:
        """Remove the file."""
        self._path(key).unlink(missing_ok=True)


class KeyringVault(TokenVault):
    """Entries of the system's keyring, looked for when first used: that takes a quarter second.

    Args:
        backend: The keyring; None finds the system's.
    """

    def __init__(self, backend: "KeyringBackend | None" = None) -> None:
        self._given = backend

    @functools.cached_property
    def _ring(self) -> "KeyringBackend | None":
        if self._given is not None:
            return self._given
        import keyring  # noqa: PLC0415

        backend = keyring.get_keyring()
        kind = type(backend).__module__
        # In plain text a file of ours is better: it has the right permissions.
        unsafe = kind.startswith(("keyring.backends.fail", "keyring.backends.null", "keyrings.alt"))
        return None if unsafe or backend.priority < 1 else backend

    @property
    def works(self) -> bool:
        """Whether there is a real keyring."""
        return self._ring is not None

    @override
    def load(self, key: str) -> str | None:
        """Return the entry, None if there is none or the keyring is locked."""
        from keyring.errors import KeyringError  # noqa: PLC0415

        try:
            return self._ring.get_password(SERVICE, key) if self._ring else None
        except KeyringError:
            return None

    @override
    def save(self, key: str, text: str) -> bool:
        """Write the entry; False where it is locked, or the text too long for it."""
        from keyring.errors import KeyringError  # noqa: PLC0415

        if self._ring is None:
            return False
        try:
            self._ring.set_password(SERVICE, key, text)  # pyright: ignore[reportUnknownMemberType]
        except (KeyringError, OSError):
            return False
        return True

    @override
    def delete(self, key: str) -> None:
        """Remove the entry."""
        from keyring.errors import KeyringError  # noqa: PLC0415

        if self._ring is not None:
            with contextlib.suppress(KeyringError):
                self._ring.delete_password(SERVICE, key)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)


class TokenStore:
    """The records of all upstreams, shared by the processes of one user.

    Args:
        folder: Where locks, change marks and, without a keyring, the records themselves are.
        keyring_vault: The keyring; None keeps everything in files.
    """

    def __init__(self, folder: Path, *, keyring_vault: TokenVault | None = None) -> None:
        self._folder = folder
        self._files = FileVault(folder)
        self._keyring = keyring_vault

    @classmethod
    def of_user(cls, folder: Path) -> "TokenStore":
        """Return the store with the system's keyring, where there is a real one."""
        return cls(folder, keyring_vault=KeyringVault())

    def place(self, key: str) -> str:
        """Return where a saved record is, in words."""
        if self._files.load(key) is None:
            return "the system's keyring"
        return f"{self._folder}, which only you can read"

    @staticmethod
    def key(server: str, resource: str) -> str:
        """Return the key of one upstream: its name and address, so that neither can be swapped."""
        name = re.sub(r"[^A-Za-z0-9_-]", "_", server)[:40]
        return f"{name}-{hashlib.sha256(f'{server} {resource}'.encode()).hexdigest()[:24]}"

    @contextlib.asynccontextmanager
    async def locked(self, key: str) -> AsyncGenerator[None]:
        """Hold one record against changes by other tasks and processes."""
        make_private(self._folder)
        async with process_lock(self._folder / f"{key}.lock"):
            yield

    def mark(self, key: str) -> int:
        """Return a number that differs after each change, by whichever process; 0 if none yet."""
        try:
            # Asked before every request to a server, and building a Path takes three times as long.
            return os.stat(f"{self._folder}{os.sep}{key}.mark").st_mtime_ns  # noqa: PTH116
        except OSError:
            return 0

    async def load(self, key: str) -> TokenRecord | None:
        """Return a record; None if there is none, or none that can be read."""
        text = await self._load(key)
        try:
            return TokenRecord.model_validate_json(text) if text else None
        except ValidationError:
            return None  # of another version: as good as absent, and never shown

    async def _load(self, key: str) -> str | None:
        if not self.mark(key):
            return None  # never saved: no keyring needs to be looked for
        # The file first: it is only there where the keyring did not take the record.
        text = self._files.load(key)
        if text is not None or self._keyring is None:
            return text
        found: list[str | None] = [None]
        vault = self._keyring
        with anyio.move_on_after(KEYRING_SECONDS):
            found[0] = await anyio.to_thread.run_sync(vault.load, key, abandon_on_cancel=True)
        return found[0]

    async def save(self, key: str, record: TokenRecord) -> str:
        """Keep a record.

        Returns:
            Where: `keyring` or `file`.
        """
        text = record.model_dump_json()
        vault, saved = self._keyring, False
        if vault is not None:
            with anyio.move_on_after(KEYRING_SECONDS):
                saved = await anyio.to_thread.run_sync(
                    vault.save, key, text, abandon_on_cancel=True
                )
        if saved:
            self._files.delete(key)
        else:
            self._files.save(key, text)
        self._touch(key)
        return "keyring" if saved else "file"

    async def delete(self, key: str) -> None:
        """Forget a record, wherever it is."""
        self._files.delete(key)
        if self._keyring is not None:
            vault = self._keyring
            with anyio.move_on_after(KEYRING_SECONDS):
                await anyio.to_thread.run_sync(vault.delete, key, abandon_on_cancel=True)
        self._touch(key)

    def _touch(self, key: str) -> None:
        make_private(self._folder)
        path = self._folder / f"{key}.mark"
        before = self.mark(key)
        path.touch(mode=0o600)
        if path.stat().st_mtime_ns <= before:  # a coarse clock: two changes within one tick
            os.utime(path, ns=(before + 1, before + 1))
