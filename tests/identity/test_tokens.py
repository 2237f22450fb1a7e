import datetime as dt
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.domain.errors import AccessError, ConfigError, NotFoundError
from host.domain.principal import Principal
from host.identity.tokens import TokenStore, generate_token, is_token


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "data" / "tokens.json")


def test_a_token_stands_for_the_client_it_was_made_for(store: TokenStore):
    token = store.create("cursor", role="approver", attended=True)
    assert store.verify(token) == Principal("local", "cursor", role="approver", attended=True)


def test_an_unknown_token_stands_for_nobody(store: TokenStore):
    store.create("cursor")
    assert store.verify(generate_token()) is None
    assert store.verify("") is None
    assert store.verify("host_ünicode\ud800"[:-1]) is None


def test_the_file_holds_no_token_and_is_private(store: TokenStore):
    token = store.create("cursor")
    assert token not in store.file.read_text()
    assert token[5:20] not in store.file.read_text()
    assert stat.S_IMODE(store.file.stat().st_mode) == 0o600


def test_a_revoked_token_is_refused_at_once_by_every_store(store: TokenStore):
    other = TokenStore(store.file)
    token = store.create("cursor")
    assert other.verify(token) is not None
    store.revoke("cursor")
    assert other.verify(token) is None
    assert store.verify(token) is None


def test_revoking_an_unknown_name_lists_the_nearest(store: TokenStore):
    store.create("cursor")
    with pytest.raises(NotFoundError, match="cursor"):
        store.revoke("curser")


def test_an_expired_token_is_refused(store: TokenStore):
    token = store.create("cursor", lifetime=dt.timedelta(seconds=-1))
    assert store.verify(token) is None
    assert store.verify(store.create("other", lifetime=dt.timedelta(days=1))) is not None


def test_a_taken_or_illegal_name_is_refused(store: TokenStore):
    old = store.create("cursor")
    with pytest.raises(AccessError, match="already a token"):
        store.create("cursor")
    with pytest.raises(AccessError, match="a-b"):
        store.create("A B")
    new = store.create("cursor", replace=True)
    assert store.verify(old) is None
    assert store.verify(new) is not None


def test_last_use_is_written_when_asked(store: TokenStore):
    token = store.create("cursor")
    assert store.records()[0].last_used is None
    store.verify(token)
    store.save_last_used()
    assert store.records()[0].last_used is not None
    assert store.verify(token) is not None


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"{}", b'[{"name": 1}]', b"[" * 10_000])
def test_a_damaged_file_lets_nobody_in_and_says_so(store: TokenStore, content: bytes):
    token = store.create("cursor")
    store.file.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged"):
        store.verify(token)


def test_tokens_made_by_many_processes_at_once_are_all_kept(store: TokenStore):
    code = (
        "import sys; from pathlib import Path; from host.identity.tokens import TokenStore\n"
        "store = TokenStore(Path(sys.argv[1]))\n"
        "for n in range(10): store.create(f'{sys.argv[2]}-{n}')\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    children = [
        subprocess.Popen([sys.executable, "-c", code, store.file, f"c{n}"], env=environ)
        for n in range(4)
    ]
    assert [child.wait(60) for child in children] == [0] * 4
    assert len({record.name for record in store.records()}) == 40
    assert json.loads(store.file.read_text())


@settings(deadline=None)
@given(st.integers(5, 53), st.sampled_from("abc019XYZ"))
def test_a_mistyped_token_fails_its_checksum(position: int, character: str):
    token = generate_token()
    assert is_token(token)
    wrong = token[:position] + character + token[position + 1 :]
    assert is_token(wrong) == (wrong == token)
