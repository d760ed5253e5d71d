"""The story of one request, line by line: who, what, which rules with what they read, and what came of it. Pure.

Whatever an agent wrote is made visible: no line has control or bidirectional characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.bodies.visible import visible
from lockgate.recordings.summary import mapping, moment, projection, summary


def story(state: Mapping[str, Any], lockgate: Mapping[str, Any] | None = None) -> Iterator[str]:
    """One `name: value` a line, members without a value left out; then each rule that fitted.

    `lockgate` is what the gateway says of a flow that is not recorded yet.
    """
    said = projection(state) if lockgate is None else lockgate
    for name, value in facts(state, said).items():
        if value not in (None, "", 0):
            yield f"{name + ':':<12}{visible(str(value))}"
    yield from considered(said)


def facts(state: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    row = summary({**state, "metadata": {"lockgate": said}})
    principal, decision = mapping(said.get("principal")), mapping(said.get("decision"))
    refusal, chain = mapping(said.get("refusal")), mapping(said.get("chain"))
    return {
        "id": row["id"],
        "flow": state["id"] if state["id"] != row["id"] else None,
        "time": moment(row["time"]).replace("+00:00", "Z"),
        "event": said.get("event"),
        "who": principal.get("subject"),
        "issuer": principal.get("issuer"),
        "roles": ", ".join(map(str, row["roles"])),
        "token": principal.get("token_id"),
        "claims": as_json(principal.get("claims")),
        "client": said.get("client"),
        "target": said.get("target"),
        "actions": "; ".join(" ".join(map(str, action)) for action in row["actions"]),
        "verdict": decision.get("verdict"),
        "rule": decision.get("rule"),
        "reason": decision.get("reason"),
        "decided at": said.get("decided_at"),
        "approval": approval(mapping(said.get("approval"))),
        "refused": f"{refusal.get('status')} {refusal.get('detail')}" if refusal else None,
        "stage": said.get("stage"),
        "sent": {True: "yes", False: "no"}.get(said.get("sent", "")),
        "upstream": said.get("upstream_status"),
        "error": row["error"],
        "masked": listed(said.get("masks")),
        "scrubbed": said.get("scrubbed"),
        "injected": ", ".join(map(str, said.get("injected") or ())),
        "recorded": said.get("recorded"),
        "redacted": listed({side: ", ".join(found) for side, found in mapping(said.get("redacted")).items()}),
        "streamed": listed(said.get("streamed")),
        "truncated": listed(said.get("truncated"), " bytes"),
        "withheld": listed(said.get("withheld")),
        "decoded": listed(said.get("decoded")),
        "repaired": listed(said.get("repaired")),
        "replayed": said.get("replayed"),
        "timings": listed(said.get("timings"), " ms"),
        "took": f"{row['took']} ms" if row["took"] is not None else None,
        "generation": said.get("generation"),
        "fingerprint": said.get("fingerprint"),
        **{f"{side[:3]} {end[:4]}": value for side, end, value in digests(said)},
        "record": chain.get("number"),
    }


def digests(said: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for side, ends in mapping(said.get("digests")).items():
        for end, value in mapping(ends).items():
            yield side, end, value


def approval(said: Mapping[str, Any]) -> str | None:
    """What a request was held by, and what let it on."""
    if not said:
        return None
    by = f"approval {said['id']}" if said.get("id") else ""
    grants = f"grants {', '.join(map(str, said['grants']))}" if said.get("grants") else ""
    rules = f"rules {', '.join(map(str, said['rules']))}" if said.get("rules") else "nothing was approved"
    return "; ".join(part for part in (by, grants, rules, f"waited {said.get('waited')} s") if part)


def listed(entries: Any, unit: str = "") -> str:
    return ", ".join(f"{name}: {value}{unit}" for name, value in mapping(entries).items())


def as_json(value: Any) -> str | None:
    return json.dumps(value) if value is not None else None


def considered(said: Mapping[str, Any]) -> Iterator[str]:
    """Each rule that fitted an action, where it stands, how it came out, and what its condition has read."""
    rules = mapping(said.get("decision")).get("considered") or ()
    if rules:
        yield "considered:"
    for each in rules:
        detail = f" ({each['detail']})" if each.get("detail") else ""
        yield visible(f"  {each['verdict']} {each['rule']} at {each['source']}: {each['outcome']}{detail}")
        for name, value in mapping(each.get("facts")).items():
            yield visible(f"    {name} = {json.dumps(value)}")
