"""mitmweb only looks: whatever would edit, replay, upload, run or set something is refused."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.answers import CRM_TOKEN
from harness.expect import eventually, leaks
from harness.gateway import ROOT, Gateway, MakeGateway, free_port, head
from harness.issuer import Issuer
from harness.rules import CRM, rules
from harness.upstream import RecordingUpstream

PASSWORD = "look-only"
XSRF = {"cookie": "_mitmproxy_xsrf=x", "x-xsrftoken": "x"}


def web_options(port: int) -> list[str]:
    return ["--no-web-open-browser", "--web-port", str(port), "--set", f"web_password={PASSWORD}"]


def web_client(port: int) -> httpx.Client:
    headers = {"authorization": f"Bearer {PASSWORD}", **XSRF}
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False)


@pytest.fixture(scope="module")
def web_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def web_gateway(make_module_gateway: MakeGateway, web_port: int) -> Iterator[Gateway]:
    gateway = make_module_gateway(program="mitmweb", options=web_options(web_port))
    yield gateway.start()
    gateway.stop()


@pytest.fixture
def web(web_gateway: Gateway, web_port: int) -> Iterator[httpx.Client]:
    with web_client(web_port) as client:
        yield client


@pytest.fixture
def flow(web_gateway: Gateway, web: httpx.Client, token: str) -> dict[str, object]:
    """A flow that mitmweb lists."""
    assert web_gateway.ask("GET", "/v1/json", token).status == 200
    found: list[dict[str, object]] = web.get("/flows").json()
    return found[-1]


def test_it_shows_flows_to_who_has_the_password(web: httpx.Client, flow: dict[str, object], web_port: int) -> None:
    assert web.get(f"/flows/{flow['id']}/response/content.data").status_code == 200
    bare = httpx.get(f"http://127.0.0.1:{web_port}/flows", trust_env=False)
    assert bare.status_code == 403


def test_it_shows_nothing_secret(web: httpx.Client, flow: dict[str, object], token: str) -> None:
    shown = web.get("/flows").content
    shown += web.get(f"/flows/{flow['id']}/response/content.data").content
    shown += web.get(f"/flows/{flow['id']}/request/content.data").content
    shown += web.get("/flows/dump").content + web.get("/events").content + web.get("/options").content
    assert leaks(shown) == []
    assert token.encode() not in shown
    assert b"authorization" not in web.get("/flows").content.lower()


def test_it_shows_what_the_gateway_knows_of_a_flow(web: httpx.Client, flow: dict[str, object], token: str) -> None:
    """The content view "Lockgate", of a flow that is not recorded yet as far as mitmweb knows."""
    shown = web.get(f"/flows/{flow['id']}/request/content/Lockgate.json").json()
    assert shown["view_name"] == "Lockgate"
    told = shown["text"]
    for line in ("who:        agent-7", "verdict:    allow", "rule:       support/read", "injected:   crm-token"):
        assert line in told
    assert "  allow support/read at roles/support.yaml:3: matched" in told
    assert leaks(told.encode()) == []
    assert token not in told


def test_a_recording_is_shown_with_the_same_view(
    web_gateway: Gateway, web: httpx.Client, flow: dict[str, object], tmp_path: Path, confdir: Path
) -> None:
    eventually(lambda: any(one["flow"].id == flow["id"] for one in web_gateway.records()), web_gateway.output)
    port = free_port()
    program = Path(sys.executable).with_name("mitmweb")
    (recording,) = web_gateway.recordings.glob("*.mitm")
    arguments = ["-n", "-r", str(recording), "-s", str(ROOT / "addons" / "views.py"), *web_options(port)]
    process = subprocess.Popen(
        [program, *arguments, "--set", f"confdir={confdir}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with web_client(port) as loaded:
            path = f"/flows/{flow['id']}/request/content/Lockgate.json"
            eventually(lambda: answers(loaded, path), "mitmweb does not show the recording")
            told = loaded.get(path).json()["text"]
    finally:
        process.kill()
        process.wait()
    for line in ("who:        agent-7", "rule:       support/read", "masked:", "req rece:", "record:"):
        assert line in told


def answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


ACTS = {
    "edit": ("PUT", "/flows/{id}", {"request": {"path": "/open/edited"}}),
    "delete": ("DELETE", "/flows/{id}", None),
    "resume": ("POST", "/flows/{id}/resume", None),
    "resume-all": ("POST", "/flows/resume", None),
    "kill": ("POST", "/flows/{id}/kill", None),
    "kill-all": ("POST", "/flows/kill", None),
    "duplicate": ("POST", "/flows/{id}/duplicate", None),
    "replay": ("POST", "/flows/{id}/replay", None),
    "revert": ("POST", "/flows/{id}/revert", None),
    "clear": ("POST", "/clear", None),
    "upload": ("POST", "/flows/dump", None),
    "content": ("POST", "/flows/{id}/request/content.data", None),
    "options": ("PUT", "/options", {"scripts": []}),
    "options-ignore": ("PUT", "/options", {"ignore_hosts": [".*"]}),
    "options-save": ("POST", "/options/save", None),
    "command": ("POST", "/commands/script.run", {"arguments": ["@all", "/tmp/x.py"]}),
    "command-replay": ("POST", "/commands/replay.client", {"arguments": ["@all"]}),
    "command-set": ("POST", "/commands/set", {"arguments": ["scripts", ""]}),
}


@pytest.mark.parametrize(("method", "path", "body"), [pytest.param(*act, id=name) for name, act in ACTS.items()])
def test_acts_are_refused(
    web_gateway: Gateway,
    web: httpx.Client,
    flow: dict[str, object],
    crm: RecordingUpstream,
    token: str,
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    before = web.get("/flows").json()
    options = web.get("/options").json()
    seen = crm.watch()
    reply = web.request(method, path.format(id=flow["id"]), json=body)
    assert reply.status_code in (403, 404, 405), reply.text
    after = web.get("/flows").json()
    assert [one["id"] for one in after] == [one["id"] for one in before]
    assert [one["request"] for one in after] == [one["request"] for one in before]
    assert web.get("/options").json() == options
    assert (seen.connections, seen.raw) == (0, b"")
    assert web_gateway.running
    assert web_gateway.ask("GET", "/v1/json", token).status == 200


def test_there_is_no_command_to_run(web: httpx.Client) -> None:
    reply = web.get("/commands")
    assert reply.status_code != 200 or reply.json() == {}


def test_an_edit_while_connecting_is_not_sent(
    make_gateway: MakeGateway, plain: RecordingUpstream, issuer: Issuer, token: str
) -> None:
    """The target takes the connection and lets the TLS handshake wait; meanwhile someone edits the flow."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as slow:
        web_port = free_port()
        gateway = make_gateway(
            rules(slow.getsockname()[1], plain.port, issuer.jwks), program="mitmweb", options=web_options(web_port)
        ).start()
        with gateway.tunnel(token) as wire, web_client(web_port) as web:
            wire.send(head("POST", "/v1/json", CRM, "Content-Type: application/json", body=b"{}"))
            accepted, _ = slow.accept()
            eventually(lambda: web.get("/flows").json(), "mitmweb lists the flow")
            (flow,) = web.get("/flows").json()
            edit = {"request": {"path": "/open/edited", "method": "DELETE"}}
            assert web.put(f"/flows/{flow['id']}", json=edit).status_code == 403
            (same,) = web.get("/flows").json()
            assert (same["request"]["path"], same["request"]["method"]) == ("/v1/json", "POST")
            reader = threading.Thread(target=lambda: received.append(accepted.recv(65536)))
            reader.start()
            accepted.shutdown(socket.SHUT_RDWR)
            reader.join()
            accepted.close()
            assert wire.reply().status == 502
    assert b"edited" not in b"".join(received)


def test_its_own_port_is_not_reached_through_the_gateway(
    make_gateway: MakeGateway, crm: RecordingUpstream, issuer: Issuer, token: str
) -> None:
    web_port = free_port()
    gateway = make_gateway(
        rules(crm.port, web_port, issuer.jwks), program="mitmweb", options=web_options(web_port)
    ).start()
    with gateway.client(token) as client:
        reply = client.get("http://plain.example/v1/json", headers={"authorization": f"Bearer {PASSWORD}"})
    assert reply.status_code in (403, 502)
    assert "flows" not in reply.text


def test_the_credential_is_nowhere_in_the_process_output(web_gateway: Gateway, flow: dict[str, object]) -> None:
    assert CRM_TOKEN not in web_gateway.output
    assert json.dumps(flow).find(CRM_TOKEN) == -1
