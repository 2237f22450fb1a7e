import json
from typing import Any

import pytest

from host.audit.record import Intent, Outcome, encode_record
from host.domain.principal import Principal
from host.secrets.declared import declares_secrets, find_declared
from host.secrets.redaction import Redactor

ANN = Principal("ann", "cursor")
KEY = "sk-proj-abcdefghijklmnop"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"password": "hunter2"}, {"hunter2"}),
        ({"nested": [{"api_key": "k-12345"}]}, {"k-12345"}),
        ({"credentials": {"user": "annie", "pin": 48213}}, {"annie", "48213"}),
        ({"body": json.dumps({"password": 'in"ner'})}, {'in"ner', r"in\"ner"}),
        ({"text": f"use {KEY} here"}, {KEY}),
        ({"url": "https://ann:pw-9876@example.com/"}, {"pw-9876"}),
        ({"header": "Authorization: Bearer abc12345678"}, {"Bearer abc12345678", "abc12345678"}),
        ({"text": "nothing of the kind", "token": ""}, set[str]()),
    ],
)
def test_secrets_are_found_where_arguments_show_them(arguments: Any, found: set[str]):
    assert Redactor().secrets_in(arguments) == found


def test_a_secret_of_the_arguments_is_hidden_wherever_the_result_repeats_it():
    redactor = Redactor()
    outcome = Outcome(
        call_id="c",
        principal=ANN,
        outcome="ok",
        error_message="login as hunter2 failed",
        result={"text": "You sent hunter2.", "long": "x" * 20_000 + "hunter2"},
        hidden=redactor.secrets_in({"password": "hunter2"}),
    )
    line = encode_record(outcome, redactor)
    assert b"hunter2" not in line
    assert line.count(b"[redacted]") == 2
    other = Outcome(call_id="d", principal=ANN, outcome="ok", result={"text": "hunter2"})
    assert b"hunter2" in encode_record(other, redactor)  # it was a secret of one call only


def test_secrets_that_a_schema_declares_are_hidden_whatever_they_are_called():
    schema = {
        "type": "object",
        "properties": {
            "pin": {"type": "string", "format": "password"},
            "inner": {"anyOf": [{"properties": {"seed": {"writeOnly": True}}}, {"type": "null"}]},
            "rows": {"type": "array", "items": {"type": "string", "format": "password"}},
            "plain": {"type": "string"},
        },
    }
    arguments = {"pin": "48213", "inner": {"seed": "apple"}, "rows": ["pear"], "plain": "plum"}
    assert declares_secrets(schema)
    assert not declares_secrets({"properties": {"plain": {"type": "string"}}})
    hidden = frozenset(find_declared(schema, arguments))
    assert hidden == {"48213", "apple", "pear"}
    intent = Intent(
        call_id="c",
        principal=ANN,
        face="cli",
        method="tools/call",
        arguments=arguments,
        hidden=hidden,
    )
    line = json.loads(encode_record(intent, Redactor()))
    assert line["arguments"] == {
        "pin": "[redacted]",
        "inner": {"seed": "[redacted]"},
        "rows": ["[redacted]"],
        "plain": "plum",
    }
