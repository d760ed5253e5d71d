"""The gateway's own credential: taken from its source, put onto the exchange, never onto the flow."""

from __future__ import annotations

import asyncio

from mitmproxy import http

from lockgate.credentials.registry import resolve_credential
from lockgate.errors import Refused, SecretUnavailable
from lockgate.exchange import exchange
from lockgate.refusals import Refusal

NOT_READY = Refusal(503, "The target's credential cannot be had.", "Tell the operator; nothing was sent.")


class Inject:
    """Resolves what `targets.yaml` names, only for the hosts that `credentials.yaml` allows."""

    async def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        assert found.target is not None and found.generation is not None
        if found.target.credential is None:
            return
        spec = found.generation.credentials[found.target.credential]
        try:
            if spec.source.kind == "env":
                found.credential = resolve_credential(spec, found.target.host)
            else:  # a file may lie on a disk that is slow or gone
                found.credential = await asyncio.to_thread(resolve_credential, spec, found.target.host)
        except SecretUnavailable:
            raise Refused(NOT_READY) from None
