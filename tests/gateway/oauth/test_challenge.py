import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.gateway.oauth.challenge import BearerChallenge, parse_challenge


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, BearerChallenge()),
        ("", BearerChallenge()),
        ("Bearer", BearerChallenge()),
        ('Basic realm="x"', BearerChallenge()),
        ('Bearer scope="a b"', BearerChallenge(scopes=("a", "b"))),
        ("bearer SCOPE=a", BearerChallenge(scopes=("a",))),
        ('Basic realm="Bearer scope=evil", Bearer error="x"', BearerChallenge(error="x")),
        ('Bearer error="x", Basic scope="evil"', BearerChallenge(error="x")),
        ('Bearer x_scope="evil", scope="a a"', BearerChallenge(scopes=("a",))),
        ('Bearer scope="a", scope="evil"', BearerChallenge(scopes=("a",))),
        (r'Bearer error="a\"b"', BearerChallenge(error='a"b')),
        (
            'Bearer resource_metadata="https://a.example/x?y=1,2", error=invalid_token',
            BearerChallenge("invalid_token", (), "https://a.example/x?y=1,2"),
        ),
    ],
)
def test_bearer_challenge_is_read(header: str | None, expected: BearerChallenge):
    assert parse_challenge(header) == expected


@given(st.text())
def test_any_header_is_read_without_failing(header: str):
    found = parse_challenge(f"Bearer {header}")
    assert isinstance(found, BearerChallenge)
