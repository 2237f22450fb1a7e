import pytest

from host.telemetry.context import NO_CONTEXT, read_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{'a' * 32}-{'b' * 16}-00"


def test_a_request_without_context_costs_no_object():
    assert read_context({"progressToken": 1}, {"accept": "*/*"}) is NO_CONTEXT


def test_context_in_meta_is_passed_on_as_it_came():
    meta = {"traceparent": PARENT, "tracestate": "a=1, b=2", "baggage": "user=ada"}
    found = read_context(meta, {})
    assert (found.trace_id, found.span_id, found.carrier) == (TRACE, SPAN, meta)


def test_headers_stand_in_where_meta_says_nothing():
    found = read_context({"baggage": "a=1"}, {"traceparent": PARENT, "tracestate": "x=y"})
    assert found.trace_id == TRACE
    assert found.carrier == {"traceparent": PARENT, "tracestate": "x=y", "baggage": "a=1"}


def test_meta_comes_before_headers_and_the_other_context_is_kept_apart():
    found = read_context(
        {"traceparent": PARENT}, {"traceparent": OTHER, "tracestate": "x=y", "baggage": "b=1"}
    )
    assert found.carrier == {"traceparent": PARENT}
    assert found.other["traceparent"] == OTHER


@pytest.mark.parametrize(
    "broken",
    [
        PARENT.upper(),
        PARENT[:-1],
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT + "\r\nx-evil: 1",
        7,
        None,
        {"a": 1},
    ],
)
def test_a_broken_traceparent_reaches_no_header_and_voids_tracestate(broken: object):
    found = read_context({"traceparent": broken, "tracestate": "a=1", "baggage": "b=2"}, {})
    assert (found.trace_id, found.carrier) == (None, {"baggage": "b=2"})


@pytest.mark.parametrize("value", ["a=1\r\nx-evil: 1", "a=\x00", "ü=1", "", "a" * 8193])
def test_values_that_are_no_header_text_are_not_passed_on(value: str):
    assert read_context({"traceparent": PARENT, "baggage": value}, {}).carrier == {
        "traceparent": PARENT
    }
