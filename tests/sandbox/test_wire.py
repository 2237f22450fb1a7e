import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.sandbox.wire import (
    MAX_DEPTH,
    WORKER_FRAMES,
    FrameError,
    FrameReader,
    check_frame,
    pack,
    unpack,
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@given(values, st.integers(1, 7))
def test_frame_survives_the_wire_however_it_is_cut(value: Any, step: int):
    data = pack({"value": value}) + pack({"value": 2})
    reader = FrameReader(1 << 20)
    found = [
        unpack(payload)
        for start in range(0, len(data), step)
        for payload in reader.feed(data[start : start + step])
    ]
    assert found == [{"value": value}, {"value": 2}]


@given(st.binary(max_size=200))
def test_any_bytes_are_either_an_object_or_a_frame_error(data: bytes):
    try:
        frame = unpack(data)
    except FrameError:
        return
    assert json.loads(json.dumps(frame, ensure_ascii=False, allow_nan=False).encode()) == frame


@given(st.dictionaries(st.sampled_from(["t", "id", "value", "out", "op", "params"]), values))
def test_any_object_is_either_of_a_known_shape_or_a_frame_error(frame: dict[str, Any]):
    try:
        kind = check_frame(frame)
    except FrameError:
        return
    assert set(frame) == {"t", *WORKER_FRAMES[kind]}


@pytest.mark.parametrize("size", [0, 11, 1 << 31])
def test_announced_size_outside_the_limit_is_refused_before_the_bytes_come(size: int):
    with pytest.raises(FrameError, match="1 to 10 are allowed"):
        FrameReader(10).feed(size.to_bytes(4))


@pytest.mark.parametrize(
    "text",
    ["NaN", "[1, -Infinity]", "1e400", "9" * 400, '"\\ud800"', "[" * 100 + "]" * 100, "1 2", ""],
)
def test_value_that_cannot_be_handed_on_is_refused(text: str):
    with pytest.raises(FrameError):
        unpack(b'{"value":' + text.encode() + b"}")


def test_deepest_allowed_nesting_is_accepted():
    depth = MAX_DEPTH - 1
    text = '{"value":' + "[" * depth + "]" * depth + "}"
    assert unpack(text.encode())


def test_value_without_a_json_form_is_not_sent():
    with pytest.raises(ValueError, match="Out of range"):
        pack({"value": math.nan})


def test_truth_value_is_no_number():
    with pytest.raises(FrameError, match="truth value"):
        check_frame({"t": "result", "id": True, "value": 1, "out": ""})
