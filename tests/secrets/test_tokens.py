import os
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import keyring.backend
import keyring.errors
import pytest
from pydantic import SecretStr
from typing_extensions import override

from host.secrets.tokens import ClientRecord, KeyringVault, TokenRecord, TokenStore

ROOT = Path(__file__).parents[2]
RECORD = TokenRecord(
    resource="https://tools.example/mcp",
    issuer="https://login.example",
    token_endpoint="https://login.example/token",  # noqa: S106 - an address
    client=ClientRecord(client_id="host", client_secret=SecretStr("hush-client")),
    access_token=SecretStr("hush-access"),
    refresh_token=SecretStr("hush-refresh"),
    expires_at=1.5,
    scopes=("read",),
)
KEY = TokenStore.key("docs", "https://tools.example/mcp")


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring that can be locked."""

    priority = 5  # pyright: ignore[reportAssignmentType]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    @override
    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    @override
    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.KeyringError
        self.entries[service, username] = password

    @override
    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


def files_with(folder: Path, text: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text in p.read_text()]


def test_record_comes_back_as_it_was_saved(tmp_path: Path):
    store = TokenStore(tmp_path / "oauth")
    assert anyio.run(store.load, KEY) is None
    assert anyio.run(store.save, KEY, RECORD) == "file"
    assert anyio.run(TokenStore(tmp_path / "oauth").load, KEY) == RECORD


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_files_are_for_their_owner_alone(tmp_path: Path):
    before = os.umask(0)
    try:
        anyio.run(TokenStore(tmp_path / "oauth").save, KEY, RECORD)
    finally:
        os.umask(before)
    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "oauth").rglob("*")}
    assert modes
    assert all(mode & 0o077 == 0 for mode in modes.values())
    assert stat.S_IMODE((tmp_path / "oauth").stat().st_mode) == 0o700


def test_keyring_holds_the_record_and_no_file_does(tmp_path: Path):
    ring = MemoryKeyring()
    store = TokenStore(tmp_path, keyring_vault=KeyringVault(ring))
    assert anyio.run(store.save, KEY, RECORD) == "keyring"
    assert files_with(tmp_path, "hush") == []
    assert anyio.run(store.load, KEY) == RECORD
    anyio.run(store.delete, KEY)
    assert ring.entries == {}


def test_locked_keyring_gives_way_to_a_file_until_it_opens(tmp_path: Path):
    ring = MemoryKeyring()
    store = TokenStore(tmp_path, keyring_vault=KeyringVault(ring))
    ring.locked = True
    assert anyio.run(store.save, KEY, RECORD) == "file"
    assert anyio.run(store.load, KEY) == RECORD
    ring.locked = False
    assert anyio.run(store.save, KEY, RECORD) == "keyring"
    assert files_with(tmp_path, "hush") == []


def test_each_change_shows_to_other_processes(tmp_path: Path):
    store, marks = TokenStore(tmp_path), [TokenStore(tmp_path).mark(KEY)]
    for _ in range(3):
        anyio.run(store.save, KEY, RECORD)
        marks.append(TokenStore(tmp_path).mark(KEY))
    anyio.run(store.delete, KEY)
    marks.append(TokenStore(tmp_path).mark(KEY))
    assert len(set(marks)) == 5
    assert anyio.run(store.load, KEY) is None


def test_damaged_record_counts_as_none_and_is_not_shown(tmp_path: Path):
    store = TokenStore(tmp_path)
    anyio.run(store.save, KEY, RECORD)
    for file in files_with(tmp_path, "hush"):
        file.write_text(file.read_text().replace("resource", "hush-broken"))
    assert anyio.run(store.load, KEY) is None


def test_secrets_stay_out_of_every_text_form():
    shown = f"{RECORD!r} {RECORD} {RECORD.model_dump()} {RECORD.client!r}"
    assert "hush" not in shown


def test_name_and_address_of_a_server_cannot_be_shifted_into_each_other():
    keys = {
        TokenStore.key("docs", "https://a.example/mcp"),
        TokenStore.key("docs", "https://b.example/mcp"),
        TokenStore.key("do/cs", "https://a.example/mcp"),
        TokenStore.key("do_cs", "https://a.example/mcp"),
    }
    assert len(keys) == 4
    assert all("/" not in key and "." not in key for key in keys)


HOLDER = """
import sys, anyio
from pathlib import Path
from host.secrets.tokens import TokenStore
async def hold():
    async with TokenStore(Path(sys.argv[1])).locked("k"):
        print("held", flush=True)
        sys.stdin.read()
anyio.run(hold)
"""


def test_lock_holds_between_processes_and_ends_with_a_killed_one(tmp_path: Path):
    async def take() -> bool:
        with anyio.move_on_after(0.2) as scope:
            async with TokenStore(tmp_path).locked("k"):
                return True
        return not scope.cancelled_caught

    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert not anyio.run(take)
        holder.kill()
    assert anyio.run(take)
