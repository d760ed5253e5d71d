"""A grant that is asked for ahead: of a rule that holds, at a target, for a time. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lockgate.approvals.approval import Approval, Requester, Shown, State
from lockgate.approvals.shown import shown_digest
from lockgate.errors import Refused
from lockgate.masking import paths
from lockgate.model import Principal
from lockgate.policy import digests
from lockgate.policy.canonical import digest
from lockgate.policy.generation import Generation
from lockgate.policy.rules import Rule
from lockgate.refusals import Refusal

USAGE = "POST /approvals?rule=ROLE/ID&target=TARGET&for=1h&reason=WHY"
ASKED = frozenset({"rule", "target", "for", "reason"})
PERIOD = re.compile(r"([1-9][0-9]{0,5})([smhd])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_REASON = 500  # characters
UNNAMED = Refusal(403, "The token says in no way that is known on whose behalf it asks.", "Tell the operator.")


def asked_ahead(
    asker: Requester,
    principal: Principal,
    generation: Generation,
    query: Mapping[str, tuple[str, ...]],
    now: float,
    new_id: str,
) -> Approval:
    """What persons are asked, by the parameters of a request of `principal`.

    Raises Refused: they are not as they should be, or the rule is none that holds this caller's requests there, or
    takes no grant of that length.
    """
    if not query.keys() <= ASKED or not {"rule", "target", "for"} <= query.keys() or any(map(several, query.values())):
        raise Refused(Refusal(400, f"What is asked for is not clear. Write {USAGE}.", "Send each parameter once."))
    name, target, period = (query[key][0] for key in ("rule", "target", "for"))
    reason = query.get("reason", ("",))[0]
    found = PERIOD.fullmatch(period)
    if found is None or len(reason) > LONGEST_REASON:
        detail = f"A grant is for a time as 10m or 1h, with a reason of {LONGEST_REASON} characters at most."
        raise Refused(Refusal(400, detail, f"Write {USAGE}."))
    seconds = float(found[1]) * UNITS[found[2]]
    rule = rule_of(principal, generation, name, target)
    if rule is None or rule.hold is None:
        detail = f"There is no rule {name} that holds requests of this caller at {target}."
        raise Refused(Refusal(404, detail, "A refusal of a held request names its rule."))
    if seconds > rule.hold.max_grant:
        most = f"{rule.hold.max_grant:g} seconds at most" if rule.hold.max_grant else "no time at all"
        raise Refused(Refusal(403, f"The rule {name} takes grants for {most}.", "Ask for less.", name))
    timeout = rule.hold.timeout or generation.gateway.approvals.timeout
    bound_to = digests.grant_binding(generation, rule.hold, target, asker.behind)
    draft = Approval(
        id=new_id,
        revision=1,
        state=State.PENDING,
        asked_at=now,
        expires_at=now + timeout,
        requester=asker,
        fingerprint=digest(
            ["ahead", asker.issuer, asker.subject, sorted(asker.roles), asker.behind, name, target, seconds]
        ),
        binding=bound_to,
        digest="",
        generation=generation.id,
        target=target,
        action=("", ""),
        holds=(rule.hold,),
        shown=Shown(),
        reason=reason,
        ahead=seconds,
        grantable=((name, bound_to),),
    )
    return replace(draft, digest=shown_digest(draft))


def requester(principal: Principal, path: str | None) -> Requester:
    """Who asks, and whom a path over the claims of the token names as being behind it: a text or number, or a list.

    Raises Refused where it is something else: nobody knows who may not approve it then.
    """
    named = [name for each in paths.find(path, principal.claims) for name in names(each)] if path else []
    return Requester(
        issuer=principal.issuer,
        subject=principal.subject,
        roles=principal.roles,
        token_id=principal.token_id,
        behind=tuple((principal.issuer, name) for name in named),
    )


def names(claim: Any) -> Iterator[str]:
    if isinstance(claim, list):
        for each in claim:
            yield from names(each)
    elif isinstance(claim, str) or (isinstance(claim, (int, float)) and not isinstance(claim, bool)):
        yield str(claim)
    else:
        raise Refused(UNNAMED)


def several(values: tuple[str, ...]) -> bool:
    return len(values) > 1


def rule_of(principal: Principal, generation: Generation, name: str, target: str) -> Rule | None:
    """The rule of this name that is about the target and binds the principal."""
    policy = generation.policy
    rules = (rule for owner in policy.owners(principal.roles) for rule in policy.rules.get(owner, ()))
    named = (rule for rule in rules if rule.name == name)
    return next((rule for rule in named if any(target in line.targets for line in rule.lines)), None)
