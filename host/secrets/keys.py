"""API keys: from the environment, `.env`, the system's keyring, or an encrypted file."""

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

from host.config.expand import parse_env
from host.config.paths import Paths
from host.domain.errors import ConfigError
from host.secrets.tokens import FileVault, KeyringVault, TokenVault, make_private

Place = Literal["environment", ".env", "keyring", "file"]
"""Where a key was found."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_NONCE = 12
_ENTRY = "key-"


class EncryptedVault(TokenVault):
    """Files encrypted with AES-256-GCM; the key to them lies in a file of its own.

    Against whoever gets one of the files, a backup or a listing; not against a program that runs
    as the same user and reads both.
    """

    def __init__(self, folder: Path) -> None:
        self._files = FileVault(folder)
        self._master = folder / "master"

    @override
    def load(self, key: str) -> str | None:
        """Return the text, None if there is none.

        Raises:
            ConfigError: It was changed, or the key to it is another one.
        """
        sealed = self._files.load(key)
        if sealed is None:
            return None
        try:
            raw = base64.b64decode(sealed)
            opened = AESGCM(self._secret()).decrypt(raw[:_NONCE], raw[_NONCE:], key.encode())
        except (ValueError, InvalidTag) as error:
            raise ConfigError(
                f"The stored key {key.removeprefix(_ENTRY)!r} cannot be decrypted.",
                file=self._files.folder,
                next_step="Set it again with `host keys set`.",
            ) from error
        return opened.decode()

    @override
    def save(self, key: str, text: str) -> bool:
        """Write the text, encrypted."""
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(self._secret()).encrypt(nonce, text.encode(), key.encode())
        return self._files.save(key, base64.b64encode(nonce + sealed).decode())

    @override
    def delete(self, key: str) -> None:
        """Remove the file."""
        self._files.delete(key)

    def _secret(self) -> bytes:
        make_private(self._files.folder)
        if not self._master.exists():
            fresh = AESGCM.generate_key(256).hex()
            draft = self._master.with_name(f".master.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(fresh)
            try:
                os.link(draft, self._master)  # fails if another process was quicker
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return bytes.fromhex(self._master.read_text())


class Keys:
    """The API keys of one user.

    Args:
        folder: Where the list of stored keys is and, without a keyring, the keys themselves.
        environ: Environment variables; they stand before everything else.
        env_file: A `.env` file, read if it is there.
        keyring: The system's keyring; None keeps everything in files.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        env_file: Path | None = None,
        keyring: TokenVault | None = None,
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._env_file = env_file
        self._keyring = keyring
        self._vault = EncryptedVault(folder)

    @classmethod
    def of_user(cls, paths: Paths, environ: Mapping[str, str]) -> "Keys":
        """Return the user's keys, with the system's keyring where there is a real one."""
        return cls(
            paths.data / "keys",
            environ,
            env_file=paths.config / ".env",
            keyring=KeyringVault(),
        )

    def find(self, name: str, variables: tuple[str, ...] = ()) -> str | None:
        """Return a key, None if there is none.

        Args:
            name: Under which it is stored.
            variables: Environment variables that may hold it.
        """
        found = self._given(variables)
        if found is not None:
            return found[0]
        vault = self._stored_in(name)
        return vault.load(_ENTRY + name) if vault else None

    def place(self, name: str, variables: tuple[str, ...] = ()) -> Place | None:
        """Return where a key is, None if there is none; the key itself is not read."""
        found = self._given(variables)
        return found[1] if found else self._index().get(name)

    def save(self, name: str, key: str) -> Place:
        """Keep a key, and return where.

        Raises:
            ConfigError: The name cannot be one, or the key is empty or has line breaks.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} cannot be the name of a key.")
        if not key.strip() or len(key.split()) != 1:
            raise ConfigError(
                "The key is empty or has blanks in it.", next_step="Paste it without line breaks."
            )
        kept: Place = "file"
        if self._keyring is not None and self._keyring.save(_ENTRY + name, key.strip()):
            self._vault.delete(_ENTRY + name)
            kept = "keyring"
        else:
            self._vault.save(_ENTRY + name, key.strip())
        self._write_index({**self._index(), name: kept})
        return kept

    def remove(self, name: str) -> bool:
        """Forget a stored key; false if there was none."""
        index = self._index()
        vault = self._stored_in(name)
        if vault is None:
            return False
        vault.delete(_ENTRY + name)
        del index[name]
        self._write_index(index)
        return True

    def _stored_in(self, name: str) -> TokenVault | None:
        kept = self._index().get(name)
        return self._keyring if kept == "keyring" else self._vault if kept == "file" else None

    def _given(self, variables: tuple[str, ...]) -> tuple[str, Place] | None:
        for variable in variables:
            if self._environ.get(variable):
                return self._environ[variable], "environment"
        own = self._env_variables()
        for variable in variables:
            if own.get(variable):
                return own[variable], ".env"
        return None

    def _env_variables(self) -> dict[str, str]:
        try:
            return parse_env(self._env_file.read_text("utf-8")) if self._env_file else {}
        except (OSError, UnicodeDecodeError):
            return {}

    def _index(self) -> dict[str, Place]:
        """Return where each stored key is: a keyring takes a quarter second to be looked for."""
        try:
            return json.loads((self._folder / "index.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}

    def _write_index(self, index: dict[str, Place]) -> None:
        FileVault(self._folder).save("index", json.dumps(index))
