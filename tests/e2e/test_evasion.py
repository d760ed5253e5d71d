"""The evasion corpus: nothing refused arrives in any form, and each request gets its own answer (laws 1, 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from harness.corpus import Case, load_all
from harness.gateway import MAIN, READY, MakeGateway, free_port
from harness.issuer import Issuer
from harness.pki import Authority
from harness.play import Stage
from harness.rules import CRM, rules
from harness.starts import STILL_RUNNING, Start, run
from harness.upstream import Connection, RecordingUpstream, Seen

SEPARATE = ("option",)  # classes that are played in another way
ROLE = """\
role: support
rules:
  - {id: read, allow: 'GET|HEAD crm|plain /v1/{what}', mask: {$..ssn: redact, $..email: redact, $.payment.card: redact}}
  - {id: open, allow: 'GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|QUERY crm|plain|books /open/**'}
  - {id: small, allow: POST crm|plain /refunds, when: body.amount <= 500}
  - {id: own, allow: GET crm|plain /list, when: 'request.query.scope == "own"'}
  - {id: tenant, allow: GET crm|plain /tenant, when: 'request.headers["x-tenant"] == "a"'}
  - {id: mine, allow: POST crm|plain /transfer, when: 'body.to == "own"'}
  - {id: task, allow: POST crm|plain /tasks, when: 'body.task == "own"'}
  - {id: users, allow: 'GET crm|plain /users/{id}', when: path.id == "me"}
  - {id: no-admin, deny: any crm|plain /open/admin/**}
"""


@pytest.fixture(scope="module")
def stage(make_module_gateway: MakeGateway, authority: Authority, issuer: Issuer) -> Iterator[Stage]:
    """One gateway for all cases, in two modes, in front of targets of its own."""
    played: list[Stage] = []

    def answer(connection: Connection, seen: Seen) -> None:
        played[0].respond(connection, seen)

    crm, plain = RecordingUpstream(answer, authority.server_context(CRM)), RecordingUpstream(answer)
    books = f'  books: {{url: "http://xn--bcher-kva.example", connect: "127.0.0.1:{plain.port}", private: true}}\n'
    files = rules(crm.port, plain.port, issuer.jwks, extra=books)
    reverse = {"reverse": free_port(), "reverse-elsewhere": free_port()}
    modes = ["--mode", "regular", "--mode", f"reverse:https://{CRM}@{reverse['reverse']}"]
    modes += ["--mode", f"reverse:https://unknown.example@{reverse['reverse-elsewhere']}"]
    gateway = make_module_gateway({**files, "roles/support.yaml": ROLE}, options=modes).start()
    played.append(Stage(gateway, issuer, {"crm": crm, "plain": plain}, reverse))
    yield played[0]
    assert played[0].settled()
    gateway.stop()
    assert "crashed" not in gateway.output
    assert "Traceback" not in gateway.output
    crm.close()
    plain.close()


CASES = [case for case in load_all() if case.kind not in SEPARATE]


def parameter(case: Case) -> ParameterSet:
    marks = [pytest.mark.xfail(strict=True, reason=case.open)] if case.open else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_evasion(stage: Stage, case: Case) -> None:
    stage.play(case)
    assert stage.gateway.running, stage.gateway.output[-2000:]


OPTIONS = load_all("option")


@dataclass(frozen=True)
class Ended:
    """How a start came out."""

    code: int
    output: str


@pytest.fixture(scope="module")
def ended(make_module_gateway: MakeGateway) -> dict[str, Ended]:
    """Every case of the class `option`, started."""
    starts: list[Start] = []
    for case in OPTIONS:
        gateway = make_module_gateway(options=case.data.get("options", ()), environment=case.data.get("environment"))
        (gateway.home / "other.py").write_text("addons = []\n")
        (gateway.home / "flows").write_bytes(b"")
        (gateway.confdir / "config.yaml").write_text(case.data.get("config", ""))
        starts.append(gateway.to_start())
    codes = run(starts, MAIN.parent)
    return {
        case.id: Ended(code, Path(start.output).read_text())
        for case, start, code in zip(OPTIONS, starts, codes, strict=True)
    }


@pytest.mark.parametrize("case", [parameter(case) for case in OPTIONS])
def test_options_that_are_not_to_be_set(ended: dict[str, Ended], case: Case) -> None:
    found = ended[case.id]
    assert found.code not in (0, STILL_RUNNING), found.output
    assert "Traceback" not in found.output
    assert READY not in found.output
    assert 1 <= len(found.output.strip().splitlines()) <= 3, found.output
