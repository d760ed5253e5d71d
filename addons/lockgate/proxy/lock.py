"""The option lock: every mitmproxy option is pinned to its safe value; a short list may differ at start."""

from __future__ import annotations

import os
from typing import Any

from mitmproxy import exceptions, optmanager
from mitmproxy.proxy import mode_specs

from lockgate.errors import SetupError

MAY_DIFFER = frozenset(
    {
        "confdir",
        "listen_host",
        "listen_port",
        "lockgate_recordings",
        "lockgate_rules",
        "lockgate_state",
        "mode",
        "scripts",
        "ssl_verify_upstream_trusted_ca",
        "termlog_verbosity",
    }
)
MAY_DIFFER_PREFIX = "web_"
PINS: dict[str, Any] = {
    "connection_strategy": "lazy",
    "flow_detail": 0,
    "http2": True,  # towards agents; towards targets where their entry says so
    "http3": False,
    "onboarding": False,
    "rawtcp": False,
    "tcp_timeout": 24 * 60 * 60,  # a held request waits on an idle connection
    "upstream_cert": False,
    "websocket": False,  # mitmproxy's own layer, which forwards what its hooks raise on: ours is not asked for by it
}
KEY_LOGS = ("SSLKEYLOGFILE", "MITMPROXY_SSLKEYLOGFILE")


def check(options: optmanager.OptManager) -> None:
    """Refuse a start with anything set that is not to be.

    Raises:
        SetupError: one line for each thing found.
    """
    found = [
        f"{name} is set: TLS keys would be written to a file. Unset it." for name in KEY_LOGS if os.environ.get(name)
    ]
    for name in sorted(options.keys()):
        if name in MAY_DIFFER or name.startswith(MAY_DIFFER_PREFIX):
            continue
        if is_set(options, name) and getattr(options, name) != PINS.get(name, options.default(name)):
            found.append(f"The option {name} may not be set: it could let traffic past the gateway. Leave it out.")
    found += [f"There is no option {name}. Leave it out." for name in sorted(options.deferred)]
    if len(options.scripts) != 1:
        found.append("Another -s script is loaded: it could change what the gateway has decided. Run this one alone.")
    for mode in options.mode:
        spec = mode_specs.ProxyMode.parse(mode)
        reverse = isinstance(spec, mode_specs.ReverseMode) and spec.scheme in ("http", "https")
        if not reverse and not isinstance(spec, mode_specs.RegularMode):
            found.append(f"The mode {spec.type_name} is not supported. Use regular or reverse:https://HOST.")
    if found:
        raise SetupError("\n".join(found))


def is_set(options: optmanager.OptManager, name: str) -> bool:
    """Whether an option was given a value, be it the default one."""
    return options._options[name].value is not optmanager.unset


def pin(options: optmanager.OptManager) -> None:
    """Set every pinned option, and the listening address where none was given."""
    values = {name: value for name, value in PINS.items() if name in options}  # mitmweb has no flow_detail
    if not options.listen_host:
        values["listen_host"] = "127.0.0.1"
    options.update(**values)


def lock(options: optmanager.OptManager) -> None:
    """Refuse every later change. Whatever changes options goes through these two methods."""

    def refuse(*_: Any, **__: Any) -> None:
        raise exceptions.OptionsError(
            "Options are locked while the gateway runs. Stop it, and start it with the option."
        )

    options.__dict__["update_known"] = refuse
    options.__dict__["reset"] = refuse


def snapshot(options: optmanager.OptManager) -> dict[str, Any]:
    """Every option's value, for the sentinel to compare."""
    return {name: getattr(options, name) for name, _ in options.items()}
