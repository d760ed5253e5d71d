"""The clients of `examples/`, started by `lockgate run`: what they get, what their targets get, what neither does.

Their rules are those of `rules/` with those of `examples/README.md`; only where targets are dialled is ours.
"""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import ROOT, Gateway, MakeGateway, free_port
from harness.git_server import AUTHOR, GitServer, git
from harness.mcp_server import TICKET, McpServer
from harness.npm import install
from harness.package_index import PackageIndex, file_name
from harness.pki import Authority
from harness.upstream import Connection, RecordingUpstream, Seen, Watch
from lockgate.identity import dev

EXAMPLES = ROOT / "examples"
API, MODEL = "api.crm.example", "api.openai.com"
GIT, PYPI, TICKETS = "git.example", "pypi.example", "mcp.tickets.example"
ELSEWHERE = "elsewhere.example"
SECRETS = {
    "CRM_TOKEN": "crm-secret-7f3a9c51",
    "OPENAI_API_KEY": "sk-the-real-key-51c07d",
    "GIT_TOKEN": "git-secret-90be12",
    "PYPI_TOKEN": "pypi-secret-4ac7d8",
    "TICKETS_TOKEN": "tickets-secret-e01b33",
}
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
CUSTOMERS: dict[str, Any] = runpy.run_path(str(EXAMPLES / "demo" / "business_api.py"))["CUSTOMERS"]
MODEL_SERVER = runpy.run_path(str(EXAMPLES / "demo" / "model_server.py"))
HIDDEN = ("536-90-4399", "ada.marsh@customer.example", "4929 4212 3456 7891")

SNIPPET = re.compile(r"In `([\w/]+\.yaml)`:\n\n```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)

Run = Callable[..., subprocess.CompletedProcess[str]]


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program, path=PATH) is None, reason=f"{program} is not installed")


# The targets


def business_api(connection: Connection, seen: Seen) -> None:
    """The demo's customers."""
    number = seen.path.rpartition("/")[2]
    say_json(connection, CUSTOMERS[number] if seen.method == "GET" else {"done": seen.method})


def model(connection: Connection, seen: Seen) -> None:
    """The demo's model, which always streams."""
    document = json.loads(seen.body)
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    connection.send(head.encode())
    for number, event in enumerate(MODEL_SERVER["events"](document, MODEL_SERVER["reply"](document))):
        data = json.dumps(event | {"sequence_number": number})
        connection.send(f"event: {event['type']}\ndata: {data}\n\n".encode())
    connection.finish()


def say_json(connection: Connection, document: object) -> None:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.send(head.encode() + body)


@dataclass(frozen=True)
class Targets:
    api: RecordingUpstream
    model: RecordingUpstream
    git: RecordingUpstream
    pypi: RecordingUpstream
    tickets: McpServer

    @property
    def ports(self) -> dict[str, int]:
        return {
            API: self.api.port,
            MODEL: self.model.port,
            GIT: self.git.port,
            PYPI: self.pypi.port,
            TICKETS: self.tickets.port,
        }


