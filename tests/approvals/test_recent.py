from __future__ import annotations

from lockgate.approvals import recent
from lockgate.approvals.recent import Recent, RecentDecisions


def test_the_last_ten_the_latest_first() -> None:
    found = RecentDecisions()
    for number in range(15):
        found.note("iss", "agent", Recent(float(number), "allow", "GET", "crm", f"/{number}", "r/a"))
    assert [each.at for each in found.of("iss", "agent")] == [float(number) for number in range(14, 4, -1)]
    assert found.of("iss", "other") == ()


def test_callers_that_were_not_heard_of_for_longest_are_forgotten(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(recent, "MOST_CALLERS", 2)
    found = RecentDecisions()
    one = Recent(1.0, "deny", "GET", "crm", "/", None)
    for subject in ("a", "b", "a", "c"):
        found.note("iss", subject, one)
    assert [bool(found.of("iss", subject)) for subject in "abc"] == [True, False, True]
