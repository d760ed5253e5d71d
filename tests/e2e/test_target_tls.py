"""How targets are verified and what certificate they are shown: by their own entry, and nothing where it cannot be."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import answers
from harness.expect import refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.pki import Authority
from harness.upstream import Connection, RecordingUpstream, Seen
from harness.wire import Reply

INTERNAL = "bank.internal"
ROLE = "role: support\nrules:\n  - id: read\n    allow: GET {targets} /v1/**\n"


def common_name(connection: Connection) -> str | None:
    """Whom the client's certificate is of."""
    assert connection.session
    shown = connection.session.getpeercert() or {}
    names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
    return names[0] if names else None


def answer(connection: Connection, seen: Seen) -> None:
    """Who the client is, by its certificate and by its header."""
    if seen.path.endswith(("/slow", "/set-cookie")):
        answers.answer(connection, seen)
        return
    body = json.dumps({"certificate": common_name(connection), "authorization": bool(seen.header("authorization"))})
    connection.send(answers.message("200 OK", [answers.JSON_TYPE], body.encode()))


@dataclass
class Bank:
    """A target that demands a certificate of its own authority's, and one by another name that demands none."""

    authority: Authority
    stranger: Authority
    mutual: RecordingUpstream
    open: RecordingUpstream
    old: RecordingUpstream


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    own, stranger = (Authority(tmp_path_factory.mktemp(name)) for name in ("bank", "stranger"))
    demanding = own.server_context(INTERNAL, "bank.example", "both.example")
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(own.pem)
    old = own.server_context("old.example")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    made = [RecordingUpstream(answer, context) for context in (demanding, own.server_context("open.example"), old)]
    yield Bank(own, stranger, *made)
    for upstream in made:
        upstream.close()


def write(directory: Path, name: str, issued: tuple[str, str]) -> None:
    certificate, key = issued
    (directory / f"{name}.pem").write_text(certificate)
    (directory / f"{name}.key").touch(mode=0o600)
    (directory / f"{name}.key").write_text(key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory, bank: Bank) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    write(directory, "gateway", bank.authority.issue("gateway-one"))
    write(directory, "other", bank.authority.issue("gateway-two"))
    write(directory, "rotated", bank.authority.issue("before"))
    write(directory, "strange", bank.stranger.issue("gateway-one"))
    (directory / "mixed.pem").write_text((directory / "gateway.pem").read_text())
    (directory / "mixed.key").touch(mode=0o600)
    (directory / "mixed.key").write_text((directory / "other.key").read_text())
    (directory / "empty.pem").write_text("")
    return directory


def files(rule_files: dict[str, str], bank: Bank, certificates: Path) -> dict[str, str]:
    ca, named = f"ca: {bank.authority.pem}", f"server_name: {INTERNAL}"
    mutual = {
        "bank": (ca, "client_cert: gateway"),
        "both": (ca, "client_cert: other"),
        "named": (ca, named, "client_cert: gateway"),
        "rotated": (ca, named, "client_cert: rotated"),
        "bare": (ca, named),
        "strange": (ca, named, "client_cert: strange"),
        "misnamed": (ca, "server_name: x.internal", "client_cert: gateway"),
        "unnamed": (ca, "client_cert: gateway"),
        "distrusted": (f"ca: {bank.stranger.pem}", named),
        "public": (named, "client_cert: gateway"),
        "gone": (f"ca: {certificates}/none.pem", named),
        "empty": (f"ca: {certificates}/empty.pem", named),
        "keyless": (ca, named, "client_cert: keyless"),
        "mixed": (ca, named, "client_cert: mixed"),
    }
    unasked = {"open": (ca,), "asked": (ca, "server_name: open.example", "client_cert: gateway")}
    old = {"old": (ca,), "modern": (ca, "server_name: old.example", "min_version: 1.3")}
    made = [
        (name, upstream.port, ", ".join(tls))
        for upstream, targets in ((bank.mutual, mutual), (bank.open, unasked), (bank.old, old))
        for name, tls in targets.items()
    ]
    targets = "".join(
        f"  {name}: {{url: https://{name}.example, connect: 127.0.0.1:{port}, private: true, tls: {{{tls}}}}}\n"
        for name, port, tls in made
    ).replace("both.example,", "both.example, credential: crm-token,")
    hosts = ", ".join(f"{name}.example" for name, _, _ in made)
    held = ["gateway", "other", "rotated", "strange", "mixed"]
    keys = [(name, f'{{cert: {certificates}/{name}.pem, key: "file:{certificates}/{name}.key"}}') for name in held]
    keys.append(("keyless", f'{{cert: {certificates}/gateway.pem, key: "env:NO_SUCH_KEY"}}'))
    entries = "".join(f"  {name}: {{client_cert: {entry}, hosts: [{hosts}]}}\n" for name, entry in keys)
    return {
        **rule_files,
        "targets.yaml": f"targets:\n{targets}",
        "credentials.yaml": f'credentials:\n  crm-token: {{bearer: "env:CRM_TOKEN", hosts: [both.example]}}\n{entries}',
        "roles/support.yaml": ROLE.format(targets="|".join(name for name, _, _ in made)),
    }


@pytest.fixture(scope="module")
def gateway(
    make_module_gateway: MakeGateway, rule_files: dict[str, str], bank: Bank, certificates: Path
) -> Iterator[Gateway]:
    gateway = make_module_gateway(files(rule_files, bank, certificates)).start()
    yield gateway
    assert gateway.running
    gateway.stop()
    assert "Traceback" not in gateway.output
    lines = {line for path in certificates.glob("*.key") for line in path.read_text().splitlines()[1:-1]}
    assert lines
    for path, content in gateway.traces().items():
        assert not any(line.encode() in content for line in lines), path