@pytest.fixture(scope="module")
def targets(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    repositories = GitServer(tmp_path_factory.mktemp("repositories"))
    if shutil.which("git"):
        repositories.make("team/handbook.git", {"welcome.md": "Read me first.\n"})
    made = Targets(
        RecordingUpstream(business_api, authority.server_context(API)),
        RecordingUpstream(model, authority.server_context(MODEL)),
        RecordingUpstream(repositories, authority.server_context(GIT)),
        RecordingUpstream(PackageIndex("tinylib", "otherlib"), authority.server_context(PYPI)),
        McpServer(TICKETS, authority.server_context(TICKETS)),
    )
    yield made
    for target in (made.api, made.model, made.git, made.pypi, made.tickets):
        target.close()


# The gateway and its agents


def documented() -> dict[str, str]:
    """The files of `rules/`, with what `examples/README.md` puts beside them."""
    files = {str(path.relative_to(ROOT / "rules")): path.read_text() for path in (ROOT / "rules").rglob("*.yaml")}
    files["gateway.yaml"] = files["gateway.yaml"].replace("127.0.0.1:8765", f"127.0.0.1:{free_port()}")
    blocks = SNIPPET.findall((EXAMPLES / "README.md").read_text())
    assert len(blocks) == 3
    for name, text in blocks:
        first, _, rest = text.partition("\n")
        files[name] = f"{files[name]}\n{rest}" if first in files.get(name, "") else text
    return {name: text for name, text in files.items() if not name.startswith("tests/")}


def dialled(text: str, ports: dict[str, int]) -> str:
    """A `targets.yaml` with every target at a port of this machine."""
    text = re.sub(r"^    (connect|private): .*\n", "", text, flags=re.MULTILINE)
    for host, port in ports.items():
        url = f"    url: https://{host}"
        assert url in text
        text = text.replace(url, f"    connect: 127.0.0.1:{port}\n    private: true\n{url}")
    return text


@pytest.fixture(scope="module")
def gateway(make_module_gateway: MakeGateway, targets: Targets) -> Iterator[Gateway]:
    files = documented()
    files["targets.yaml"] = dialled(files["targets.yaml"], targets.ports)
    gateway = make_module_gateway(files, environment=SECRETS).start()
    yield gateway
    assert gateway.stop() == 0
    assert "crashed" not in gateway.output
    assert "Traceback" not in gateway.output
    for path, content in gateway.traces().items():
        # Git sends packs, which are compressed; everything else would be found.
        found = [secret for secret in (*SECRETS.values(), *HIDDEN) if secret.encode() in content]
        assert not found, f"{path.relative_to(gateway.home)} has {found}"


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    return dev.mint(gateway.state, ["support", "engineer"], 600, time.time(), subject="agent")


@pytest.fixture(scope="module")
def environment(gateway: Gateway, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What `lockgate run` gives to a process, which keeps the relay there until the tests are over.

    Each client is a process with this environment: `lockgate run` takes longer to start than most of them.
    """
    home = tmp_path_factory.mktemp("home")
    shown = home / "token"
    shown.write_text(token)
    given = ["--gateway", gateway.proxy, "--rules", str(gateway.rules), "--ca", str(gateway.ca)]
    command = [sys.executable, "-m", "lockgate", "run", *given, "--token-file", str(shown), "--", "sh", "-c", SHOW]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=around(home), stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin and process.stdout and process.stderr
        shows = process.stdout.readline()
        found: dict[str, str] = json.loads(shows) if shows else {}
        assert found, process.stderr.read()
        yield found
        process.stdin.close()
        assert process.wait(20) == 0
        assert "Taken out of its environment: CRM_TOKEN" in process.stderr.read()


# Prints its environment, and waits until its input ends.
SHOW = "python -c 'import json, os; print(json.dumps(dict(os.environ)))' && cat"


def around(home: Path) -> dict[str, str]:
    """Where agents are started from: nothing of this machine's settings, and the gateway's secrets within reach."""
    return {
        "PATH": PATH,
        "HOME": str(home),
        "GIT_TERMINAL_PROMPT": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_VERBOSE": "2",
        **AUTHOR,
        **SECRETS,
    }


@pytest.fixture
def run(environment: dict[str, str], token: str, tmp_path: Path, targets: Targets) -> Iterator[Run]:
    """Runs a client; its targets get nothing of the agent's token."""
    watches = [upstream.watch() for upstream in (targets.api, targets.model, targets.git, targets.pypi)]
    targets.tickets.forget()

    def ran(*command: str) -> subprocess.CompletedProcess[str]:
        place: dict[str, Any] = {"cwd": tmp_path, "env": environment, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, **place, capture_output=True, text=True, timeout=60, check=False)

    yield ran
    got = b"".join(watch.plain for watch in watches) + targets.tickets.plain
    assert token.encode() not in got
    assert b"proxy-authorization" not in got.lower()


def refused(watch: Watch) -> bool:
    """Whether a target got nothing: no connection, and no byte on one that was there before."""
    return (watch.connections, watch.plain) == (0, b"")


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_agents_have_no_secret(environment: dict[str, str], token: str) -> None:
    values = " ".join(environment.values())
    assert not [secret for secret in (*SECRETS.values(), token) if secret in values]


# A JSON API: curl and Node.js


def customer_is_masked(text: str) -> None:
    customer = json.loads(text)
    assert (customer["name"], customer["ssn"]) == ("Ada Marsh", "[redacted]")
    assert customer["payment"] == {"card": "[redacted]", "method": "visa"}
    assert not [value for value in HIDDEN if value in text]


def api_saw_its_own_token(watch: Watch) -> None:
    (seen,) = watch.requests
    assert (seen.method, seen.target) == ("GET", "/v1/customers/42")
    assert seen.header("authorization") == f"Bearer {SECRETS['CRM_TOKEN']}"


@needs("curl")
def test_curl(run: Run, targets: Targets) -> None:
    watch = targets.api.watch()
    ended = run("sh", str(EXAMPLES / "curl" / "customer.sh"), "42")
    assert ended.returncode == 0, ended.stderr
    customer_is_masked(ended.stdout)
    api_saw_its_own_token(watch)


@needs("curl")
def test_curl_sees_why_it_may_not_delete(run: Run, targets: Targets) -> None:
    watch = targets.api.watch()
    ended = run("sh", str(EXAMPLES / "curl" / "customer.sh"), "42", "DELETE")
    assert ended.returncode == 22, ended.stderr
    assert json.loads(ended.stdout)["rule"] == "support/no-deletion"
    assert refused(watch)


@needs("curl")
def test_curl_gets_to_no_other_host(run: Run) -> None:
    ended = run("curl", "--silent", "--show-error", "--fail-with-body", f"https://{ELSEWHERE}/")
    assert ended.returncode == 22, ended.stderr
    assert json.loads(ended.stdout)["status"] == 403


@pytest.fixture(scope="module")
def node_agent(pytestconfig: pytest.Config) -> str:
    return str(install(EXAMPLES / "node", pytestconfig) / "agent.mjs")


def test_node(run: Run, node_agent: str, targets: Targets) -> None:
    watch = targets.api.watch()
    ended = run("node", node_agent, "42")
    assert ended.returncode == 0, ended.stderr
    status, _, body = ended.stdout.partition(" ")
    assert status == "200"
    customer_is_masked(body)
    api_saw_its_own_token(watch)


def test_node_sees_why_it_may_not_delete(run: Run, node_agent: str, targets: Targets) -> None:
    watch = targets.api.watch()
    ended = run("node", node_agent, "42", "DELETE")
    assert ended.returncode == 1, ended.stderr
    status, _, body = ended.stdout.partition(" ")
    assert (status, json.loads(body)["rule"]) == ("403", "support/no-deletion")
    assert refused(watch)


# git


@needs("git")
def test_git_clones(run: Run, targets: Targets, tmp_path: Path) -> None:
    watch = targets.git.watch()
    ended = run("sh", str(EXAMPLES / "git" / "clone.sh"), "handbook")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "handbook" / "welcome.md").read_text() == "Read me first.\n"
    assert {seen.path for seen in watch.requests} == {
        "/team/handbook.git/info/refs",
        "/team/handbook.git/git-upload-pack",
    }
    mine = basic("x-access-token", SECRETS["GIT_TOKEN"])
    assert {seen.header("authorization") for seen in watch.requests} == {mine}


@needs("git")
def test_git_cannot_push(run: Run, targets: Targets, tmp_path: Path) -> None:
    ended = run("sh", str(EXAMPLES / "git" / "clone.sh"), "handbook")
    assert ended.returncode == 0, ended.stderr
    git(tmp_path / "handbook", "commit", "--quiet", "--allow-empty", "--message=Not asked for")
    watch = targets.git.watch()
    ended = run("git", "-C", "handbook", "push")
    assert ended.returncode == 128
    assert "error: 403" in ended.stderr
    assert refused(watch)


@needs("git")
def test_git_gets_to_no_other_host(run: Run) -> None:
    ended = run("git", "clone", f"https://{ELSEWHERE}/team/handbook.git")
    assert ended.returncode == 128
    assert "error: 403" in ended.stderr


# pip


@needs("pip")
def test_pip_downloads(run: Run, targets: Targets, tmp_path: Path) -> None:
    watch = targets.pypi.watch()
    ended = run("sh", str(EXAMPLES / "pip" / "download.sh"), "tinylib")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / file_name("tinylib")).is_file()
    assert {seen.path for seen in watch.requests} == {"/simple/tinylib/", f"/files/{file_name('tinylib')}"}
    mine = basic("__token__", SECRETS["PYPI_TOKEN"])
    assert {seen.header("authorization") for seen in watch.requests} == {mine}


