"""Sealed state: what the host hands to a client to be handed back, unreadable and unforgeable."""

import base64
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from host.domain.errors import AccessError, ConfigError
from host.domain.jsonrpc import Json

KEY_LIFE = 7 * 86_400.0
"""Seconds for which a key seals; afterwards a new one does."""
KEY_MEMORY = 2 * KEY_LIFE
"""Seconds after its making for which a key still opens."""
_NONCE, _ID = 12, 4
"""Bytes of the nonce, and of the key's id that stands before it."""


@dataclass(frozen=True, slots=True)
class SealingKey:
    """One key.

    Attributes:
        made_at: Seconds since the epoch.
    """

    id: bytes
    secret: bytes
    made_at: float

    @classmethod
    def make(cls) -> "SealingKey":
        """Return a new random key."""
        return cls(secrets.token_bytes(_ID), AESGCM.generate_key(256), time.time())


class Sealer:
    """Seals and opens state with a rotating set of keys (AES-256-GCM).

    Args:
        keys: The keys, oldest first; the last one seals.
    """

    def __init__(self, keys: list[SealingKey]) -> None:
        self._keys = keys

    @classmethod
    def load(cls, path: Path) -> "Sealer":
        """Return a sealer whose keys are kept in a file (mode 0600), which is made if need be.

        Raises:
            ConfigError: The file is there and unreadable.
        """
        keys = [key for key in _read(path) if time.time() - key.made_at < KEY_MEMORY]
        if not keys or time.time() - keys[-1].made_at > KEY_LIFE:
            keys.append(SealingKey.make())
            _write(path, keys)
        return cls(keys)

    @classmethod
    def ephemeral(cls) -> "Sealer":
        """Return a sealer whose key dies with the process."""
        return cls([SealingKey.make()])

    def seal(self, state: Json, *, life: float) -> str:
        """Return sealed state.

        Args:
            state: Anything JSON.
            life: Seconds for which it can be opened.
        """
        key = self._keys[-1]
        nonce = os.urandom(_NONCE)
        text = json.dumps({"until": time.time() + life, "state": state}).encode()
        sealed = AESGCM(key.secret).encrypt(nonce, text, key.id)
        return base64.urlsafe_b64encode(key.id + nonce + sealed).decode().rstrip("=")

    def open(self, sealed: str) -> Json:
        """Return the state that was sealed.

        Raises:
            AccessError: It was not sealed here, was changed, or has expired.
        """
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            key = next(key for key in self._keys if key.id == raw[:_ID])
            nonce, body = raw[_ID : _ID + _NONCE], raw[_ID + _NONCE :]
            opened = json.loads(AESGCM(key.secret).decrypt(nonce, body, key.id))
        except (ValueError, StopIteration, InvalidTag) as error:
            raise AccessError("The request state is not one that this host gave out.") from error
        if opened["until"] < time.time():
            raise AccessError("The request state has expired.", next_step="Call again without it.")
        return opened["state"]


def _read(path: Path) -> list[SealingKey]:
    try:
        rows = json.loads(path.read_text())
        return [
            SealingKey(bytes.fromhex(row["id"]), bytes.fromhex(row["secret"]), row["made_at"])
            for row in rows
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The sealing keys cannot be read: {error}.",
            file=path,
            next_step="Delete the file: calls that wait for an answer then have to be made again.",
        ) from error


def _write(path: Path, keys: list[SealingKey]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    rows = [
        {"id": key.id.hex(), "secret": key.secret.hex(), "made_at": key.made_at} for key in keys
    ]
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(rows, file)
    draft.replace(path)
