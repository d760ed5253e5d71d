"""Issuers whose keys are fetched: a certified OpenID provider, and hostile ones. Who is not identified goes nowhere."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.expect import eventually, refused
from harness.gateway import MAIN, Gateway, MakeGateway, free_port, head, identity
from harness.hostile_issuers import NAMES, PROBLEMS, SLOW, SYMMETRIC, HostileIssuers
from harness.issuer import Issuer
from harness.npm import install
from harness.openid_provider import DEVICE, SOURCE, OpenIdProvider
from harness.pki import Authority
from harness.rules import CRM, PLAIN, SUPPORT
from harness.upstream import RecordingUpstream, Watch
from harness.wire import Wire
from lockgate.launch import device

COOL_DOWN, RETRY, TIMEOUT = 1.0, 0.3, 2.0  # seconds: shorter than they are, so that tests can wait for their end
SCRIPT = f"""\
import sys
sys.path.insert(0, {str(MAIN.parent)!r})
from lockgate.identity import oidc, remote
from lockgate.recordings import strangers
strangers.ONE_BY_ONE = 1000
remote.COOL_DOWN, remote.RETRY, oidc.TIMEOUT = {COOL_DOWN}, {RETRY}, {TIMEOUT}
from lockgate.chain import addons
"""

DOWN = "nobody there"
Make = Callable[[dict[str, str]], Gateway]
Ask = Callable[[str, str], Wire]


def gateway_yaml(ca: Path, issuers: dict[str, str]) -> str:
    """The file, with issuers by their names; what more there is to say of each is the value."""
    entry = """\
  - issuer: {}
    audience: lockgate
    algorithms: [RS256, ES256]
    roles: $.realm_access.roles[*]
    ca: {}
    {}
"""
    return "issuers:\n" + "".join(entry.format(name, ca, more) for name, more in issuers.items())


@pytest.fixture(scope="module")
def make(make_module_gateway: MakeGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Makes a gateway that does not wait for long; not yet started."""
    script = tmp_path_factory.mktemp("script") / "chain.py"
    script.write_text(SCRIPT)
    made = []

    def make(files: dict[str, str]) -> Gateway:
        made.append(make_module_gateway(files, script=script))
        return made[-1]

    yield make
    for gateway in made:
        assert gateway.stop() == 0
        assert not [word for word in ("crashed", "Traceback", "HTTP Request", SYMMETRIC["k"]) if word in gateway.output]


def untouched(seen: Watch) -> bool:
    return (seen.connections, seen.raw) == (0, b"")


def rejected(gateway: Gateway, token: str, status: int) -> str:
    """Assert that a token opens no tunnel; what is said of it."""
    wire, reply = gateway.connect(token, CRM)
    with wire:
        return str(refused(reply, status)["detail"])


def said(gateway: Gateway, issuer: str) -> list[str]:
    return [line for line in gateway.output.splitlines() if f"The keys of {issuer} cannot be fetched" in line]


# A certified provider


@pytest.fixture(scope="module")
def installed(pytestconfig: pytest.Config, authority: Authority) -> Iterator[OpenIdProvider]:
    provider = OpenIdProvider(install(SOURCE, pytestconfig), authority)
    yield provider
    provider.stop()


@pytest.fixture
def provider(installed: OpenIdProvider) -> OpenIdProvider:
    return installed if installed.running else installed.start()


@pytest.fixture(scope="module")
def files(installed: OpenIdProvider, rule_files: dict[str, str], authority: Authority) -> dict[str, str]:
    return {**rule_files, "gateway.yaml": gateway_yaml(authority.pem, {installed.issuer: ""})}


@pytest.fixture(scope="module")
def gateway(make: Make, files: dict[str, str], installed: OpenIdProvider) -> Gateway:
    """Started while the provider is down: it is asked again when there is a token of it."""
    gateway = make(files).start()
    eventually(lambda: said(gateway, installed.issuer), "it says that it cannot fetch")
    return gateway


def passes(gateway: Gateway, token: str) -> bool:
    wire, reply = gateway.connect(token, CRM)
    with wire:
        return reply.status == 200


def test_its_tokens_identify(gateway: Gateway, provider: OpenIdProvider) -> None:
    token = provider.token()
    eventually(lambda: passes(gateway, token), "its key is known")
    assert f"The keys of {provider.issuer} are fetched again." in gateway.output
    assert gateway.ask("GET", "/v1/json", token).status == 200
    assert gateway.records(1, path="/v1/json")[0]["principal"]["subject"] == "agent-7"


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_keys_rotate(gateway: Gateway, provider: OpenIdProvider, crm: RecordingUpstream, algorithm: str) -> None:
    before = provider.token()
    eventually(lambda: passes(gateway, before), "its key is known")
    provider.rotate(algorithm)
    after = provider.token()
    eventually(lambda: passes(gateway, after), "the new key is known")
    seen = crm.watch()
    assert "unknown key" in rejected(gateway, before, 407)
    assert untouched(seen)