@needs("pip")
def test_pip_gets_no_other_package(run: Run, targets: Targets, tmp_path: Path) -> None:
    watch = targets.pypi.watch()
    ended = run("sh", str(EXAMPLES / "pip" / "download.sh"), "otherlib")
    assert ended.returncode == 1
    assert "No matching distribution found for otherlib" in ended.stderr
    assert "403 Client Error" in ended.stdout
    assert not (tmp_path / file_name("otherlib")).exists()
    assert refused(watch)


# MCP


def test_mcp_lists_tools_and_calls_one(run: Run, targets: Targets) -> None:
    ended = run(sys.executable, str(EXAMPLES / "mcp" / "client.py"), "get_ticket", '{"number": 7}')
    assert ended.returncode == 0, ended.stderr
    tools, ticket = map(json.loads, ended.stdout.splitlines())
    assert tools == ["get_ticket", "delete_ticket"]
    assert ticket == {**TICKET, "reporter": {"name": "Ada", "email": "[redacted].example"}}
    requests = re.findall(rb"POST /mcp HTTP/1.1", targets.tickets.plain)
    own = f"authorization: Bearer {SECRETS['TICKETS_TOKEN']}".encode()
    assert len(re.findall(re.escape(own), targets.tickets.plain, re.IGNORECASE)) == len(requests) > 0