Ask = Callable[..., Reply]


@pytest.fixture
def ask(gateway: Gateway, token: str) -> Ask:
    def ask(name: str, path: str = "/v1/who") -> Reply:
        return gateway.ask("GET", path, token, host=f"{name}.example")

    return ask


@pytest.mark.parametrize(
    ("name", "certificate", "authorization"),
    [
        pytest.param("bank", "gateway-one", False, id="by-its-own-ca"),
        pytest.param("named", "gateway-one", False, id="by-another-name"),
        pytest.param("both", "gateway-two", True, id="with-a-token"),
        pytest.param("open", None, False, id="without-a-certificate"),
        pytest.param("asked", None, False, id="where-none-is-asked-for"),
        pytest.param("old", None, False, id="tls-1.2"),
    ],
)
def test_who_is_shown_what(ask: Ask, bank: Bank, name: str, certificate: str | None, authorization: bool) -> None:
    reply = ask(name)
    assert reply.status == 200, reply
    assert json.loads(reply.body) == {"certificate": certificate, "authorization": authorization}


@pytest.mark.parametrize(
    ("name", "status", "connects"),
    [
        pytest.param("bare", 502, True, id="without-the-certificate-it-demands"),
        pytest.param("strange", 502, True, id="with-a-certificate-of-others"),
        pytest.param("misnamed", 502, True, id="another-name-is-expected"),
        pytest.param("unnamed", 502, True, id="its-host-is-not-in-its-certificate"),
        pytest.param("distrusted", 502, True, id="another-ca"),
        pytest.param("public", 502, True, id="no-ca-of-its-own"),
        pytest.param("modern", 502, True, id="older-tls"),
        pytest.param("gone", 502, False, id="ca-file-gone"),
        pytest.param("empty", 502, False, id="ca-file-empty"),
        pytest.param("keyless", 503, False, id="no-key"),
        pytest.param("mixed", 503, False, id="the-key-of-another"),
    ],
)
def test_nothing_is_sent_where_it_cannot_be(ask: Ask, bank: Bank, name: str, status: int, connects: bool) -> None:
    watches = [upstream.watch() for upstream in (bank.mutual, bank.open, bank.old)]
    refused(ask(name), status)
    assert [seen.plain for seen in watches] == [b""] * 3
    assert sum(seen.connections for seen in watches) == connects


def test_why_is_logged(ask: Ask, gateway: Gateway, certificates: Path) -> None:
    for name in ("gone", "keyless", "mixed"):
        ask(name)
    assert f"Target gone: {certificates}/none.pem has no certificates" in gateway.output
    assert "Credential keyless: env:NO_SUCH_KEY: not set" in gateway.output
    assert f"mixed.key is not the key of {certificates}/mixed.pem" in gateway.output


def test_one_targets_certificate_is_not_shown_to_another(gateway: Gateway, bank: Bank, token: str) -> None:
    """One client connection, three targets at one address: each is shown its own."""
    shown = []
    seen = bank.mutual.watch()
    with gateway.dial() as wire:
        for name in ("bank", "both", "named", "bare", "bank", "both"):
            host = f"{name}.example"
            reply = wire.ask(head("GET", f"https://{host}/v1/who", host, *identity(token)))
            shown.append(json.loads(reply.body).get("certificate") if reply.status == 200 else reply.status)
            if reply.status == 502:
                break
    assert shown == ["gateway-one", "gateway-two", "gateway-one", 502]
    assert seen.connections == 4
    assert len(seen.requests) == 3


def test_a_connection_is_used_again_for_its_own_target(gateway: Gateway, bank: Bank, token: str) -> None:
    seen = bank.mutual.watch()
    with gateway.tunnel(token, "bank.example") as wire:
        for _ in range(3):
            assert wire.ask(head("GET", "/v1/who", "bank.example")).status == 200
    assert (seen.connections, len(seen.requests)) == (1, 3)


def test_a_rotated_certificate_counts_for_new_connections(
    gateway: Gateway, bank: Bank, token: str, certificates: Path
) -> None:
    seen = bank.mutual.watch()
    slow: list[Reply] = []
    with gateway.tunnel(token, "rotated.example") as wire, gateway.tunnel(token, "rotated.example") as other:
        first = wire.ask(head("GET", "/v1/who", "rotated.example"))
        request = head("GET", "/v1/slow?seconds=1", "rotated.example")
        thread = threading.Thread(target=lambda: slow.append(other.ask(request)))
        thread.start()
        seen.wait_for(2)
        write(certificates, "rotated", bank.authority.issue("after"))
        second = wire.ask(head("GET", "/v1/who", "rotated.example"))
        assert slow == []
        thread.join()
    assert [json.loads(reply.body)["certificate"] for reply in (first, second)] == ["before", "after"]
    assert slow[0].status == 200
    assert json.loads(slow[0].body)["id"] == 42
    assert seen.connections == 3


def test_cookies_of_a_target_that_knows_the_gateway_stay_here(ask: Ask) -> None:
    assert "set-cookie" in ask("open", "/v1/set-cookie").headers
    reply = ask("bank", "/v1/set-cookie")
    assert reply.status == 200
    assert "set-cookie" not in reply.headers
