from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockgate.recordings.exports.entry import Leaving, entry_of
from lockgate.recordings.exports.selection import Selection
from lockgate.recordings.files import Record


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        pytest.param({}, True, id="everything"),
        pytest.param({"since": "2023-11-14T22:13:20+00:00"}, True, id="since"),
        pytest.param({"since": "2023-11-14T23:13:21+01:00"}, False, id="later, in another zone"),
        pytest.param({"until": "2023-11-14T22:13:20+00:00"}, False, id="until"),
        pytest.param({"role": "support", "target": "crm", "verdict": "allow"}, True, id="all of several"),
        pytest.param({"role": "support", "target": "ledger"}, False, id="one of several"),
        pytest.param({"subject": "agent-7", "rule": "support/some-rule"}, True, id="who and why"),
        pytest.param({"status": "2xx"}, True, id="class"),
        pytest.param({"status": "201"}, False, id="status"),
    ],
)
def test_filters(make_record: Callable[..., Record], filters: dict[str, str], fits: bool) -> None:
    selection = Selection(**filters)
    assert selection.match(entry_of(make_record(), Leaving())) is fits
    assert Selection.of(selection.document()) == selection


@pytest.mark.parametrize(
    "document", [None, [], {"colour": "red"}, {"role": 1}, {"since": "2023-11-14"}, {"since": "x"}]
)
def test_filters_that_are_none(document: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Selection.of(document)
