"""gRPC over HTTP/2: one action as of any HTTP request, POST on the method's path. Messages are opaque. Pure.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import re

from lockgate.actions.head import Fields, values
from lockgate.errors import Refused, RequestUnreadable
from lockgate.refusals import Refusal

CONTENT_TYPE = re.compile(r"application/grpc(\+(proto|json))?")
METHOD = re.compile(r"/[A-Za-z_][A-Za-z0-9_.]*/[A-Za-z_][A-Za-z0-9_]*")
UNCOMPRESSED = {"identity"}

NO_CALL = Refusal(415, "The target takes gRPC calls only.", "Send application/grpc over HTTP/2.")
COMPRESSED = Refusal(415, "Compressed messages are not accepted.", "Send them with grpc-encoding: identity.")


def is_call(content_type: str | None) -> bool:
    """Whether a request with this content type is a gRPC call, whose client reads gRPC's status only."""
    return content_type is not None and CONTENT_TYPE.fullmatch(content_type.lower()) is not None


def require_call(method: str, raw_path: str, http_version: str, fields: Fields) -> None:
    """Raise RequestUnreadable or Refused for what is no plain call: a compressed message could hold anything, and its
    status comes in trailers, which only HTTP/2 carries here.
    """
    kinds = values(fields, "content-type")
    if http_version != "HTTP/2.0" or len(kinds) != 1 or not is_call(kinds[0]):
        raise Refused(NO_CALL)
    if method != "POST":
        raise RequestUnreadable("a gRPC call is a POST")
    if not METHOD.fullmatch(raw_path):
        raise RequestUnreadable("the path is not /Service/Method")
    if not set(values(fields, "grpc-encoding")) <= UNCOMPRESSED:
        raise Refused(COMPRESSED)
