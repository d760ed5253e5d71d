"""Envoy, set up to do the nearest to what the gateway does: a JWT verified, RBAC by role, two fields masked in Lua."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ISSUER, AUDIENCE = "https://login.example", "bench"

MASKS = r"""
function envoy_on_response(handle)
  local body = handle:body(true)
  if body == nil then return end
  local text = body:getBytes(0, body:length())
  text = text:gsub('("ssn": *)"[^"]*"', '%1"[redacted]"')
  text = text:gsub('("email": *)"[^"]*"', '%1"[redacted]"')
  body:setBytes(text)
end
"""
FILTERS = "type.googleapis.com/envoy.extensions.filters"
LIMIT = {"per_connection_buffer_limit_bytes": 16 * 1024 * 1024}  # what a mask may hold

Part = dict[str, Any]


def configuration(
    jwks: str, port: int, tunnel: int, upstream: int, tls_upstream: int, certificate: Path, ca: Path
) -> Part:
    """A listener on `port` before the plain upstream, one on `tunnel` that takes CONNECT and ends the TLS within."""
    inner = {"envoy_internal_address": {"server_listener_name": "within"}}
    server = {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(certificate)}}
    tls = transport("tls", "DownstreamTlsContext", {"common_tls_context": {"tls_certificates": [server]}})
    verified = {"validation_context": {"trusted_ca": {"filename": str(ca)}}}
    outgoing = transport("tls", "UpstreamTlsContext", {"sni": "localhost", "common_tls_context": verified})
    listeners: list[Part] = [
        {"name": "reverse", "address": socket(port), "filter_chains": [{"filters": [http("plain", jwks)]}]},
        {"name": "tunnel", "address": socket(tunnel), "filter_chains": [{"filters": [connect()]}]},
        {
            "name": "within",
            "internal_listener": {},
            "filter_chains": [{"transport_socket": tls, "filters": [http("secured", jwks)]}],
        },
    ]
    return {
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
                },
            }
        ],
        "static_resources": {
            "listeners": [each | LIMIT for each in listeners],
            "clusters": [
                cluster("plain", socket(upstream)),
                cluster("secured", socket(tls_upstream)) | {"transport_socket": outgoing},
                cluster("within", inner),
            ],
        },
    }


def socket(port: int) -> Part:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, address: Part) -> Part:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {"name": name, "load_assignment": {"cluster_name": name, "endpoints": endpoints}, **LIMIT}


def transport(name: str, kind: str, settings: Part) -> Part:
    typed = {"@type": f"type.googleapis.com/envoy.extensions.transport_sockets.{name}.v3.{kind}", **settings}
    return {"name": f"envoy.transport_sockets.{name}", "typed_config": typed}


def manager(route: Part, filters: list[Part], **more: Any) -> Part:
    hosts = [{"name": "all", "domains": ["*"], "routes": [route]}]
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "bench",
            "route_config": {"virtual_hosts": hosts},
            "http_filters": [*filters, router],
            **more,
        },
    }


def connect() -> Part:
    to = {"cluster": "within", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}
    more = {"upgrade_configs": [{"upgrade_type": "CONNECT"}], "http_protocol_options": {"accept_http_10": True}}
    return manager({"match": {"connect_matcher": {}}, "route": to}, [], **more)  # socat speaks HTTP/1.0


def http(to: str, jwks: str) -> Part:
    """Verify, decide, mask, forward; the caller's token goes no further."""
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": jwks},
        "payload_in_metadata": "token",
        "forward": False,
    }
    of_role = {
        "metadata": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "token"}, {"key": "roles"}],
            "value": {"list_match": {"one_of": {"string_match": {"exact": "reader"}}}},
        }
    }
    reads = {"and_rules": {"rules": [{"header": {"name": ":method", "string_match": {"exact": "GET"}}}]}}
    policies = {"reader": {"permissions": [reads], "principals": [of_role]}}
    filters = [
        {
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": f"{FILTERS}.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"login": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "login"}}],
            },
        },
        {
            "name": "envoy.filters.http.rbac",
            "typed_config": {"@type": f"{FILTERS}.http.rbac.v3.RBAC", "rules": {"policies": policies}},
        },
        {
            "name": "envoy.filters.http.lua",
            "typed_config": {
                "@type": f"{FILTERS}.http.lua.v3.Lua",
                "default_source_code": {"inline_string": MASKS},
            },
        },
    ]
    return manager({"match": {"prefix": "/"}, "route": {"cluster": to}}, filters)


def write(path: Path, settings: Part) -> None:
    path.write_text(json.dumps(settings, indent=1))
