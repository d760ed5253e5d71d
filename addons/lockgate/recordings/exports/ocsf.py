"""OCSF, API Activity [6003] with the profile `security_control` (https://schema.ocsf.io), an event a line. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lockgate.recordings.exports.entry import Entry, Message
from lockgate.recordings.exports.har import dumps

SCHEMA = "1.3.0"
CATEGORY, CLASS = 6, 6003
CREATE, READ, UPDATE, DELETE, OTHER = 1, 2, 3, 4, 99
ACTIVITIES = {CREATE: "Create", READ: "Read", UPDATE: "Update", DELETE: "Delete", OTHER: "Other"}
BY_METHOD = {"GET": READ, "HEAD": READ, "POST": CREATE, "PUT": UPDATE, "PATCH": UPDATE, "DELETE": DELETE}
INFORMATIONAL, MEDIUM = 1, 3
PRODUCT = {"name": "Lockgate", "vendor_name": "Lockgate"}


def head(version: str) -> bytes:  # noqa: ARG001 (one signature for all formats)
    return b""


def tail(manifest: Mapping[str, Any]) -> bytes:
    """A base event [0], so that whoever takes events in takes this in too."""
    return b"%b\n" % dumps(
        {
            "class_uid": 0,
            "category_uid": 0,
            "activity_id": OTHER,
            "activity_name": "Export",
            "type_uid": OTHER,
            "severity_id": INFORMATIONAL,
            "time": manifest["time_ms"],
            "metadata": {"version": SCHEMA, "product": PRODUCT},
            "unmapped": {"lockgate_export": dict(manifest)},
        }
    )


def manifest_in(line: bytes) -> Any:
    """Raises ValueError."""
    return json.loads(line)["unmapped"]["lockgate_export"]


def place_in(document: Any) -> Any:
    return document["unmapped"]["lockgate"]["chain"]


def render(entry: Entry) -> bytes:
    activity = BY_METHOD.get(entry.method, OTHER)
    action, disposition = outcome(entry)
    target, rule = str(entry.said.get("target") or ""), entry.member("decision").get("rule")
    succeeded = entry.status is not None and entry.status < 400
    document: dict[str, Any] = {
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "activity_id": activity,
        "activity_name": ACTIVITIES[activity],
        "type_uid": CLASS * 100 + activity,
        "type_name": f"API Activity: {ACTIVITIES[activity]}",
        "time": int(entry.time.timestamp() * 1000),
        "severity_id": MEDIUM if action == 2 else INFORMATIONAL,
        "severity": "Medium" if action == 2 else "Informational",
        "status_id": 1 if succeeded else 2,
        "status": "Success" if succeeded else "Failure",
        "action_id": action,
        "action": {0: "Unknown", 1: "Allowed", 2: "Denied"}[action],
        "disposition_id": disposition,
        "disposition": {0: "Unknown", 1: "Allowed", 2: "Blocked"}[disposition],
        "metadata": {
            "version": SCHEMA,
            "uid": entry.id,
            "sequence": entry.link.number,
            "profiles": ["security_control"],
            "product": PRODUCT,
        },
        "actor": actor(entry),
        "api": {
            "operation": entry.method,
            "request": {"uid": entry.id},
            **({"service": {"name": target}} if target else {}),
            **({"response": {"code": entry.status}} if entry.status is not None else {}),
        },
        "src_endpoint": endpoint(str(entry.said.get("client") or "")),
        "dst_endpoint": {
            "hostname": entry.host,
            "port": entry.port,
            **({"ip": entry.server_address} if entry.server_address else {}),
            **({"svc_name": target} if target else {}),
        },
        "http_request": {
            "http_method": entry.method,
            "url": url(entry),
            "version": entry.request.version,
            "uid": entry.id,
            **message(entry.request),
            **({"user_agent": agents[0]} if (agents := entry.request.values("user-agent")) else {}),
        },
        "resources": [
            {"type": str(verb), "namespace": str(at), "name": str(name)} for verb, at, name in actions(entry)
        ],
        "unmapped": {"lockgate": dict(entry.said)},
    }
    if entry.status is not None:
        document["status_code"] = str(entry.status)
        answer = message(entry.response) if entry.response else {}
        document["http_response"] = {"code": entry.status, **answer}
    if detail := entry.member("refusal").get("detail") or entry.error:
        document["status_detail"] = str(detail)
    if rule:
        document["policy"] = {
            "name": str(rule),
            "uid": str(rule),
            "version": str(entry.said.get("generation") or ""),
            "desc": str(entry.member("decision").get("reason") or ""),
        }
    return dumps(document)


def outcome(entry: Entry) -> tuple[int, int]:
    """Action and disposition: what the gateway did, which an approval may have changed from what the policy said."""
    if entry.said.get("refusal"):
        return 2, 2
    if entry.said.get("decision") is None and not entry.said.get("sent"):
        return 0, 0
    return 1, 1


def actor(entry: Entry) -> dict[str, Any]:
    principal = entry.member("principal")
    if not principal:
        return {"user": {"name": "unknown", "type_id": 0}}
    user = {
        "uid": str(principal.get("subject")),
        "name": str(principal.get("subject")),
        "domain": str(principal.get("issuer")),
        "type_id": OTHER,
        "type": "Agent",
        "groups": [{"name": role, "type": "role"} for role in entry.roles],
    }
    token = principal.get("token_id")
    session = {"session": {"uid": str(token), "issuer": str(principal.get("issuer"))}} if token else {}
    return {"user": user, **session}


def endpoint(address: str) -> dict[str, Any]:
    ip, _, port = address.rpartition(":")
    return {"ip": ip, "port": int(port)} if port.isascii() and port.isdigit() and ip else {"name": "unknown"}


def url(entry: Entry) -> dict[str, Any]:
    path, _, query = entry.path.partition("?")
    return {
        "url_string": entry.url,
        "scheme": entry.scheme,
        "hostname": entry.host,
        "port": entry.port,
        "path": path,
        **({"query_string": query} if query else {}),
    }


def message(found: Message) -> dict[str, Any]:
    fields = [{"name": name, "value": value} for name, value in found.headers]
    return {"http_headers": fields, **({} if found.body is None else {"length": len(found.body)})}


def actions(entry: Entry) -> list[list[Any]]:
    found = entry.said.get("actions")
    return [each for each in found if isinstance(each, list) and len(each) == 3] if isinstance(found, list) else []
