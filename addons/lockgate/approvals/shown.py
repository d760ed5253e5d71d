"""A held request as a person sees it, and the digest of all that is shown. Pure.

It is made of what was redacted already, as for the record: what of it is secret, nobody sees.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence

from lockgate.approvals.approval import Approval, Shown
from lockgate.bodies.json import is_json
from lockgate.model import Mask, Show
from lockgate.policy.canonical import digest


def shown(
    method: str,
    url: str,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    masks: Sequence[Mask],
    shows: Sequence[Show],
    credential: str | None,
) -> Shown:
    """`headers` and `body` are redacted; `body` is decoded."""
    fields = tuple((name.decode("latin-1"), value.decode("utf-8", "backslashreplace")) for name, value in headers)
    kind = next((value for name, value in fields if name.lower() == "content-type"), None)
    about = [f"{mask.path or 'detect'}: {mask.kind}" + argument(mask) for mask in masks]
    about += [f"show only: {', '.join(each.paths)}" for each in shows]
    base = Shown(method=method, url=url, headers=fields, masks=tuple(about), credential=credential)
    return with_body(base, body, kind)


def with_body(base: Shown, body: bytes, kind: str | None) -> Shown:
    text, body_is = b64encode(body).decode(), "binary"
    if not body:
        text, body_is = "", "none"
    elif b"\0" not in body:
        try:
            text, body_is = body.decode("utf-8"), "json" if is_json(kind) else "text"
        except UnicodeDecodeError:
            pass  # shown as binary
    return Shown(
        method=base.method,
        url=base.url,
        headers=base.headers,
        body=text,
        body_is=body_is,  # type: ignore[arg-type]
        body_size=len(body),
        masks=base.masks,
        credential=base.credential,
    )


def argument(mask: Mask) -> str:
    return "" if mask.argument is None else f" {mask.argument}"


def shown_digest(draft: Approval) -> str:
    """That of all a person is shown before deciding: who asks for what, why it is held, what would be sent, and how
    the answer is masked.
    """
    return digest(
        [
            *(draft.id, draft.requester, draft.target, draft.action, draft.holds, draft.shown),
            *(draft.reason, draft.ahead, draft.fingerprint, draft.binding),
        ]
    )
