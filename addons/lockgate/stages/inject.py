"""The gateway's own credential: taken from its source, put onto the exchange, never onto the flow."""

from __future__ import annotations

from mitmproxy import http

from lockgate.errors import Refused, SecretUnavailable
from lockgate.exchange import exchange
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime

NOT_READY = Refusal(503, "The target's credential cannot be had.", "Tell the operator; nothing was sent.")


class Inject:
    """Obtains what `targets.yaml` names, only for the hosts that `credentials.yaml` allows."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        target, generation = found.target, found.generation
        assert target is not None and generation is not None
        try:
            if target.tls.client_cert is not None:
                spec = generation.credentials[target.tls.client_cert]
                found.certificate = await self._runtime.credentials.certificate(spec, target)
            if target.credential is not None:
                spec = generation.credentials[target.credential]
                found.credential = await self._runtime.credentials.get(spec, target)
        except SecretUnavailable:
            raise Refused(NOT_READY) from None
