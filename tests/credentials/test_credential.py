from __future__ import annotations

import copy
import html
import json
import pickle
from base64 import b64encode
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lockgate.credentials.credential import Credential, Signature, Signer
from lockgate.credentials.places import Places
from lockgate.errors import SecretUnavailable

SECRET = "s3cr/t+<k&y>='\"~?"
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)


@pytest.fixture
def in_header() -> Credential:
    return Credential("crm", SECRET, header=("X-Api-Key", SECRET))


@pytest.fixture
def in_query() -> Credential:
    return Credential("crm", SECRET, query="api_key")


def test_place(in_header, in_query):
    assert in_header.places == Places(headers=frozenset({"x-api-key"}))
    assert in_query.places == Places(parameters=frozenset({"api_key"}))


class TestHeader:
    def test_apply(self, in_header):
        headers = ((b"host", b"crm"), (b"accept", b"*/*"))
        assert in_header.apply("/a?b=c", headers) == ("/a?b=c", (*headers, (b"X-Api-Key", SECRET.encode())))
        assert headers == ((b"host", b"crm"), (b"accept", b"*/*"))

    def test_the_agents_own_are_replaced(self, in_header):
        headers = ((b"x-api-key", b"1"), (b"a", b"b"), (b"X-API-KEY", b"2"), (b"\xff", b"c"))
        kept = ((b"a", b"b"), (b"\xff", b"c"))
        assert in_header.apply("/", headers) == ("/", (*kept, (b"X-Api-Key", SECRET.encode())))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("", SECRET),
            ("X Key", SECRET),
            ("X-Key:", SECRET),
            ("X-Key\n", SECRET),
            ("X-Ké", SECRET),
            ("Host", SECRET),
            ("content-length", SECRET),
            ("Transfer-Encoding", SECRET),
            ("Proxy-Authorization", SECRET),
            ("X-Key", ""),
            ("X-Key", " " + SECRET),
            ("X-Key", SECRET + "\r\nX: y"),
            ("X-Key", "é" + SECRET),
        ],
    )
    def test_refused(self, name, value):
        with pytest.raises(SecretUnavailable, match="crm") as caught:
            Credential("crm", SECRET, header=(name, value))
        assert SECRET not in str(caught.value)


class TestQuery:
    @pytest.mark.parametrize(
        ("path", "before"),
        [
            ("/a", "/a?"),
            ("/a?", "/a?"),
            ("/a?b=c", "/a?b=c&"),
            ("/a?b=c&", "/a?b=c&"),
            ("/a?api_keys=1", "/a?api_keys=1&"),
            ("/a?api_key=1", "/a?"),
            ("/a?api_key", "/a?"),
            ("/a?b=c&API_KEY=1&d=%20", "/a?b=c&d=%20&"),
            ("/a?%61pi_key=1&b", "/a?b&"),
            ("/a?b=1;api_key=2;c=3", "/a?b=1;c=3&"),
            ("/a?+api_key=2", "/a?"),
        ],
    )
    def test_apply(self, in_query, path, before):
        applied, headers = in_query.apply(path, ((b"a", b"b"),))
        assert applied == f"{before}api_key={quote(SECRET, safe='')}"
        assert headers == ((b"a", b"b"),)

    def test_a_fragment_is_refused(self, in_query):
        with pytest.raises(ValueError, match="fragment"):
            in_query.apply("/a#b", ())

    def test_a_name_is_needed(self):
        with pytest.raises(SecretUnavailable, match="crm"):
            Credential("crm", SECRET)

    @given(secret=VISIBLE, name=VISIBLE)
    def test_a_target_reads_it_back(self, secret, name):
        path, _ = Credential("crm", secret, query=name).apply("/a?b=c", ())
        assert parse_qsl(path.partition("?")[2], strict_parsing=True) == [("b", "c"), (name, secret)]
        assert path.isascii()
        assert " " not in path


class TestSecrecy:
    def test_prints_nothing(self, in_header, in_query):
        for credential in (in_header, in_query):
            for text in (repr(credential), str(credential), f"{credential}", f"{[credential]}"):
                assert SECRET not in text
                assert "crm redacted" in text

    def test_is_neither_pickled_nor_copied(self, in_header):
        @dataclass
        class Holder:
            credential: Credential

        in_header.scrub(b"")
        for act in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                act(in_header)
        with pytest.raises(TypeError):
            asdict(Holder(in_header))
        with pytest.raises(TypeError):
            json.dumps(in_header)

    def test_does_not_change(self, in_header):
        with pytest.raises(AttributeError):
            in_header.name = "host"