def subjects(gateway: Gateway) -> set[str]:
    return {record["principal"]["subject"] for record in gateway.records(1, path="/v1/json")}


async def test_a_person_lets_an_agent_in_by_device_code(
    gateway: Gateway, provider: OpenIdProvider, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "INTERVAL", 0.2)
    told = asyncio.Queue[str]()
    asked = await device.discover(provider.issuer, authority.pem)
    agent = device.Device(asked, DEVICE, "offline_access", "lockgate", told.put_nowait)
    waiting = asyncio.create_task(agent.token())
    found = re.fullmatch(r"Open (\S+) and enter (\S+) to let this agent in\.", await told.get())
    assert found is not None
    page = await asyncio.to_thread(provider.let_in, found[1], found[2], "ada")
    assert "Sign-in Success" in page, page
    token = await waiting
    assert gateway.ask("GET", "/v1/json", token).status == 200
    eventually(lambda: "ada" in subjects(gateway), "it is recorded under the person's name")
    assert await agent.token() != token  # by its refresh token
    assert told.empty(), "asked again"


def test_a_tunnel_ends_with_its_key(gateway: Gateway, provider: OpenIdProvider, crm: RecordingUpstream) -> None:
    before = provider.token()
    eventually(lambda: passes(gateway, before), "its key is known")
    with gateway.tunnel(before) as wire:
        assert wire.ask(head("GET", "/v1/json", CRM)).status == 200
        provider.rotate()
        after = provider.token()
        eventually(lambda: passes(gateway, after), "the new key is known")
        seen = crm.watch()
        refused(wire.ask(head("GET", "/v1/json", CRM)), 401)
    assert untouched(seen)


def test_it_is_down_for_a_while(
    gateway: Gateway, provider: OpenIdProvider, files: dict[str, str], crm: RecordingUpstream
) -> None:
    """Whom it vouched for before goes on, after a change of the rules too."""
    token, other = provider.token(), provider.token()
    eventually(lambda: passes(gateway, token), "its key is known")
    provider.stop()
    assert gateway.ask("GET", "/v1/json", token).status == 200
    gateway.write_rules({"roles/idle.yaml": files["roles/idle.yaml"] + "# changed\n"})
    reloads(gateway)
    for held in (token, other):
        assert gateway.ask("GET", "/v1/json", held).status == 200


def reloads(gateway: Gateway) -> None:
    count = gateway.output.count("Rules reloaded")
    assert gateway.process
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.output.count("Rules reloaded") > count, f"a reload:\n{gateway.output}")


# Hostile ones


@pytest.fixture(scope="module")
def hostile(authority: Authority, issuer: Issuer) -> Iterator[HostileIssuers]:
    hostile = HostileIssuers(authority, issuer.jwks)
    yield hostile
    hostile.close()


@pytest.fixture(scope="module")
def fetching(make: Make, rule_files: dict[str, str], hostile: HostileIssuers, authority: Authority) -> Gateway:
    """A gateway that fetches the keys of each of them, and of one that is not there."""
    issuers = {f"{hostile.base}/{name}": "" for name in NAMES}
    issuers |= {"any name": f"jwks: {hostile.base}/named/keys", DOWN: f"jwks: https://localhost:{free_port()}/keys"}
    return make({**rule_files, "gateway.yaml": gateway_yaml(authority.pem, issuers)}).start()


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_no_key_set_identifies_nobody(
    fetching: Gateway, crm: RecordingUpstream, issuer: Issuer, hostile: HostileIssuers, name: str
) -> None:
    """Though the key that signed the token is in it."""
    seen, iss = crm.watch(), f"{hostile.base}/{name}"

    def is_refused() -> bool:
        """And for what it is, even on a machine so busy that the first fetch was too slow."""
        assert hostile.base not in rejected(fetching, issuer.token("support", iss=iss), 503)
        return PROBLEMS[name] in said(fetching, iss)[-1]

    eventually(is_refused, "its keys are fetched")
    assert untouched(seen)
    assert hostile.asked("elsewhere") == 0
    assert (hostile.asked(name) == 0) is (name in ("another-issuer", "keys-over-http"))


def test_a_good_one_beside_them_identifies(fetching: Gateway, issuer: Issuer, hostile: HostileIssuers) -> None:
    for iss in (f"{hostile.base}/good", "any name"):
        assert fetching.ask("GET", "/v1/json", issuer.token("support", iss=iss)).status == 200


