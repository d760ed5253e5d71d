"""Who asks for what: the one on whose behalf a request is sent, and the request's fingerprint."""

from __future__ import annotations

from lockgate.approvals.ahead import requester
from lockgate.approvals.approval import Requester
from lockgate.exchange import Exchange, Outgoing
from lockgate.policy import digests


def asker_of(found: Exchange) -> Requester:
    """Who asks, as the rules now in force read its token. Raises Refused where they cannot."""
    assert found.principal is not None and found.generation is not None
    return requester(found.principal, found.generation.gateway.approvals.requester)


def fingerprint_of(found: Exchange, outgoing: Outgoing) -> str:
    """The same for the same request sent again on behalf of the same. Raises Refused where nobody knows of whom."""
    assert found.principal is not None and found.target is not None
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in outgoing.headers]
    url = f"{found.target.scheme}://{found.target.authority}{outgoing.path}"
    body, message = outgoing.body, ""
    if found.message is not None:
        kind = "text" if found.message.is_text else "binary"
        body, message = found.message.content, f"{found.actions[0].verb} {kind}"
    return digests.fingerprint(found.principal, outgoing.method, url, fields, body, message, asker_of(found).behind)
