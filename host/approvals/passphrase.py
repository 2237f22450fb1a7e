"""The passphrase that answers from a terminal need, where one is set."""

import hashlib
import hmac
import json
import os
from pathlib import Path

from host.config.files import write_private
from host.domain.errors import AccessError, ConfigError

_COST, _BLOCK, _LANES = 1 << 14, 8, 1
"""Parameters of scrypt: 16 MB and some 50 ms for each guess."""


class Passphrase:
    """Kept as a salted, slow digest in the data folder.

    Args:
        file: Where.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of_user(cls, data_folder: Path) -> "Passphrase":
        """Return the passphrase of a data folder."""
        return cls(data_folder / "approvals-passphrase.json")

    @property
    def is_set(self) -> bool:
        """Whether answers need it."""
        return self._file.exists()

    def set(self, text: str) -> None:
        """Set it; an empty text removes it."""
        if not text:
            self._file.unlink(missing_ok=True)
            return
        salt = os.urandom(16)
        fields = {"salt": salt.hex(), "digest": _digest(text, salt).hex()}
        write_private(self._file, json.dumps(fields).encode())

    def check(self, text: str | None) -> None:
        """Raise AccessError where a passphrase is set and this is another one.

        Raises:
            ConfigError: The file is damaged; nobody can answer before it is repaired.
        """
        try:
            fields = json.loads(self._file.read_bytes())
            salt, digest = bytes.fromhex(fields["salt"]), bytes.fromhex(fields["digest"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"The passphrase of approvals cannot be read: {error}.",
                file=self._file,
                next_step="Delete the file and set the passphrase again.",
            ) from error
        if text is None or not hmac.compare_digest(_digest(text, salt), digest):
            raise AccessError(
                "The passphrase of approvals is missing or wrong.",
                next_step="Type the one that was set with `host approvals passphrase`.",
            )


def _digest(text: str, salt: bytes) -> bytes:
    return hashlib.scrypt(text.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES)
