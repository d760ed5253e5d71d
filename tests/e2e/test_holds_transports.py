"""Holds by other ways than a request in a tunnel of its own: HTTP/2, reverse mode, WebSockets; and at a stop."""

from __future__ import annotations

import json
import signal
import ssl
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from harness.approver import until
from harness.gateway import free_port, head
from harness.h2 import tunnel
from harness.holding import JSON_TYPE, Beside, Holding, MakeHolding, nothing_arrived, problem
from harness.pki import Authority
from harness.rules import CRM, targets_yaml
from harness.wire import dial

JSON = ("content-type", "application/json")
AT_ONCE = "Prefer: respond-async"
BODY = b'{"amount": 900}'


def test_other_streams_of_a_connection_run_on(holding: Holding) -> None:
    seen, token = holding.target.watch(), holding.agent("h2")
    with tunnel(holding.gateway, token) as client:
        held_stream = client.request("POST", "/open/json", JSON, body=BODY)
        client.flush()
        (held,) = holding.held("h2")
        assert client.ask("GET", "/v1/json").status == 200
        assert [request.target for request in seen.requests] == ["/v1/json"]
        holding.approver().approve(held["id"])
        assert client.whole(held_stream).status == 200
    assert [request.target for request in seen.requests] == ["/v1/json", "/open/json"]


def test_a_stream_that_was_taken_back_uses_nothing_up(holding: Holding) -> None:
    seen, token = holding.target.watch(), holding.agent("takes-back")
    with tunnel(holding.gateway, token) as client:
        stream = client.request("POST", "/open/json", JSON, body=BODY)
        client.flush()
        (held,) = holding.held("takes-back")
        client.connection.reset_stream(stream)
        client.flush()
        time.sleep(0.1)
        holding.approver().approve(held["id"])
        time.sleep(0.5)
        assert nothing_arrived(seen)
        assert client.ask("POST", "/open/json", JSON, body=BODY).status == 200
    assert len(seen.requests) == 1


def test_reverse_mode(make_holding: MakeHolding, beside: Beside) -> None:
    port = free_port()
    modes = ["--mode", "regular", "--mode", f"reverse:https://{CRM}@127.0.0.1:{port}"]
    here = make_holding(options=modes)
    seen, identity = here.target.watch(), f"Authorization: Bearer {here.agent('reverse')}"
    with dial(port) as wire:
        told = problem(wire.ask(head("POST", "/open/json", CRM, identity, JSON_TYPE, AT_ONCE, body=BODY)), 202)
        assert told["status_url"] == f"/.well-known/lockgate/approvals/{told['approval_id']}"
        state = wire.ask(head("GET", told["status_url"], CRM, identity))
        assert json.loads(state.body)["state"] == "pending"
        here.approver().approve(told["approval_id"])
        assert nothing_arrived(seen)
        assert wire.ask(head("POST", "/open/json", CRM, identity, JSON_TYPE, body=BODY)).status == 200
    assert len(seen.requests) == 1


CHAT = """\
role: support
rules:
  - {id: chat, allow: [ws crm /, receive crm /]}
  - {id: say, allow: send crm /, when: body.type == "say"}
  - {id: shout, hold: send crm /, when: body.type == "shout", approvers: [finance]}
"""


