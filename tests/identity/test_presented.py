from __future__ import annotations

import copy
import pickle
from base64 import b64encode, urlsafe_b64encode
from dataclasses import asdict, dataclass
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import TokenRejected
from lockgate.identity.presented import Presented, read_presented

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl_-"


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def test_nothing_presented():
    assert read_presented([]) is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"Bearer {TOKEN}", id="bearer"),
        pytest.param(f"bEARER   {TOKEN} ", id="bearer-case-and-space"),
        pytest.param(basic(f"agent:{TOKEN}"), id="basic"),
        pytest.param(basic(f"agent:{TOKEN}").replace("Basic", "BASIC"), id="basic-case"),
        pytest.param(basic(f":{TOKEN}"), id="basic-without-user"),
    ],
)
def test_read(value):
    presented = read_presented([value])
    assert presented is not None
    assert (presented.token, presented.value) == (TOKEN, value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param([f"Bearer {TOKEN}"] * 2, "more than one", id="two-lines"),
        pytest.param(["", f"Bearer {TOKEN}"], "more than one", id="an-empty-line-too"),
        pytest.param([""], "empty", id="no-value"),
        pytest.param(["Bearer"], "empty", id="bearer-alone"),
        pytest.param(["Bearer "], "empty", id="bearer-and-space"),
        pytest.param(["Basic"], "empty", id="basic-alone"),
        pytest.param([basic("agent:")], "empty", id="basic-without-password"),
        pytest.param(["Bearer " + "x" * 45056], "too long", id="too-long"),
        pytest.param([f"Digest {TOKEN}"], "scheme not accepted", id="digest"),
        pytest.param([TOKEN], "scheme not accepted", id="token-alone"),
        pytest.param([f"Bearer:{TOKEN}"], "scheme not accepted", id="colon"),
        pytest.param([f"Bearer\t{TOKEN}"], "scheme not accepted", id="tab"),
        pytest.param([f"Bearer {TOKEN} {TOKEN}"], "malformed", id="two-tokens"),
        pytest.param([f"Bearer {TOKEN}, Bearer {TOKEN}"], "malformed", id="list"),
        pytest.param([f'Bearer "{TOKEN}"'], "malformed", id="quoted"),
        pytest.param(["Bearer tokén"], "malformed", id="not-ascii"),
        pytest.param(["Bearer a\nb"], "malformed", id="newline"),
        pytest.param(["Bearer a\0"], "malformed", id="nul"),
        pytest.param(["Basic !!!"], "malformed", id="no-base64"),
        pytest.param([basic(f"agent:{TOKEN}") + "\n"], "malformed", id="newline-behind"),
        pytest.param([basic(f"agent:{TOKEN}x").rstrip("=")], "malformed", id="unpadded"),
        pytest.param(["Basic YTpi\u0660"], "malformed", id="base64-not-ascii"),
        pytest.param(["Basic YTpiZB=="], "malformed", id="base64-with-spare-bits"),
        pytest.param([basic(TOKEN)], "malformed", id="no-colon"),
        pytest.param([basic("agent:tokén")], "malformed", id="basic-not-ascii"),
        pytest.param([basic(f"agent:x:{TOKEN}")], "malformed", id="two-colons"),
        pytest.param([basic("agent:a b")], "malformed", id="basic-space"),
    ],
)
def test_rejected(values, reason):
    with pytest.raises(TokenRejected) as caught:
        read_presented(values)
    assert caught.value.reason == reason
    assert caught.value.__cause__ is None


@given(st.text(max_size=40))
def test_any_value_is_read_or_rejected(value):
    for text in (value, f"Bearer {value}", f"Basic {value}"):
        try:
            presented = read_presented([text])
        except TokenRejected:
            continue
        assert presented is not None
        assert presented.token.isascii()


class TestSecrecy:
    presented = Presented(TOKEN, f"Bearer {TOKEN}")

    def test_prints_nothing(self):
        for text in (repr(self.presented), str(self.presented), f"{self.presented}", f"{self.presented!r:>40}"):
            assert TOKEN not in text
            assert "redacted" in text

    def test_is_neither_pickled_nor_copied(self):
        @dataclass
        class Holder:
            presented: Presented

        for act in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                act(self.presented)
        with pytest.raises(TypeError):
            asdict(Holder(self.presented))

    def test_equals_only_itself(self):
        assert self.presented != Presented(TOKEN, f"Bearer {TOKEN}")
        assert self.presented != TOKEN


def percent_all(data: bytes) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in data)


FORMS = [
    pytest.param(TOKEN.encode(), id="plain"),
    pytest.param(f'{{"t": "{TOKEN}"}}'.encode(), id="json"),
    pytest.param(b64encode(TOKEN.encode()), id="base64"),
    pytest.param(b64encode(f"agent:{TOKEN}".encode()), id="basic"),
    pytest.param(b64encode(f"ab:{TOKEN}".encode()), id="basic-another-offset"),
    pytest.param(b64encode(f"a:{TOKEN}".encode()), id="basic-third-offset"),
    pytest.param(urlsafe_b64encode(f"a:{TOKEN};".encode()), id="base64url"),
    pytest.param(quote(b64encode(f"a:{TOKEN}".encode()), safe="").encode(), id="base64-percent"),
    pytest.param(percent_all(b64encode(f"a:{TOKEN}".encode())), id="base64-percent-all"),
    pytest.param(TOKEN.replace(".", "%2E").encode(), id="percent"),
    pytest.param(TOKEN.replace(".", "%2e").encode(), id="percent-lower"),
    pytest.param(percent_all(TOKEN.encode()), id="percent-all"),
    pytest.param(("%zz%" + TOKEN.replace("_", "%5f")).encode(), id="percent-among-junk"),
]


class TestAppearsIn:
    presented = Presented(TOKEN, f"Bearer {TOKEN}")

    @pytest.mark.parametrize("data", FORMS)
    def test_found(self, data):
        assert self.presented.appears_in(b"before " + data + b" after")

    @given(before=st.binary(max_size=9), after=st.binary(max_size=9))
    def test_found_in_base64_of_anything(self, before, after):
        whole = before + TOKEN.encode() + after
        assert self.presented.appears_in(b64encode(whole))
        assert self.presented.appears_in(urlsafe_b64encode(whole))

    @pytest.mark.parametrize(
        "data", [b"", b"Bearer", TOKEN[:-1].encode(), TOKEN.upper().encode(), b64encode(TOKEN[1:].encode())], ids=repr
    )
    def test_not_found(self, data):
        assert not self.presented.appears_in(data)
        assert self.presented.scrub(data) == data


class TestScrub:
    presented = Presented(TOKEN, f"Bearer {TOKEN}")

    @pytest.mark.parametrize("data", FORMS)
    def test_removed(self, data):
        scrubbed = self.presented.scrub(b"before%20 " + data + b" %zz " + data + b" %41fter")
        assert not self.presented.appears_in(scrubbed)
        assert scrubbed.count(b"[redacted]") == 2
        assert scrubbed.startswith(b"before%20 ")
        assert scrubbed.endswith(b" %41fter")
        assert b" %zz " in scrubbed

    @given(data=st.data(), before=st.binary(max_size=9), after=st.binary(max_size=9))
    def test_any_mix_is_removed_and_nothing_else(self, data, before, after):
        ways = st.sampled_from(["{:c}", "%{:02x}", "%{:02X}"])
        mix = "".join(data.draw(ways).format(ord(character)) for character in TOKEN)
        around = before + b" ", b" " + after
        assert self.presented.scrub(mix.encode().join(around)) == b"[redacted]".join(around)
