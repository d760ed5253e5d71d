"""Where in a request credentials stand: header fields and query parameters, in which the agent has nothing to put."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_plus

from lockgate.model import CredentialSpec, HmacKey

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Names of header fields and of query parameters, in lower case."""

    headers: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()

    def strip(self, path: str, headers: Fields) -> tuple[str, Fields]:
        """`path` (origin form, with the query) and `headers` without anything in these places."""
        kept = tuple(field for field in headers if field[0].lower().decode("latin-1") not in self.headers)
        return self.strip_path(path), kept

    def strip_path(self, path: str) -> str:
        return without_parameters(path, self.parameters) if self.parameters else path


# What an agent's own client signs with. AWS takes a signature from the query as well as from the head.
AWS = Places(
    frozenset({"authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-s3session-token", "x-amz-security-token"}),
    frozenset(
        {
            "x-amz-algorithm",
            "x-amz-content-sha256",
            "x-amz-credential",
            "x-amz-date",
            "x-amz-expires",
            "x-amz-s3session-token",
            "x-amz-security-token",
            "x-amz-signature",
            "x-amz-signedheaders",
        }
    ),
)


def places_of(spec: CredentialSpec) -> Places:
    """The places that the credential of an entry takes."""
    if spec.kind == "query":
        return Places(parameters=frozenset({spec.field.lower()}))
    if spec.kind == "header":
        return Places(frozenset({spec.field.lower()}))
    if spec.kind == "aws":
        return AWS
    if isinstance(spec.source, HmacKey):
        return Places(frozenset(name.lower() for name, _ in spec.source.headers))
    return Places(frozenset({"authorization"}))


def without_parameters(path: str, names: frozenset[str]) -> str:
    """`path` without the query parameters that a target may read as one of `names`, which are in lower case: in any
    letter case, `&` or `;` between.
    """
    route, mark, query = path.partition("?")
    if not mark:
        return path
    kept = []
    for part in query.split("&"):
        pieces = [piece for piece in part.split(";") if name_of(piece) not in names]
        if pieces:
            kept.append(";".join(pieces))
    return f"{route}?{'&'.join(kept)}" if kept else route


def name_of(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0]).strip().lower()
