import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.secrets.redaction import Redactor, dump_json

KEYS = {
    "openai": "sk-proj-abcdefghijklmnopqrstuvwxyz123456",
    "anthropic": "sk-ant-api03-abcdefghijklmnopqrstuvwxyz-1234_5678",
    "github": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github fine": "github_pat_11ABCDEFG0abcdefghijklmnop_qrstuvwxyz",
    "gitlab": "glpat-abcdefghijklmnopqrst",
    "slack": "xoxb-123456789012-abcdefghijkl",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": "AIzaSyA-abcdefghijklmnopqrstuvwxyz12345",
    "stripe": "sk_live_abcdefghijklmnop",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "hugging face": "hf_abcdefghijklmnopqrstuvwxyzabcd",
    "npm": "npm_abcdefghijklmnopqrstuvwxyzabcd123456",
    "vault": "hvs.abcdefghijklmnopqrstuvwx",
    "pem": '-----BEGIN RSA PRIVATE KEY-----\nMIIE"o\\wIB\n-----END RSA PRIVATE KEY-----',
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("text", ["{}", "x {} y", "line\n{}\n", '"{}"', "https://h/?q={}&r=1"])
def test_keys_of_known_shapes_disappear_and_json_stays_json(key: str, text: str):
    value = {"before": 1, "text": text.replace("{}", key), "after": ["kept"]}
    hidden = Redactor().redact_json(dump_json(value))
    assert "redacted" in hidden.decode()
    assert key[8:20].encode() not in hidden
    assert json.loads(hidden)["after"] == ["kept"]


def test_fields_named_like_secrets_lose_their_values_of_any_type_and_nesting():
    value = {
        "password": 'a"b\\',
        "db_password": 12345,
        "X-API-Key": {"deep": ["}", "]"]},
        "refresh_token": ["one", "two"],
        "nested": json.dumps({"client_secret": 'q"uo\\te', "inner": json.dumps({"pwd": "p\\w"})}),
        "max_tokens": 100,
        "nextPageToken": "page-2",
        "author": "ann",
        "password_hint": "pet",
        "token": None,
        "query": "user=ann&access_token=abcdef&page=2",
    }
    hidden = json.loads(Redactor().redact_json(dump_json(value)))
    nested = json.loads(hidden["nested"])
    assert hidden | {"nested": None} == {
        "password": "[redacted]",
        "db_password": "[redacted]",
        "X-API-Key": "[redacted]",
        "refresh_token": "[redacted]",
        "nested": None,
        "max_tokens": 100,
        "nextPageToken": "page-2",
        "author": "ann",
        "password_hint": "pet",
        "token": None,
        "query": "user=ann&access_token=[redacted]&page=2",
    }
    assert set(nested.values()) == {"[redacted]", nested["inner"]}
    assert json.loads(nested["inner"]) == {"pwd": "[redacted]"}


def test_declared_fields_are_hidden_however_they_are_joined():
    redactor = Redactor(fields=["card_number"])
    value = {"cardNumber": "4111", "card-number": "4111", "CARD_NUMBER": 4111, "card": "ace"}
    assert json.loads(redactor.redact_json(dump_json(value))) == {
        "cardNumber": "[redacted]",
        "card-number": "[redacted]",
        "CARD_NUMBER": "[redacted]",
        "card": "ace",
    }


def test_credentials_in_headers_and_addresses_are_hidden():
    redactor = Redactor()
    assert redactor.redact_text("Authorization: Bearer abcdef.ghijkl") == (
        "Authorization: [redacted]"
    )
    assert redactor.redact_text("got bearer abcdef123456") == "got bearer [redacted]"
    assert redactor.redact_text("postgres://ann:hush@h/db") == "postgres://ann:[redacted]@h/db"
    assert redactor.redact_text("a bearer certificate") == "a bearer certificate"


SECRET = st.text(min_size=8, max_size=40).filter(
    lambda text: len(set(text)) > 5 and text.strip() == text
)


@settings(max_examples=150, deadline=None)
@given(SECRET, st.text(max_size=30), st.text(max_size=30))
def test_a_declared_secret_is_never_left_in_any_text(secret: str, before: str, after: str):
    redactor = Redactor(secrets=[secret])
    for value in (before + secret + after, json.dumps({"a": [secret]}), {"k": {"n": secret}}):
        hidden = redactor.redact_json(dump_json(value))
        orjson.loads(hidden)
        assert dump_json(secret)[1:-1] not in hidden


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["password", "token=", 'x"key', "a\\secret", "n"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_recorded_is_one_line_of_json(value: object):
    redactor = Redactor(secrets=["nsecret", "\\n\\n\\n\\n"])
    hidden = redactor.redact_json(dump_json({"arguments": value}))
    assert b"\n" not in hidden
    orjson.loads(hidden)


@pytest.mark.parametrize("offset", range(-70, 10, 3))
def test_a_secret_at_the_cut_leaves_no_half_of_itself(offset: int):
    redactor = Redactor(secrets=["correct-horse-battery-staple"], limit=1000)
    for secret in ("correct-horse-battery-staple", *KEYS.values(), '"password":"correct-horse'):
        text = "." * (1000 + offset) + secret + "." * 9000
        kept = redactor.capped(text)
        assert isinstance(kept, dict)
        assert len(kept["cut"]) <= 1000
        tail = kept["cut"].rstrip(".").rpartition(".")[2]
        assert secret[:6] not in tail or "[redacted]" in tail


def test_many_secrets_before_the_cut_do_not_pull_a_half_one_into_view():
    redactor = Redactor(limit=1000)
    text = KEYS["pem"].replace("MIIE", "M" * 3000) + "." * 2050 + "ghp_" + "a" * 9000
    kept = redactor.capped(text)
    assert isinstance(kept, dict)
    assert "aaaa" not in kept["cut"]


def test_a_long_value_keeps_its_beginning_its_size_and_its_digest():
    kept = Redactor(limit=100).capped(["x" * 500])
    assert isinstance(kept, dict)
    assert kept["bytes"] == 504
    assert kept["cut"].startswith('["xxxx')
    assert len(kept["sha256"]) == 64


def test_values_that_json_cannot_say_are_recorded_as_near_as_can_be():
    cases = [
        ("\ud800", "?"),
        (2**80, float(2**80)),
        ({1: b"\xff"}, {"1": "\ufffd"}),
        (float("nan"), None),
    ]
    for value, said in cases:
        assert orjson.loads(dump_json(value)) == said
    assert orjson.loads(dump_json({object()})).startswith("{<object object")
