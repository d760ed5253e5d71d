"""The product at a glance: the stages in order. A request walks down the list, its answer walks down it too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lockgate.proxy.gateway import Gateway
from lockgate.runtime import Runtime
from lockgate.stages.approve import Approve
from lockgate.stages.decide import Decide
from lockgate.stages.identify import Identify
from lockgate.stages.inject import Inject
from lockgate.stages.limit import Limit
from lockgate.stages.local import Local
from lockgate.stages.mask import Mask
from lockgate.stages.read import Read
from lockgate.stages.record import Record
from lockgate.stages.seal import Seal


def stages(runtime: Runtime) -> tuple[Any, ...]:
    """Every stage, in the order mitmproxy walks them, for every hook."""
    return (
        Identify(runtime),  # who: token to principal
        Limit(),  # how much of it at once: connections, requests, bytes kept
        Local(runtime),  # the gateway's own answers, on its reserved host
        Read(),  # what: request to target, actions and facts, in one canonical form
        Decide(runtime),  # may they: actions and facts to a decision
        Approve(runtime),  # a decision to hold waits for a person
        Inject(runtime),  # the gateway's own credential, onto the exchange
        Mask(runtime),  # sensitive values out of the answer
        Record(runtime),  # the intent before the request is sent, the flow when it is over
        Seal(),  # freezes what may pass the doors
    )


def build(make: Callable[[Runtime], Sequence[Any]] = stages) -> list[Any]:
    """The addons to hand to mitmproxy: `addons = build()` in a script."""
    runtime = Runtime()
    return [Gateway(runtime, make(runtime))]


addons = build()
