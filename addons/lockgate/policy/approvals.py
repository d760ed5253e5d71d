"""`approvals` of `gateway.yaml`, from checked entry to what the gateway works with. Pure."""

from __future__ import annotations

import os.path
from pathlib import Path

from lockgate import model
from lockgate.errors import Problem
from lockgate.masking import paths
from lockgate.model import Issuer
from lockgate.policy.credentials import placed
from lockgate.policy.documents import Document
from lockgate.policy.notify import notifier
from lockgate.policy.schema.approvals import ApprovalsEntry, PageTls, SignInEntry

SECTION = "approvals"


def approvals(
    entry: ApprovalsEntry, document: Document, issuers: dict[str, Issuer], directory: Path, problems: list[Problem]
) -> model.Approvals:
    """Appends what is wrong beyond the entry itself to `problems`."""
    if entry.requester is not None:
        try:
            paths.parse(entry.requester)
        except ValueError as error:
            problems.append(document.problem((SECTION, "requester"), str(error)))
    if taken := [each for each in issuers.values() if each.audience == entry.audience]:
        message = f"this is the audience of agents' tokens of {taken[0].issuer}: approvers' tokens need another"
        problems.append(document.problem((SECTION, "audience"), message))
    if entry.sign_in and entry.sign_in.issuer not in issuers:
        message = f"{entry.sign_in.issuer} is none of the issuers: add it to issuers, or name one of them"
        problems.append(document.problem((SECTION, "sign_in", "issuer"), message))
    if entry.dev and not any(each.dev for each in issuers.values()):
        message = "there is no development issuer: add `- dev: true` under issuers, or leave dev out"
        problems.append(document.problem((SECTION, "dev"), message))
    return model.Approvals(
        audience=entry.audience,
        wait=entry.wait,
        timeout=entry.timeout,
        listen=entry.listen,
        url=entry.url or default_url(entry),
        tls=files(entry.tls, directory) if entry.tls else None,
        dev=entry.dev,
        requester=entry.requester,
        sign_in=sign_in(entry.sign_in, directory) if entry.sign_in else None,
        pending=entry.pending,
        per_principal=entry.per_principal,
        body=entry.body,
        notify=tuple(notifier(each, directory) for each in entry.notify),
    )


def sign_in(entry: SignInEntry, directory: Path) -> model.SignIn:
    secret = placed(entry.client_secret, directory) if entry.client_secret else None
    return model.SignIn(entry.issuer, entry.client_id, secret, entry.scope)


def default_url(entry: ApprovalsEntry) -> str:
    if entry.listen is None:
        return ""
    host, port = entry.listen
    return f"{'https' if entry.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def files(entry: PageTls, directory: Path) -> tuple[Path, Path]:
    return Path(os.path.normpath(directory / entry.cert)), Path(os.path.normpath(directory / entry.key))
