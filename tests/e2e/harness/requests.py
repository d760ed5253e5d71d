"""Requests that hypothesis makes: of pieces that readers have disagreed about."""

from __future__ import annotations

from hypothesis import strategies as st

METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
PIECES = [
    "a",
    "B",
    "7",
    "~",
    "-",
    "_",
    ".",
    "..",
    "...",
    "!",
    "$",
    "&",
    "'",
    "(",
    ")",
    "*",
    "+",
    ",",
    "=",
    ":",
    "@",
    "%20",
    "%7e",
    "%41",
    "%2e",
    "%2E",
    "%2f",
    "%5c",
    "%3b",
    "%3f",
    "%23",
    "%25",
    "%26",
    "%2b",
    "%3d",
    "%c3%a9",
    "%C3%A9",
    "%e2%80%a8",
    "%EF%BC%8E",
    "%EF%BC%8F",
    "%e2%80%a5",
    "%ef%bb%bf",
    "%F0%9F%98%80",
    "%00",
    "%0a",
    "%ff",
    "%252e",
    "%",
    "%u0061",
    ";",
    "\\",
    "//",
    "|",
    '"',
    "<",
    "[",
    "]",
    "{",
    "^",
    "`",
    "é",
]
PLAIN = [*PIECES[:21], "%20", "%7e", "%41", "%25", "%26", "%2b", "%3d", "%c3%a9", "%F0%9F%98%80", "%ef%bb%bf"]


def _of(pieces: list[str], size: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=size).map("".join)


# Mostly what is let through, so that there is something to compare.
PATHS = st.lists(_of(PLAIN, 3) | _of(PIECES, 3), max_size=4).map(lambda parts: "/" + "/".join(parts))
# What a lenient target's paths are brought to one form from; as much of it as one has.
ODD = [
    "/",
    "//",
    ".",
    "..",
    "%2e",
    "%252e",
    "%2f",
    "%5C",
    "\\",
    "%252F",
    ";",
    ";x=/..",
    "%3b",
    "é",
    "[",
    " ",
    "..;",
    "%25",
]
ODD_PATHS = _of([*PLAIN, *ODD, *ODD], 10).map(lambda text: "/" + text)
QUERIES = st.lists(_of(PLAIN, 4) | _of(PIECES, 4), max_size=4).map("&".join)
FIELDS = st.lists(
    st.tuples(st.sampled_from(["x-a", "x-b", "accept", "content-type"]), st.sampled_from(["1", "a, b", '"q"', "é"])),
    max_size=3,
)
BODIES = st.one_of(
    st.just(b""), st.binary(max_size=40), st.just(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"), st.just(b"0\r\n\r\n")
)

# Forms: mostly well formed, with what readers have disagreed about in between.
URLENCODED = st.lists(
    st.lists(
        st.sampled_from(
            ["a", "b", "A", "=", "+", "%20", "%3D", "%26", "%2B", "%c3%a9", "[]", "[0]", ".", "%0a", ";", "%", "%ff"]
        ),
        min_size=1,
        max_size=4,
    ).map("".join),
    max_size=4,
).map(lambda fields: "&".join(field if "=" in field else f"{field}=1" for field in fields).encode())
_DISPOSITIONS = st.sampled_from(
    [
        'form-data; name="a"',
        'form-data; name="b"',
        'form-data;name="a"',
        "form-data; name=a",
        'FORM-DATA; NAME="a"',
        'form-data; name="a"; filename="f.txt"',
        'form-data; filename="f"; name="a"',
        'form-data; name="a"; filename=""',
        'form-data; name="a b"',
        'form-data; name="\u00e9"',
        'form-data; name="a%22b"',
        'form-data; name="a\\"b"',
        'form-data; name="a;b"',
        'form-data; name="a=b"',
        "form-data; name='a'",
        'form-data; name=""',
        'form-data; name="a"; name="b"',
        "form-data; name=\"a\"; name*=utf-8''b",
        'form-data; name="a"; x="y"',
        'attachment; name="a"',
        "form-data",
    ]
)
_HEADS = st.tuples(
    _DISPOSITIONS,
    st.sampled_from(
        ["", "", "\r\nContent-Type: text/plain", "\r\nContent-Type: text/plain; charset=utf-16", "\r\nX: 1"]
    ),
).map(lambda head: f"Content-Disposition: {head[0]}{head[1]}")
_CONTENTS = st.sampled_from(["", "1", "a\r\nb", "\r\n", "--", "--c", "-", "\n--b", "\r\n--b", "\u00e9", "\x00", "a b"])
_ENDS = st.sampled_from(["--b--", "--b--\r\n", "--b--\r\nx", "--b", "--b--x", ""])
MULTIPART = st.tuples(st.lists(st.tuples(_HEADS, _CONTENTS), max_size=3), _ENDS).map(
    lambda form: "".join([f"--b\r\n{head}\r\n\r\n{content}\r\n" for head, content in form[0]] + [form[1]]).encode()
)

# Bodies that a server may take for a request which does not read them.
_BLANKS = st.sampled_from([" ", "\t", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\r", "\n", "\0", ""])
LIKE_REQUESTS = st.tuples(
    st.lists(_BLANKS | st.just("\r\n"), max_size=2).map("".join),
    st.sampled_from(["GET", "DELETE", "-"]),
    _BLANKS,
    _BLANKS,
).map(lambda one: f"{one[0]}{one[1]}{one[2]}/smuggled{one[3]}HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))