def test_a_message_of_a_websocket(make_holding: MakeHolding, authority: Authority) -> None:
    heard: list[str] = []

    def hear(connection: ServerConnection) -> None:
        for message in connection:
            heard.append(str(message))
            connection.send(json.dumps({"heard": len(heard)}))

    with serve(hear, "127.0.0.1", 0, ssl=authority.server_context(CRM)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        targets = targets_yaml(server.socket.getsockname()[1], 9)
        here = make_holding(files={"roles/support.yaml": CHAT, "targets.yaml": targets})
        proxy = f"http://agent:{here.agent('chats')}@127.0.0.1:{here.gateway.port}"
        trust = ssl.create_default_context(cafile=here.gateway.ca)
        with connect(f"wss://{CRM}/", proxy=proxy, ssl=trust) as agent:
            agent.send(json.dumps({"type": "shout", "text": "aloud"}))
            (held,) = here.held("chats")
            assert (held["verb"], held["resource"]) == ("send", "/")
            assert "aloud" in here.approver().one(held["id"])["request"]["body"]
            assert heard == []
            here.approver().approve(held["id"])
            assert json.loads(agent.recv(10)) == {"heard": 1}
            agent.send(json.dumps({"type": "shout", "text": "again"}))
            (held,) = here.held("chats")
            here.approver().deny(held["id"], reason="Not so loud.")
            with pytest.raises(ConnectionClosed):
                agent.recv(10)
        server.shutdown()
        thread.join()
    assert [json.loads(each)["text"] for each in heard] == ["aloud"]


def test_a_pipelined_request_waits_for_its_turn(holding: Holding) -> None:
    seen, token = holding.target.watch(), holding.agent("pipelines")
    with holding.gateway.tunnel(token) as wire:
        wire.send(head("POST", "/open/json", CRM, JSON_TYPE, body=BODY) + head("GET", "/v1/json", CRM))
        (held,) = holding.held("pipelines")
        time.sleep(0.2)
        assert nothing_arrived(seen)
        holding.approver().deny(held["id"])
        assert wire.reply().status == 403
        assert wire.reply().status == 200
    assert [request.target for request in seen.requests] == ["/v1/json"]


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_the_gateway_is_stopped_while_it_is_held(make_holding: MakeHolding, by: signal.Signals) -> None:
    here = make_holding()
    seen, token = here.target.watch(), here.agent("waits")
    with here.gateway.tunnel(token) as wire:
        wire.send(head("POST", "/open/json", CRM, JSON_TYPE, body=BODY))
        (held,) = here.held("waits")
        assert here.gateway.process is not None
        here.gateway.process.send_signal(by)
        assert here.gateway.wait_exit() == 0
    here.gateway.start()
    (again,) = here.held("waits")
    assert again["id"] == held["id"]
    here.approver().approve(held["id"])
    assert nothing_arrived(seen)
    assert here.send(token).status == 200
    assert len(seen.requests) == 1


def test_who_wants_to_know_is_told(make_holding: MakeHolding, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "tell.py"
    script.write_text(f"import sys\nopen({str(told)!r}, 'a').write(sys.stdin.read())\n")
    notify = f", notify: [{{command: ['{sys.executable}', '{script}'], on: [asked, approved]}}]"
    here = make_holding(notify)
    body = b'{"amount": 900, "password": "hunter2", "to": "s3cret"}'
    hidden = "\\u202e"
    fields = (JSON_TYPE, AT_ONCE, "X-Api-Key: k3y-of-somebody")
    token = here.agent(f"agent\u202e\x1b[2J\r\nBcc: x {hidden}")
    reply = here.gateway.ask("POST", "/open/json?token=t0ken", token, *fields, body=body)
    approval_id = problem(reply, 202)["approval_id"]
    (asked,) = [json.loads(line) for line in until(lambda: told.exists() and told.read_text(), "told").splitlines()]
    assert asked["link"] == f"http://127.0.0.1:{here.port}/approvals/{approval_id}"
    assert (asked["happening"], asked["action"], asked["rule"]) == ("asked", "POST crm /open/json", "support/big")
    assert asked["requester"].isprintable()
    for secret in ("hunter2", "s3cret", "k3y-of-somebody", "t0ken", token):
        assert secret not in json.dumps(asked)
    here.approver().approve(approval_id, reason="Ticket 7")
    lines = until(lambda: len(told.read_text().splitlines()) == 2 and told.read_text().splitlines(), "told again")
    approved = json.loads(lines[1])
    assert (approved["happening"], approved["by"], approved["why"]) == ("approved", "fiona", "Ticket 7")
