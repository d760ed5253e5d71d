"""Fixtures of the end-to-end tests: targets and an issuer for the session, gateways shared or of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.certs import CertStore
from mitmproxy.http import HTTPFlow

from harness import answers
from harness.expect import leaks
from harness.gateway import MAIN, Gateway, MakeGateway, free_port
from harness.holding import Beside, Holding, MakeHolding, approvals, files_of
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM, gateway_yaml, rules
from harness.upstream import RecordingUpstream

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA for the gateways to share: to make one takes most of a second."""
    home = tmp_path_factory.mktemp("confdir")
    CertStore.from_store(home, "mitmproxy", 2048)
    return home


@pytest.fixture(scope="session")
def crm(authority: Authority) -> Iterator[RecordingUpstream]:
    """The target `crm`: https, with the gateway's credential."""
    upstream = RecordingUpstream(answers.answer, authority.server_context(CRM))
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def plain(authority: Authority) -> Iterator[RecordingUpstream]:
    """The target `plain`: http, no credential."""
    upstream = RecordingUpstream(answers.answer)
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def rule_files(crm: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer) -> dict[str, str]:
    return rules(crm.port, plain.port, issuer.jwks)


def _maker(home: Path, defaults: dict[str, Any], made: list[Gateway]) -> MakeGateway:
    def make(rules: dict[str, str] | None = None, **arguments: Any) -> Gateway:
        place = home / f"gateway-{len(made)}"
        place.mkdir()
        gateway = Gateway(place, **{**defaults, **({"rules": rules} if rules else {}), **arguments})
        made.append(gateway)
        return gateway

    return make


@pytest.fixture(scope="module")
def make_module_gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, confdir: Path, rule_files: dict[str, str]
) -> Iterator[MakeGateway]:
    """As `make_gateway`, for gateways that a module's tests share."""
    made: list[Gateway] = []
    defaults = {"rules": rule_files, "confdir": confdir, "trusted_ca": authority.pem}
    yield _maker(tmp_path_factory.mktemp("gateways"), defaults, made)
    for gateway in made:
        gateway.kill9()


@pytest.fixture
def make_gateway(
    tmp_path: Path, authority: Authority, confdir: Path, rule_files: dict[str, str]
) -> Iterator[MakeGateway]:
    """Makes a gateway of the test's own, not yet started, with the usual rules unless told otherwise."""
    made: list[Gateway] = []
    yield _maker(tmp_path, {"rules": rule_files, "confdir": confdir, "trusted_ca": authority.pem}, made)
    for gateway in made:
        gateway.kill9()


@pytest.fixture(scope="session")
def shared_gateway(
    tmp_path_factory: pytest.TempPathFactory,
    authority: Authority,
    confdir: Path,
    rule_files: dict[str, str],
    issuer: Issuer,
) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), rule_files, confdir=confdir, trusted_ca=authority.pem)
    try:
        yield gateway.start()
        gateway.stop()
        assert "crashed" not in gateway.output
        assert "Traceback" not in gateway.output
        # Laws 3 and 4, over all that every test has done: no secret of either side, nothing that a rule masks.
        secrets = [answers.CRM_TOKEN, *(token.rpartition(".")[2] for token in issuer.issued)]
        for path, content in gateway.traces().items():
            unmasked = answers.UNMASKED if ".mitm" not in path.name else ()
            found = [secret for secret in (*secrets, *unmasked) if secret and secret.encode() in content]
            assert not found, f"{path.relative_to(gateway.home)} has {found}"
        for flow in gateway.flows():
            path = flow.request.path if isinstance(flow, HTTPFlow) else ""
            if not path.startswith("/open/"):
                assert leaks(repr(flow.get_state()).encode()) == [], f"the record of {path}"
    finally:
        gateway.kill9()


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway that all tests share which leave it as they found it."""
    assert shared_gateway.running, shared_gateway.output
    yield shared_gateway
    assert shared_gateway.running, shared_gateway.output


@pytest.fixture
def token(issuer: Issuer) -> str:
    """A good token of an agent with the role `support`."""
    return issuer.token("support")


@pytest.fixture
def script_with(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a script that runs some lines before it loads the chain: shorter times, smaller limits."""

    def make(lines: str) -> Path:
        script = tmp_path / "chain.py"
        path = f"import sys\nsys.path.insert(0, {str(MAIN.parent)!r})\n"
        script.write_text(f"{path}{lines}\nfrom lockgate.chain import addons\n")
        return script

    return make


@pytest.fixture(scope="module")
def held_target(authority: Authority) -> Iterator[RecordingUpstream]:
    found = RecordingUpstream(answers.answer, authority.server_context(CRM))
    yield found
    found.close()


@pytest.fixture(scope="module")
def holding(make_module_gateway: MakeGateway, held_target: RecordingUpstream, issuer: Issuer) -> Holding:
    port = free_port()
    return Holding(make_module_gateway(files_of(held_target, issuer, port)).start(), port, issuer, held_target)


@pytest.fixture
def make_holding(make_gateway: MakeGateway, held_target: RecordingUpstream, issuer: Issuer) -> MakeHolding:
    """Makes one of the test's own; `more` goes into `approvals`, files by their path."""

    def make(more: str = "", files: dict[str, str] | None = None, **arguments: Any) -> Holding:
        port = free_port()
        gateway_file = gateway_yaml() + approvals(port, more)
        different = {"gateway.yaml": gateway_file, **(files or {})}
        made = make_gateway(files_of(held_target, issuer, port, **different), **arguments)
        return Holding(made.start(), port, issuer, held_target)

    return make


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Runs something that waits, such as a request that is held."""
    with ThreadPoolExecutor(64) as pool:
        yield pool.submit
