from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from lockgate.recordings.chain import START, Fault, Kind, Link, Seen, seal, see, verify
from lockgate.recordings.dump import loads
from lockgate.recordings.tnetstring import dumps


def record(number: int, content: str = "") -> dict[str, object]:
    return {"id": f"flow-{number}{content}", "metadata": {"lockgate": {"version": 1}}}


def sealed(states: list[dict[str, object]], start: Link = START) -> list[bytes]:
    result, link = [], start
    for state in states:
        data, link = seal(state, link)
        result.append(data)
    return result


def check(records: Sequence[bytes], start: Link | None = START, *heads: Link) -> Fault | None:
    return verify(lambda: map(see, records), start, heads)


@pytest.fixture
def records() -> list[bytes]:
    return sealed([record(number) for number in range(1, 7)])


def test_a_record_links_to_the_one_before(records: list[bytes]) -> None:
    first, second = (loads(data)["metadata"]["lockgate"]["chain"] for data in records[:2])
    assert first["number"] == 1
    assert first["previous"] == "0" * 64
    assert second == {"number": 2, "previous": first["hash"], "hash": second["hash"]}
    assert len(second["hash"]) == 64


def test_sealing_leaves_the_state_as_it_is() -> None:
    state = record(1)
    seal(state, START)
    assert state == record(1)


def test_an_untouched_chain_has_no_fault(records: list[bytes]) -> None:
    assert check(records) is None
    assert check([]) is None


def forged(records: list[bytes]) -> bytes:
    """A record that fits behind the second and is intact, as whoever knows the format would write it."""
    link = loads(records[1])["metadata"]["lockgate"]["chain"]
    return seal(record(9), Link(link["number"], link["hash"]))[0]


def rewritten(records: list[bytes]) -> bytes:
    link = loads(records[1])["metadata"]["lockgate"]["chain"]
    return seal(record(3, "!"), Link(link["number"], link["hash"]))[0]


@pytest.mark.parametrize(
    ("tamper", "kind", "index"),
    [
        pytest.param(lambda r: [*r[:2], r[2].replace(b"flow-3", b"flow-x"), *r[3:]], Kind.ALTERED, 2, id="altered"),
        pytest.param(lambda r: [r[0].replace(b"flow-1", b"flow-x"), *r[1:]], Kind.ALTERED, 0, id="altered-first"),
        pytest.param(lambda r: [*r[:5], r[5].replace(b"flow-6", b"flow-x")], Kind.ALTERED, 5, id="altered-last"),
        pytest.param(lambda r: [*r[:2], rewritten(r), *r[3:]], Kind.ALTERED, 2, id="altered-and-hashed-anew"),
        pytest.param(lambda r: [*r[:2], b"junk", *r[3:]], Kind.ALTERED, 2, id="unreadable"),
        pytest.param(lambda r: [*r[:2], *r[3:]], Kind.REMOVED, 2, id="removed"),
        pytest.param(lambda r: r[1:], Kind.REMOVED, 0, id="removed-first"),
        pytest.param(lambda r: [*r[:1], *r[4:]], Kind.REMOVED, 1, id="removed-several"),
        pytest.param(lambda r: [*r[:2], r[3], r[2], *r[4:]], Kind.REORDERED, 2, id="swapped"),
        pytest.param(lambda r: [*r[3:], *r[:3]], Kind.REORDERED, 0, id="halves-swapped"),
        pytest.param(lambda r: [*r[:2], r[5], *r[2:5]], Kind.REORDERED, 2, id="last-moved-forward"),
        pytest.param(lambda r: [*r[:3], r[1], *r[3:]], Kind.INSERTED, 3, id="copied"),
        pytest.param(lambda r: [*r[:2], forged(r), *r[2:]], Kind.INSERTED, 2, id="forged"),
        pytest.param(lambda r: [*r[:2], dumps(record(9)), *r[2:]], Kind.INSERTED, 2, id="inserted-without-a-place"),
        pytest.param(lambda r: [*r[:2], dumps({"id": "x"}), *r[2:]], Kind.INSERTED, 2, id="inserted-stock-flow"),
    ],
)
def test_tampering_is_named(records: list[bytes], tamper, kind: Kind, index: int) -> None:
    fault = check(tamper(records))
    assert fault is not None
    assert (fault.kind, fault.index) == (kind, index), fault.detail


