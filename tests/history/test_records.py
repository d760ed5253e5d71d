from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.io import tnetstring

from harness.past import Asked, states
from lockgate.history.records import past
from lockgate.policy.generation import Generation
from lockgate.recordings.dump import event_state, in_written_order
from lockgate.recordings.tnetstring import dumps

URL = "https://api.crm.example/v1/customers/7?a=1"


@pytest.fixture(scope="module")
def state(rules: Generation) -> dict[str, Any]:
    (found,) = states(rules, [Asked("GET", URL, fields=(("x-a", "b"),))])
    return found


def test_a_request(state: dict[str, Any]) -> None:
    found = past(dumps(state))
    assert found is not None
    assert (found.id, found.method, found.url) == (
        "r0",
        "GET",
        ("https", "api.crm.example", 443, "/v1/customers/7?a=1"),
    )
    assert ("x-a", "b") in found.headers
    assert found.decision == in_written_order(state["metadata"]["lockgate"]["decision"])
    assert (found.approved, found.message) == (frozenset(), None)
    assert found.generation == state["metadata"]["lockgate"]["generation"]


def test_what_is_no_request_is_none(state: dict[str, Any]) -> None:
    assert past(dumps(event_state("start", {}, 0.0))) is None
    assert past(dumps({**state, "metadata": {}})) is None
    assert past(dumps({**state, "type": "tcp"})) is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="cut"),
        pytest.param(lambda data: data + b"x", id="longer"),
        pytest.param(lambda data: b"5:hello,", id="no-dictionary"),
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: b"999999999999:" + data, id="a-length-too-large"),
        pytest.param(lambda data: data.replace(b"7:request;", b"7:request,"), id="a-name-that-is-none"),
        pytest.param(lambda data: data.replace(b"6:method;3:GET,", b"6:method;3:GET~"), id="another-type"),
        pytest.param(lambda data: data.replace(b"4:port;3:443#", b"4:port;3:4x3#"), id="no-number"),
    ],
)
def test_damage_is_no_record(state: dict[str, Any], damage: Any) -> None:
    with pytest.raises(ValueError):
        past(damage(dumps(state)))


@pytest.mark.parametrize("depth", [100_000])
def test_depth_is_no_record(depth: int) -> None:
    data = b"0:]"
    for _ in range(depth // 100):
        data = b"%d:%b]" % (len(data), data)
    with pytest.raises(ValueError, match="not a record"):
        past(dumps({"type": "http"}).replace(b"4:http;", data))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        past(data)
    except ValueError:
        pass


JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_LIKE, st.sampled_from(["principal", "decision", "actions", "masks", "approval", "request_id"]))
def test_whatever_a_member_is_it_is_read_as_mitmproxy_reads_it_or_no_record(
    state: dict[str, Any], value: Any, name: str
) -> None:
    said = {**state["metadata"]["lockgate"], name: value}
    data = dumps({**state, "metadata": {"lockgate": said}})
    found = past(data)
    assert found is not None
    assert found.said[name] == tnetstring.loads(data)["metadata"]["lockgate"][name]
    assert isinstance(found.approved, frozenset)
    assert found.decision is None or isinstance(found.decision, dict)