def test_mcp_calls_no_tool_it_may_not(run: Run, targets: Targets) -> None:
    ended = run(sys.executable, str(EXAMPLES / "mcp" / "client.py"), "delete_ticket", '{"number": 7}')
    assert ended.returncode == 1
    assert json.loads(ended.stdout) == ["get_ticket", "delete_ticket"]
    assert ended.stderr.startswith("delete_ticket: ")
    assert b"tools/list" in targets.tickets.plain
    assert b"tools/call" not in targets.tickets.plain


# The OpenAI Agents SDK


def test_openai_agent(run: Run, targets: Targets, gateway: Gateway) -> None:
    """Its model obeys what stands in the customer's notes, and asks for an export of all."""
    api, asked = targets.api.watch(), targets.model.watch()
    ended = run(sys.executable, str(EXAMPLES / "openai_agents" / "agent.py"), "Tell me about customer 42.")
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    (answer,) = [event for event in events if event["event"] == "answer"]
    assert answer["text"].startswith("Ada Marsh ([redacted]mple) is customer 42.")
    assert answer["text"].endswith("I tried, and was refused: Bulk export needs a ticket.")
    assert answer["pieces"] > 10

    read, export = [event for event in events if event["event"] == "tool"]
    assert read["status"] == 200
    customer_is_masked(read["body"])
    assert (export["status"], json.loads(export["body"])["rule"]) == (403, "support/no-bulk-export")
    api_saw_its_own_token(api)
    assert b"export" not in api.plain

    assert {seen.target for seen in asked.requests} == {"/v1/responses"}
    assert {seen.header("authorization") for seen in asked.requests} == {f"Bearer {SECRETS['OPENAI_API_KEY']}"}
    assert b"placeholder" not in asked.plain
    assert not [value for value in HIDDEN if value.encode() in asked.plain]

    (said,) = [event["message"] for event in events if event["event"] == "sdk"]
    assert "403" in said
    traces = gateway.records(1, path="/v1/traces/ingest")
    assert {(record["refusal"]["status"], record["sent"]) for record in traces} == {(403, False)}


# Ways past the rules, for who writes requests by hand

CALL = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_ticket", "arguments": {}}}'
LIST = '{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}'
REFS = f"https://{GIT}/team/handbook.git/info/refs"
RPC = ("--header", "Content-Type: application/json", f"https://{TICKETS}/mcp", "--data")


@needs("curl")
@pytest.mark.parametrize(
    "request_line",
    [
        pytest.param((*RPC, CALL), id="MCP: the call itself"),
        pytest.param((*RPC, f"[{LIST}, {CALL}]"), id="MCP: a batch"),
        pytest.param((*RPC, CALL.replace('"method"', '"method": "tools/list", "method"')), id="MCP: two methods"),
        pytest.param((*RPC, CALL.replace('"method"', '"method": "tools/list", "Method"')), id="MCP: another case"),
        pytest.param((*RPC, CALL.replace('"name"', '"name": "get_ticket", "name"')), id="MCP: two names"),
        pytest.param((*RPC, ""), id="MCP: no body"),
        pytest.param((f"https://{TICKETS}/mcp",), id="MCP: the server's own stream"),
        pytest.param((f"{REFS}?service=git-receive-pack",), id="git: to push"),
        pytest.param((f"{REFS}?service=git-upload-pack&service=git-receive-pack",), id="git: two services"),
        pytest.param((f"{REFS}?service=git-upload-pack&Service=git-receive-pack",), id="git: another case"),
        pytest.param((REFS,), id="git: the dumb protocol"),
        pytest.param((f"https://{GIT}/team/handbook.git/git-receive-pack", "--data", "0000"), id="git: a push at once"),
        pytest.param((f"https://{PYPI}/simple/tinylib/../otherlib/",), id="pip: up and down again"),
        pytest.param((f"https://{PYPI}/simple/tinylib%2f..%2fotherlib/",), id="pip: encoded"),
        pytest.param((f"https://{PYPI}/files/tinylib-1/../{file_name('otherlib')}",), id="pip: another's file"),
    ],
)
def test_nothing_gets_past(run: Run, targets: Targets, request_line: tuple[str, ...]) -> None:
    watches = [targets.git.watch(), targets.pypi.watch()]
    ended = run("curl", "--silent", "--fail-with-body", "--path-as-is", *request_line)
    assert ended.returncode == 22, ended.stderr
    assert json.loads(ended.stdout)["status"] in {400, 403}
    assert all(refused(watch) for watch in watches)
    assert targets.tickets.plain == b""
