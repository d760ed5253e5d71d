"""Where paths lead: what the states say, and that there are few of them."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.masking.automaton import Automaton, Paths, State
from lockgate.model import Mask, Show


def reach(automaton: Automaton, keys: list[str | int], length: int = 5) -> State:
    state = automaton.start
    for key in keys:
        state = automaton.reach(state, key, length)
    return state


def automaton(masks: list[str], *shows: list[str], any_case: bool = False) -> Automaton:
    given = [Show(tuple(paths), f"role/{number}") for number, paths in enumerate(shows)]
    return Automaton(Paths([Mask(path, "redact") for path in masks], given, any_case=any_case))


@pytest.mark.parametrize(
    ("shows", "keys", "expected"),
    [
        pytest.param([], ["a"], {"whole": True, "hidden": False}, id="no-shows"),
        pytest.param([["$.a.b"]], [], {"whole": False, "hidden": False, "named": True}, id="root"),
        pytest.param([["$.a.b"]], ["a"], {"whole": False, "hidden": False, "named": True}, id="on-the-way"),
        pytest.param([["$.a.b"]], ["a", "b", 3, "c"], {"whole": True, "hidden": False}, id="below"),
        pytest.param([["$.a.b"]], ["x"], {"hidden": True, "hider": "role/0"}, id="elsewhere"),
        pytest.param([["$..b"]], ["a"], {"hidden": False, "named": False}, id="deep"),
        pytest.param([["$.*.b"]], ["a"], {"hidden": False, "named": False}, id="wildcard"),
        pytest.param([["$.*.b", "$.a.c"]], ["a"], {"hidden": False, "named": True}, id="named-by-one-path"),
        pytest.param([["$.a"], ["$.a.b"]], ["a"], {"whole": False, "hidden": False, "hider": "role/1"}, id="two"),
        pytest.param([["$.a.c"], ["$.*.c"]], ["a"], {"hidden": False, "named": False}, id="named-by-one-show"),
        pytest.param([["$.a"], ["$.b"]], ["a"], {"hidden": True, "hider": "role/1"}, id="nothing-in-common"),
    ],
)
def test_shows(shows: list[list[str]], keys: list[str | int], expected: dict[str, Any]) -> None:
    state = reach(automaton([], *shows), keys)
    assert {name: getattr(state, name) for name in expected} == expected


def test_masks() -> None:
    masks = automaton(["$..a", "$.b[-1]"])
    assert reach(masks, ["x", "a"]).mask == Mask("$..a", "redact")
    assert reach(masks, ["b", 3]).mask is None
    assert reach(masks, ["b", 4]).mask == Mask("$.b[-1]", "redact")
    assert reach(automaton(["$.a"]), ["x"]).clear
    assert not reach(automaton(["$.a"]), ["x"]).masked_below


def test_any_case() -> None:
    assert reach(automaton(["$.Ab"], any_case=True), ["aB"]).mask
    assert not reach(automaton(["$.Ab"]), ["aB"]).mask


def test_names_that_no_path_has_lead_to_one_state() -> None:
    names = automaton(["$..a.b"], ["$.*.c", "$.*.d"])
    assert len({id(reach(names, [f"name-{number}"])) for number in range(100)}) == 1
    assert len({id(reach(names, ["x", number], 100)) for number in range(100)}) == 1
    items = automaton(["$.l[::2]", "$.l[5]"])
    assert len({id(reach(items, ["l", number], 100)) for number in range(100)}) == 3