class TestScrub:
    @pytest.mark.parametrize(
        "echo",
        [
            pytest.param(SECRET, id="plain"),
            pytest.param(quote(SECRET, safe=""), id="percent"),
            pytest.param(quote(SECRET, safe="").lower(), id="percent-lower"),
            pytest.param(json.dumps(SECRET)[1:-1], id="json"),
            pytest.param(json.dumps(SECRET)[1:-1].replace("/", "\\/"), id="json-slash"),
            pytest.param(html.escape(SECRET), id="html"),
            pytest.param(SECRET.replace("~", "%7E").replace("+", "\\u002B").replace("=", "&#61;"), id="mixed"),
            pytest.param(SECRET.encode().hex(), id="hex"),
            pytest.param(SECRET.encode("utf-16-be").decode(), id="utf-16"),
            pytest.param(b64encode(SECRET.encode()).decode(), id="base64"),
            pytest.param(b64encode(SECRET.encode()).decode().rstrip("="), id="base64-unpadded"),
        ],
    )
    def test_each_form(self, in_header, echo):
        data = f'{{"a": "{echo}", "b": "{echo}"}}'.encode()
        assert in_header.scrub(data) == (b'{"a": "[redacted]", "b": "[redacted]"}', 2)

    def test_basic_leaves_no_password(self):
        credential = Credential("crm", SECRET, header=("Authorization", "Basic x"), user="gateway")
        pair = f"gateway:{SECRET}"
        data = b" ".join([pair.encode(), b64encode(pair.encode()), SECRET.encode(), b"gateway"])
        assert credential.scrub(data) == (b"gateway:[redacted] [redacted] [redacted] gateway", 3)

    def test_within_other_base64(self, in_header):
        encoded = b64encode(b"another-user:" + SECRET.encode() + b":more")
        scrubbed, count = in_header.scrub(encoded)
        assert count == 1
        assert b"[redacted]" in scrubbed

    def test_nothing_to_do(self, in_header):
        data = b"nothing of the kind" * 100
        assert in_header.scrub(data) == (data, 0)
        assert in_header.scrub(b"") == (b"", 0)

    @given(secret=VISIBLE, before=st.binary(max_size=9), after=st.binary(max_size=9))
    def test_no_literal_is_left(self, secret, before, after):
        assume(secret not in "[redacted]")
        credential = Credential("crm", secret, header=("X-Key", secret))
        scrubbed, count = credential.scrub(before + secret.encode() + after)
        assert count >= 1
        assert secret.encode() not in scrubbed

    @given(secret=VISIBLE, data=st.data())
    def test_no_piece_of_any_mix_is_left(self, secret, data):
        assume(sum(secret.count(introducer) for introducer in "%\\&") <= 6)
        ways = st.sampled_from(["{:c}", "%{:02x}", "%{:02X}", "\\u{:04x}", "\\u{:04X}", "&#{:d};", "&#x{:04X};"])
        echo = "".join(data.draw(ways).format(ord(character)) for character in secret)
        credential = Credential("crm", secret, header=("X-Key", secret))
        scrubbed, count = credential.scrub(f'{{"a": "{echo}"}} {secret} <{echo}>'.encode())
        assert count == 3
        assert not any(secret[start : start + 8].encode() in scrubbed for start in range(len(secret) - 7))


class Fixed(Signer):
    """Signs everything alike."""

    def sign(self, request, now):
        return Signature(self, "0123456789abcdef", [("X-Key", SECRET), ("X-Signature", "v1=0123456789abcdef")])


class TestSignature:
    PLACES = Places(frozenset({"x-key", "x-signature"}), frozenset({"signature"}))

    @pytest.fixture
    def signer(self) -> Fixed:
        return Fixed("crm", self.PLACES, (SECRET, "another-secret"))

    def test_apply(self, signer):
        headers = ((b"host", b"crm"), (b"X-SIGNATURE", b"mine"))
        applied = signer.sign(None, 0.0).apply("/a?b=c&Signature=mine", headers)
        kept = ((b"host", b"crm"), (b"X-Key", SECRET.encode()), (b"X-Signature", b"v1=0123456789abcdef"))
        assert applied == ("/a?b=c", kept)

    def test_scrub(self, signer):
        signature = signer.sign(None, 0.0)
        data = f"{SECRET} v1=0123456789abcdef another-secret 0123456789abcdefg".encode()
        assert signature.scrub(data) == (b"[redacted] v1=[redacted] [redacted] [redacted]g", 4)
        assert signer.scrub(data)[1] == 2

    def test_prints_nothing(self, signer):
        for secretive in (signer, signer.sign(None, 0.0)):
            assert SECRET not in repr(secretive) + str([secretive])
            assert "0123456789" not in repr(secretive)
            for act in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError):
                    act(secretive)
            with pytest.raises(AttributeError):
                secretive.places = Places()

    @pytest.mark.parametrize("field", [("Host", "x"), ("X-Key", "a\r\nb"), ("X-Key", ""), ("", "x")])
    def test_refused(self, signer, field):
        with pytest.raises(SecretUnavailable, match="crm"):
            Signature(signer, "0123456789abcdef", [field])
