import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared import inbound

from host.domain.header import decode_header_value, encode_header_value


@given(st.text())
def test_a_value_survives_the_header_as_the_reference_sdk_writes_it(value: str):
    try:
        expected = inbound.encode_header_value(value)
    except UnicodeEncodeError:
        return
    assert encode_header_value(value) == expected
    assert decode_header_value(expected) == value


@pytest.mark.parametrize(
    "text", ["=?base64?@@?=", "=?base64?YR==?=", "=?base64?/w==?=", "plain", "=?base64?YQ==?="]
)
def test_a_header_is_read_as_the_reference_sdk_reads_it(text: str):
    assert decode_header_value(text) == inbound.decode_header_value(text)
