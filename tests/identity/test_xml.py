from __future__ import annotations

import pytest

from lockgate.identity import xml


def test_a_document() -> None:
    root = xml.parse(b'<?xml version="1.0"?><!-- metadata may have comments --><a b="c">d &amp; e</a>')
    assert (root.tag, root.get("b"), root.text) == ("a", "c", "d & e")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<a>", id="unclosed"),
        pytest.param(b"<a/><b/>", id="two-roots"),
        pytest.param(b"<a b='1' b='2'/>", id="same-attribute-twice"),
        pytest.param(b"<a>\xff</a>", id="not-utf-8"),
        pytest.param("<a/>".encode("utf-16"), id="utf-16"),
        pytest.param(b'<?xml version="1.0" encoding="utf-7"?><a>\xff</a>', id="another-encoding"),
        pytest.param(b"<!DOCTYPE a><a/>", id="doctype"),
        pytest.param(b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", id="external-dtd"),
        pytest.param(b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", id="entity"),
        pytest.param(b"<!DOCTYPE a [<!ENTITY % e SYSTEM 'file:///etc/passwd'>%e;]><a/>", id="parameter-entity"),
        pytest.param(b"<a>&nbsp;</a>", id="undefined-entity"),
        pytest.param(b"<a>&#0;</a>", id="nul"),
    ],
)
def test_what_is_no_document(content: bytes) -> None:
    with pytest.raises(ValueError):
        xml.parse(content)
    with pytest.raises(ValueError):
        xml.parse_message(content, 10, 10)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"<a><!-- --></a>", id="comment"),
        pytest.param(b"<!-- --><a/>", id="comment-in-front"),
        pytest.param(b"<a/><!-- -->", id="comment-behind"),
        pytest.param(b"<a><![CDATA[x]]></a>", id="cdata"),
        pytest.param(b"<a><?x y?></a>", id="instruction"),
        pytest.param(b'<?xml version="1.0"?><?x y?><a/>', id="instruction-in-front"),
        pytest.param(b"<a>" + b"<b/>" * 10 + b"</a>", id="many"),
        pytest.param(b"<a>" * 6 + b"</a>" * 6, id="deep"),
    ],
)
def test_what_strangers_may_not_send(content: bytes) -> None:
    xml.parse(content)
    with pytest.raises(ValueError):
        xml.parse_message(content, 10, 5)


def test_what_strangers_may_send() -> None:
    content = b'<?xml version="1.0" encoding="UTF-8"?>\n<a>' + b"<b/>" * 5 + b"<c><d><e/></d></c>x &lt;!-- </a>"
    assert len(xml.parse_message(content, 9, 4)) == 6


@pytest.mark.parametrize(
    ("instant", "seconds"),
    [
        pytest.param("2027-01-15T08:00:00Z", 1_800_000_000.0, id="whole"),
        pytest.param("2027-01-15T08:00:00.500Z", 1_800_000_000.5, id="fraction"),
        pytest.param("1970-01-01T00:00:00Z", 0.0, id="epoch"),
    ],
)
def test_instants(instant: str, seconds: float) -> None:
    assert xml.seconds(instant) == seconds


@pytest.mark.parametrize(
    "instant",
    [
        "",
        "2027-01-15T08:00:00",
        "2027-01-15T08:00:00+00:00",
        "2027-01-15",
        "2027-13-15T08:00:00Z",
        "2027-01-15 08:00:00Z",
    ],
)
def test_what_is_no_instant(instant: str) -> None:
    with pytest.raises(ValueError):
        xml.seconds(instant)


def test_an_element_alone_keeps_its_namespaces() -> None:
    root = xml.parse(b'<a xmlns:x="urn:x"><b c="x:y"/>tail</a>')
    assert xml.alone(root[0]) == b'<b xmlns:x="urn:x" c="x:y"/>'