def test_one_that_is_down_costs_little_time(fetching: Gateway, crm: RecordingUpstream, issuer: Issuer) -> None:
    seen, started = crm.watch(), time.monotonic()
    for _ in range(10):
        rejected(fetching, issuer.token("support", iss=DOWN), 503)
    assert time.monotonic() - started < TIMEOUT
    assert untouched(seen)
    assert len(said(fetching, DOWN)) < 3


Forge = Callable[[Issuer, str, str], str]  # what an issuer may sign, the `iss` that is trusted, where another key is
FORGED: dict[str, Forge] = {
    "hs256-with-the-public-key": lambda issuer, iss, _: issuer.confused_token("support", iss=iss),
    "alg-none": lambda issuer, iss, _: issuer.unsigned_token("support", iss=iss),
    "rs256-with-the-kid-of-an-ec-key": lambda issuer, iss, _: issuer.token("support", iss=iss, kid="ec-1"),
    "es256-with-the-kid-of-an-rsa-key": lambda issuer, iss, _: issuer.token(
        "support", iss=iss, kid="rsa-1", algorithm="ES256"
    ),
    "strangers-key": lambda issuer, iss, _: issuer.strangers_token("support", iss=iss),
    "jwk": lambda issuer, iss, _: issuer.strangers_token("support", iss=iss, header={"jwk": issuer.strangers_jwk}),
    "jku": lambda issuer, iss, url: issuer.strangers_token("support", iss=iss, header={"jku": url}),
    "x5u": lambda issuer, iss, url: issuer.strangers_token("support", iss=iss, header={"x5u": url}),
    "kid-is-a-url": lambda issuer, iss, url: issuer.strangers_token("support", iss=iss, header={"kid": url}),
    "iss-nobody-trusts": lambda issuer, _, url: issuer.token("support", iss=url.removesuffix("/keys")),
    "iss-with-a-slash": lambda issuer, iss, _: issuer.token("support", iss=f"{iss}/"),
}


@pytest.mark.parametrize("forge", [pytest.param(forge, id=name) for name, forge in FORGED.items()])
def test_forged_tokens(
    fetching: Gateway, crm: RecordingUpstream, issuer: Issuer, hostile: HostileIssuers, forge: Forge
) -> None:
    seen, elsewhere = crm.watch(), f"{hostile.base}/elsewhere"
    rejected(fetching, forge(issuer, f"{hostile.base}/good", f"{elsewhere}/keys"), 407)
    assert untouched(seen)
    assert not [asked for asked in hostile.server.requests if asked.path.startswith("/elsewhere")]


def test_a_flood_of_made_up_keys(
    fetching: Gateway, crm: RecordingUpstream, issuer: Issuer, hostile: HostileIssuers
) -> None:
    seen, before, started = crm.watch(), hostile.asked("good"), time.monotonic()
    for number in range(60):
        rejected(fetching, issuer.token("support", iss=f"{hostile.base}/good", kid=f"key-{number}"), 407)
    assert hostile.asked("good") - before <= 1 + (time.monotonic() - started) / COOL_DOWN
    assert untouched(seen)


# What may happen while a request waits for keys


@pytest.fixture
def waits(fetching: Gateway, issuer: Issuer, hostile: HostileIssuers) -> Iterator[Ask]:
    """Sends a plain request, whole, of a caller whose issuer keeps the gateway waiting."""
    hostile.tell.clear()
    wires = []

    def waits(name: str, path: str) -> Wire:
        iss = f"{hostile.base}/{name}"
        eventually(lambda: said(fetching, iss), "the first fetch, at the start, has failed")
        time.sleep(RETRY)
        before = hostile.asked(name)
        wires.append(fetching.dial())
        fields = identity(issuer.token("support", iss=iss))
        wires[-1].send(
            head("POST", f"http://{PLAIN}{path}", PLAIN, "Content-Type: application/json", *fields, body=b"{}")
        )
        eventually(lambda: hostile.asked(name) > before, "the gateway fetches")
        return wires[-1]

    yield waits
    for wire in wires:
        wire.close()


def test_a_client_hangs_up(fetching: Gateway, plain: RecordingUpstream, hostile: HostileIssuers, waits: Ask) -> None:
    seen = plain.watch()
    waits(SLOW[0], "/v1/gone").close()
    time.sleep(0.1)
    hostile.tell.set()
    [record] = fetching.records(1, path="/v1/gone")
    assert "hung up" in record["refusal"]["detail"]
    assert untouched(seen)


def test_the_rules_change(fetching: Gateway, plain: RecordingUpstream, hostile: HostileIssuers, waits: Ask) -> None:
    seen = plain.watch()
    with waits(SLOW[1], "/v1/changed") as wire:
        fetching.write_rules({"roles/support.yaml": SUPPORT.replace("crm|plain /v1/{what}", "crm /v1/{what}")})
        reloads(fetching)
        hostile.tell.set()
        refused(wire.reply(to="POST"), 403)
    assert untouched(seen)