def test_every_altered_byte_is_found(records: list[bytes]) -> None:
    """Whatever one byte becomes: also where the meaning stays the same, as in `05:` for `5:`."""
    data = records[2]
    for position in range(len(data)):
        for change in (0x01, 0x20, 0x80):
            altered = data[:position] + bytes([data[position] ^ change]) + data[position + 1 :]
            fault = check([*records[:2], altered, *records[3:]])
            assert fault is not None, (position, change)
            assert fault.index == 2, (position, change)


def test_the_head_noted_elsewhere_tells_what_the_chain_cannot(records: list[bytes]) -> None:
    chain = loads(records[5])["metadata"]["lockgate"]["chain"]
    head = Link(6, chain["hash"])
    assert check(records, START, head) is None
    missing = check(records[:4], START, head)
    assert missing is not None
    assert (missing.kind, missing.detail) == (Kind.REMOVED, "records 5 to 6 are missing at the end")
    anew = sealed([record(number, "!") for number in range(1, 7)])
    assert check(anew) is None
    rewritten_whole = check(anew, START, head)
    assert rewritten_whole is not None
    assert rewritten_whole.kind is Kind.ALTERED


def test_any_start_will_do_when_older_records_were_moved_away(records: list[bytes]) -> None:
    rest = records[3:]
    assert check(rest, None) is None
    fault = check(rest, START)
    assert fault is not None
    assert fault.detail == "records 1 to 3 are missing before it"
    gap = check([rest[0], rest[2]], None)
    assert gap is not None
    assert gap.detail == "record 5 is missing before it"


@pytest.mark.parametrize(
    "text",
    [b"", b"1", b"1:", b"x:" + b"a" * 64, b"1:" + b"A" * 64, b"1:" + b"a" * 63, b"1:\xff" + b"a" * 63],
)
def test_a_link_is_read_strictly(text: bytes) -> None:
    with pytest.raises(ValueError):
        Link.decode(text)


def test_a_link_is_read_as_it_is_written() -> None:
    link = Link(12, "ab" * 32)
    assert Link.decode(link.encode()) == link
    assert str(link) == "12:" + "ab" * 32


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param({"number": "1", "previous": "", "hash": ""}, id="number-as-text"),
        pytest.param({"number": True, "previous": "", "hash": ""}, id="number-as-boolean"),
        pytest.param({"number": 1, "previous": b"", "hash": ""}, id="bytes"),
        pytest.param({"number": 1, "hash": ""}, id="no-previous"),
        pytest.param([], id="a-list"),
    ],
)
def test_a_place_of_another_type_is_none(chain: object) -> None:
    state = {"metadata": {"lockgate": {"chain": chain}}}
    assert see(dumps(state)).link is None


@pytest.mark.parametrize("size", [0, 1, 30, 100, 900, 1000, 9_900, 99_900])
def test_whatever_its_size_a_record_has_the_hash_that_it_states(size: int) -> None:
    """Without its hash a length may have one digit less, in each of the dictionaries around it."""
    for more in range(80):
        data, link = seal({"id": "x", "body": b"x" * (size + more), "metadata": {"lockgate": {"event": "stop"}}}, START)
        found = see(data)
        assert (found.link, found.intact, found.event) == (link, True, "stop")


def test_a_record_with_a_member_twice_is_none() -> None:
    data, _ = seal(record(1), START)
    inner = data[data.index(b":") + 1 : -1]
    twice = inner + b"2:id,1:x;".replace(b",", b";")
    assert not see(b"%d:%b}" % (len(twice), twice)).readable


def test_the_records_are_gone_through_once() -> None:
    """However many there are, none of them is kept."""
    count, asked = 2000, 0
    data, link = seal(record(1), START)
    records = [data]
    for number in range(2, count):
        data, link = seal(record(number), link)
        records.append(data)

    def read() -> Iterator[Seen]:
        nonlocal asked
        for each in records:
            asked += 1
            yield see(each)

    assert verify(read) is None
    assert asked == count - 1
