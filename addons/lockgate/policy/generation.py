"""One generation of the rules: everything decided under one content of the rules directory. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lockgate.errors import Problem
from lockgate.model import CredentialSpec, GatewayConfig, Target
from lockgate.policy.rules import Policy


@dataclass(frozen=True, slots=True)
class Generation:
    """`id` is the SHA-256 (hex) of the canonical content; `files` is that content, by path within the directory.

    `targets` has each target by its name, once for each of its origins. `notes` are what its author may want to mend,
    though nothing is wrong.
    """

    id: str
    files: Mapping[str, bytes] = field(repr=False)
    gateway: GatewayConfig
    targets: Mapping[str, tuple[Target, ...]]
    credentials: Mapping[str, CredentialSpec]
    policy: Policy = field(repr=False)
    notes: tuple[Problem, ...] = field(default=(), repr=False)
    _origins: Mapping[tuple[str, str, int], Target] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        origins = {
            (target.scheme, target.host, target.port): target for each in self.targets.values() for target in each
        }
        object.__setattr__(self, "_origins", origins)

    def target_for(self, scheme: str, host: str, port: int) -> Target | None:
        """The target at exactly this origin; None where no target names it. Host names are compared in lower case."""
        return self._origins.get((scheme, host.lower(), port))
