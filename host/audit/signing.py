"""Signs the heads of chains with a key of this machine (Ed25519), and tells forgeries.

The attack: whoever owns the database rewrites a chain from some line to its end, which leaves
every digest right. They cannot sign, and the signed heads are not in the database.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from host.config.files import lock_file, write_private
from host.domain.errors import ConfigError
from host.domain.jsonrpc import Json

MarkKind = Literal["head", "anchor", "export"]
"""`head`: a chain was this long; `anchor`: what is up to here was dropped; `export`: a file."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a chain that is signed.

    Attributes:
        kind: What it says.
        writer: Whose chain.
        sequence: Which line.
        digest: Of that line, which stands for all before it.
        at: When it was signed, microseconds since 1970, UTC.
        signature: In hexadecimal, over the other fields.
    """

    kind: MarkKind
    writer: str
    sequence: int
    digest: str
    at: int
    signature: str = ""

    def message(self) -> bytes:
        """Return what is signed."""
        fields = [self.kind, self.writer, self.sequence, self.digest, self.at]
        return b"mcp-agent-host audit mark\n" + json.dumps(fields).encode()

    def as_json(self) -> Json:
        """Return it as it is kept."""
        return asdict(self)


def parse_mark(fields: Json) -> Mark | None:
    """Return a mark as it was kept; None for anything else."""
    numbers = [fields.get(name) for name in ("sequence", "at")]
    texts = [fields.get(name) for name in ("kind", "writer", "digest", "signature")]
    if not all(isinstance(each, int) for each in numbers):
        return None
    if not all(isinstance(each, str) for each in texts):
        return None
    return Mark(**{name: fields[name] for name in Mark.__slots__})


class MarkSigner:
    """Signs marks.

    Args:
        key: The private key.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, file: Path) -> "MarkSigner":
        """Return the signer of a machine; its key is made when it is first needed.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        with lock_file(file):
            if not file.exists():
                key = Ed25519PrivateKey.generate()
                write_private(file, key.private_bytes_raw().hex())
        try:
            return cls(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(file.read_text())))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The key that signs the record cannot be read: {error}.",
                file=file,
                next_step="Put it back from a backup. Move it away to begin with a new one; what "
                "the old one signed is then reported by `host audit verify`.",
            ) from error

    @property
    def public(self) -> str:
        """The public key, in hexadecimal."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, mark: Mark) -> Mark:
        """Return a mark with its signature."""
        return replace(mark, signature=self._key.sign(mark.message()).hex())


def is_genuine(mark: Mark, public: str) -> bool:
    """Whether a mark was signed with a key, and not changed since."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(mark.signature), mark.message())
    except (ValueError, InvalidSignature):
        return False
    return True
