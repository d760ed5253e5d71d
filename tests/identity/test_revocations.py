"""What is revoked: whom an entry is about, and a file that is looked at before everything."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from lockgate.errors import RevocationsUnavailable
from lockgate.identity.revocations import FILE, FRESH, Revocation, Revocations, change
from lockgate.model import Principal

ADA = Principal("https://login.example", "ada", ("support", "reader"), 2e9, "token-1", {})


def revoke(directory: Path, *entries: Revocation, now: float = 0.0) -> None:
    change(directory, now, lambda held: [*held, *entries])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "about"),
    [
        pytest.param({"jti": "token-1"}, True, id="her token"),
        pytest.param({"jti": "token-2"}, False, id="another token"),
        pytest.param({"subject": "ada"}, True, id="she"),
        pytest.param({"subject": "Ada"}, False, id="another subject"),
        pytest.param({"subject": "ada", "issuer": "https://login.example"}, True, id="she of this issuer"),
        pytest.param({"subject": "ada", "issuer": "https://other.example"}, False, id="she of another issuer"),
        pytest.param({"role": "reader"}, True, id="a role of hers"),
        pytest.param({"role": "admin"}, False, id="another role"),
        pytest.param({"target": "crm"}, True, id="the target"),
        pytest.param({"target": "wiki"}, False, id="another target"),
        pytest.param({"role": "support", "target": "crm"}, True, id="a role at the target"),
        pytest.param({"role": "support", "target": "wiki"}, False, id="a role at another target"),
        pytest.param({"subject": "ben", "target": "crm"}, False, id="another subject at the target"),
    ],
)
def test_whom_an_entry_is_about(place: Path, named: dict[str, str], about: bool) -> None:
    revoke(place, Revocation("a1", 0.0, **named))
    assert (Revocations(place).find(ADA, "crm", 1.0) is not None) is about


def test_one_at_a_target_is_not_about_the_caller_as_such(place: Path) -> None:
    revoke(place, Revocation("a1", 0.0, role="support", target="crm"))
    assert Revocations(place).find(ADA, None, 1.0) is None


def test_it_counts_at_once_and_until_it_ends(place: Path) -> None:
    revocations = Revocations(place)
    assert revocations.find(ADA, None, 1.0) is None
    revoke(place, Revocation("a1", 0.0, subject="ada", until=100.0))
    assert revocations.find(ADA, None, 99.9) is not None
    assert revocations.find(ADA, None, 100.0) is None


def test_one_that_is_lifted_counts_no_more(place: Path) -> None:
    revocations = Revocations(place)
    revoke(place, Revocation("a1", 0.0, subject="ada"), Revocation("b2", 0.0, role="admin"))
    assert revocations.find(ADA, None, 1.0) is not None
    change(place, 1.0, lambda held: [each for each in held if each.id != "a1"])
    assert revocations.find(ADA, None, 2.0) is None


def test_what_has_ended_leaves_the_file(place: Path) -> None:
    revoke(place, Revocation("a1", 0.0, subject="ada", until=100.0))
    assert change(place, 200.0, lambda held: held) == ()


def test_every_change_is_told_once(place: Path) -> None:
    told: list[int] = []
    revocations = Revocations(place, lambda entries: told.append(len(entries)))
    revoke(place, Revocation("a1", 0.0, subject="ben"))
    for _ in range(3):
        revocations.find(ADA, None, 1.0)
    revoke(place, Revocation("b2", 0.0, subject="cora"))
    revocations.find(ADA, None, 2.0)
    assert told == [1, 2]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"revocations": {}}', id="no list of entries"),
        pytest.param(b'{"revocations": [{"id": "a1", "at": 0}]}', id="about nothing"),
        pytest.param(b'{"revocations": [{"id": "a1", "at": 0, "sub": "ada"}]}', id="an unknown key"),
        pytest.param(b'{"revocations": [{"id": "a1", "at": 0, "subject": ["ada"]}]}', id="no text"),
        pytest.param(b'{"revocations": [{"id": "a1", "at": true, "subject": "ada"}]}', id="no time"),
        pytest.param(b'{"revocations": [], "revocations": []}', id="a key twice"),
    ],
)
def test_a_file_that_cannot_be_read_lets_nobody_through(place: Path, content: bytes) -> None:
    (place / FILE).write_bytes(content)
    (place / FILE).chmod(0o600)
    revocations = Revocations(place)
    for _ in range(2):
        with pytest.raises(RevocationsUnavailable):
            revocations.find(ADA, None, 1.0)


def test_a_file_that_others_can_write_lets_nobody_through(place: Path) -> None:
    revoke(place, Revocation("a1", 0.0, subject="ben"))
    (place / FILE).chmod(0o666)
    with pytest.raises(RevocationsUnavailable, match="0600"):
        Revocations(place).find(ADA, None, 1.0)


def test_a_file_that_is_gone_lets_nobody_through(place: Path) -> None:
    """What was revoked is not known any more; whoever deletes the file does not bring an access back."""
    revocations = Revocations(place)
    revoke(place, Revocation("a1", 0.0, subject="ada"))
    assert revocations.find(ADA, None, 1.0) is not None
    (place / FILE).unlink()
    for _ in range(2):
        with pytest.raises(RevocationsUnavailable):
            revocations.find(ADA, None, 2.0)


def test_changes_at_the_same_time_are_all_kept(place: Path) -> None:
    threads = [
        Thread(target=revoke, args=(place, Revocation(f"{number}", 0.0, subject=f"s{number}"))) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(change(place, 0.0, lambda held: held)) == 8


def test_the_file_is_the_owners_alone(place: Path) -> None:
    revoke(place, Revocation("a1", 0.0, subject="ada", reason="ticket"))
    assert (place / FILE).stat().st_mode & 0o777 == 0o600


def test_what_the_gateway_could_not_read_is_not_written(place: Path) -> None:
    revoke(place, Revocation("a1", 0.0, subject="ada"))
    with pytest.raises(ValueError, match="shorter reasons"):
        revoke(place, *(Revocation(f"{number}", 0.0, subject="ben", reason="x" * 100_000) for number in range(90)))
    assert [each.id for each in change(place, 0.0, lambda held: held)] == ["a1"]


def test_a_directory_of_another_user_is_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as another user than the gateway it would write what the gateway does not take."""
    monkeypatch.setattr("os.geteuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="another user"):
        revoke(place, Revocation("a1", 0.0, subject="ada"))
    assert list(place.iterdir()) == []


def test_the_file_is_looked_at_again_after_a_millisecond(place: Path) -> None:
    revocations = Revocations(place)
    assert revocations.find(ADA, None, 1.0) is None
    revoke(place, Revocation("a1", 0.0, subject="ada"))
    assert revocations.find(ADA, None, 1.0 + 2 * FRESH) is not None


def test_a_clock_that_is_put_back_does_not_keep_it_from_looking(place: Path) -> None:
    revocations = Revocations(place)
    assert revocations.find(ADA, None, 1000.0) is None
    revoke(place, Revocation("a1", 0.0, subject="ada"))
    assert revocations.find(ADA, None, 1.0) is not None
