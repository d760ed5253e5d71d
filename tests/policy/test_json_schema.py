"""What editors are told of rules files, against what the loader takes. Files are read as editors read them: typed."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import ValidationError

from lockgate.errors import Problem
from lockgate.model import MaskKind
from lockgate.policy import cases, json_schema, schema
from lockgate.policy.schema import Model, values
from lockgate.policy.schema.credentials import Credential, Jwt, OAuth2, Vault
from lockgate.policy.schema.gateway import Issuer
from lockgate.policy.schema.rules import Guardrail, Rule
from lockgate.policy.schema.targets import Target

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema.generate()
VALIDATOR = Draft7Validator(SCHEMA)
RULES = [*sorted((ROOT / "rules").rglob("*.yaml")), *sorted((ROOT / "examples" / "rules").rglob("*.yaml"))]
PAGES = ["README.md", "docs/rules.md"]


class EditorLoader(yaml.SafeLoader):
    """Types scalars by YAML 1.2's core schema, as editors do: no dates, and `yes` is text."""

    yaml_implicit_resolvers: Mapping[str, Any] = {}


for tag, pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
}.items():
    EditorLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^({pattern})$"), None)


def wrong_in(text: str) -> list[tuple[str | int, ...]]:
    """The place of every error that an editor shows."""
    document = yaml.load(text, Loader=EditorLoader)
    return sorted({tuple(error.absolute_path) for error in VALIDATOR.iter_errors(document)}, key=str)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a schema."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from nodes(each)


def models() -> set[type[Model]]:
    parts = [import_module(f"{schema.__name__}.{part.name}") for part in iter_modules(schema.__path__)]
    members = [member for part in (*parts, cases) for _, member in inspect.getmembers(part, inspect.isclass)]
    return {member for member in members if issubclass(member, Model)}


# The schema itself.


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_shipped_one_is_current() -> None:
    current = (ROOT / "rules" / "schema.json").read_text() == json_schema.written_out()
    assert current, "write it anew: .venv/bin/lockgate schema > rules/schema.json"


def test_it_is_always_the_same() -> None:
    text = json_schema.written_out()
    assert text == json_schema.written_out()
    assert text.endswith("}\n")
    assert json.loads(text) == SCHEMA


def test_every_key_is_described() -> None:
    for name, definition in SCHEMA["definitions"].items():
        for key, value in definition["properties"].items():
            assert value["description"], f"{name}.{key}"
            assert key == "body" or value.keys() - {"description"}, f"anything would be taken as {name}.{key}"


def test_every_model_is_in_it() -> None:
    abstract = {"Model", "Matching", "Message"}
    assert SCHEMA["definitions"].keys() == {model.__name__ for model in models()} - abstract


def test_every_mask_is_in_it() -> None:
    plain, mapping = json_schema.VALUES[values.strategy]["anyOf"]
    assert {*plain["enum"], *mapping["properties"]} == set(get_args(MaskKind)) - {"detect"}


def test_examples_fit() -> None:
    found = [(node, example) for node in nodes(SCHEMA["definitions"]) for example in node.get("examples", ())]
    assert len(found) > 20
    assert [example for node, example in found if not Draft7Validator(node).is_valid(example)] == []


def test_patterns_mean_the_same_in_javascript() -> None:
    """Editors take them with the u flag (ECMA-262): no extensions of Python's, no needless escapes."""
    patterns = {node["pattern"] for node in nodes(SCHEMA) if isinstance(node.get("pattern"), str)}
    assert len(patterns) > 10
    for pattern in patterns:
        assert "(?" not in pattern
        assert set(re.findall(r"\\(.)", pattern)) <= set(r"dsS.^$*+?()[]{}|/")


# Files that are right.


@pytest.mark.parametrize("path", [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in RULES])
def test_rules_files(path: Path) -> None:
    text = path.read_text()
    assert wrong_in(text) == []
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named, "the first line tells editors of the schema"
    assert (path.parent / named[1]).resolve() == ROOT / "rules" / "schema.json"


@pytest.mark.parametrize("page", PAGES)
def test_rules_in_the_docs(page: str) -> None:
    snippets = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert len(snippets) > 2
    assert [(snippet, wrong) for snippet in snippets if (wrong := wrong_in(snippet))] == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("role: 7\nrules: []", id="name-of-digits"),
        pytest.param("role: r\nextends: reader\nrules: []", id="one-for-a-list"),
        pytest.param("role: r\nrules:\n- {id: a, deny: any a, reason: 2024}", id="text-of-digits"),
        pytest.param("role: r\nrules:\n- {id: a, deny: any a|b, expires: 2031-01-31T12:00:00+02:00}", id="instant"),
        pytest.param("role: r\nrules:\n- id: a\n  allow:\n  - GET|QUERY a /**\n  - any b /", id="lines"),
        pytest.param("role: r\nrules:\n- id: a\n  allow: >-\n    GET a\n    /x", id="folded-line"),
        pytest.param("role: r\nrules:\n- {id: a, allow: GET a /, mask: {$: {replace: ''}, '$[0]': hash}}", id="masks"),
        pytest.param("rules:\n- {id: a, redact_request: [$.card, query.pin, headers.x-pin]}", id="redactions"),
        pytest.param("issuers: [{dev: true}]\nlists: {n: {numbers: [-1, 2.50]}, t: [NO, 12, x]}", id="lists"),
        pytest.param("targets:\n  7: {url: 'http://[::1]:8080', private: false, connect: '[::1]:1'}", id="addresses"),
        pytest.param("credentials: {a: {bearer: 'file:../a b', hosts: [A.example, '[::1]']}}", id="hosts"),
        pytest.param(
            "tests:\n- {name: a, principal: [support, 7], request: 'GET https://a.example/?b=1', expect: deny}",
            id="test-in-short",
        ),
        pytest.param(
            "tests:\n- name: 1\n"
            "  principal: {roles: support, subject: ann, claims: {level: 3, of: [a]}}\n"
            "  request: {method: POST, url: 'http://[::1]:8080', headers: {x-a: [b, 7]}, body: {a: [1, true, null]}}\n"
            "  response: {status: 404, raw: gone}\n"
            "  expect: {verdict: allow, rule: support/read, answer: withheld}",
            id="test-in-full",
        ),
    ],
)
def test_taken(text: str) -> None:
    assert wrong_in(text) == []


# Files that are wrong: the schema says where (of a key that must not be there: in what mapping), and the loader
# refuses them too.

ROLE = "roles/support.yaml"


def rule(text: str) -> dict[str, str]:
    lines = "".join(f"    {line}\n" for line in text.split("\n"))
    return {ROLE: f"role: support\nrules:\n  - id: r\n{lines}"}


def guardrail(text: str) -> dict[str, str]:
    return {"guardrails.yaml": rule(text)[ROLE].removeprefix("role: support\n")}


def target(text: str) -> dict[str, str]:
    usual = "  crm: {url: https://api.crm.example}\n  wiki: {url: http://wiki.internal:8080}\n"
    return {"targets.yaml": f"targets:\n{usual}  a: {{{text}}}\n"}


def credential(text: str) -> dict[str, str]:
    usual = '  crm-token: {bearer: "env:A", hosts: [api.crm.example]}\n'
    return {"credentials.yaml": f"credentials:\n{usual}  a: {{{text}}}\n"}


def gateway(text: str) -> dict[str, str]:
    return {"gateway.yaml": text}


A_RULE = ("rules", 0)
A_TARGET = ("targets", "a")
A_CREDENTIAL = ("credentials", "a")

WRONG = [
    pytest.param({ROLE: "rol: support\nrules: []\n"}, (), id="misspelt-first-key"),
    pytest.param({ROLE: "role: support\n"}, (), id="missing-key"),
    pytest.param({ROLE: "role: support\nrules: {id: r}\n"}, ("rules",), id="mapping-for-list"),
    pytest.param(rule("alow: GET crm /x"), A_RULE, id="misspelt-verdict"),
    pytest.param(rule("allow: GET crm /x\nresaon: x"), A_RULE, id="misspelt-key"),
    pytest.param(rule("reason: x"), A_RULE, id="no-verdict"),
    pytest.param(rule("allow: GET crm /x\ndeny: GET crm /y"), A_RULE, id="allow-and-deny"),
    pytest.param(rule("hold: GET crm /x\ndeny: GET crm /y"), A_RULE, id="hold-and-deny"),
    pytest.param(rule("deny: any crm\nmask: {$.a: drop}"), A_RULE, id="masked-deny"),
    pytest.param(rule("deny: any crm\ntimeout: 15m"), A_RULE, id="timeout-of-a-deny"),
    pytest.param(rule("allow: get crm /x"), (*A_RULE, "allow"), id="small-method"),
    pytest.param(rule("allow: GET|P?T crm /x"), (*A_RULE, "allow"), id="misspelt-method"),
    pytest.param(rule("allow: any|GET crm /x"), (*A_RULE, "allow"), id="any-and-a-method"),
    pytest.param(rule("allow: GET crm"), (*A_RULE, "allow"), id="no-resource"),
    pytest.param(rule("allow: GET /x"), (*A_RULE, "allow"), id="no-target"),
    pytest.param(rule("deny:\n  - any crm\n  - any crm x"), (*A_RULE, "deny", 1), id="relative-resource"),
    pytest.param(rule("allow: []"), (*A_RULE, "allow"), id="no-lines"),
    pytest.param(rule("allow: GET crm /x\nwhen:"), (*A_RULE, "when"), id="no-condition"),
    pytest.param(rule("allow: GET crm /x\ntypes: {body.a: int}"), A_RULE, id="types-of-no-condition"),
    pytest.param(
        rule("deny: any crm\nwhen: body.a == 1\ntypes: {body.a: integer}"), (*A_RULE, "types", "body.a"), id="type"
    ),
    pytest.param(rule("deny: any crm\nwhen: body.a == 1\ntypes: {a: int}"), (*A_RULE, "types"), id="field"),
    pytest.param(rule("allow: GET crm /x\nmask: {$.a: redcat}"), (*A_RULE, "mask", "$.a"), id="misspelt-mask"),
    pytest.param(rule("allow: GET crm /x\nmask: {$.a: {keep: 4}}"), (*A_RULE, "mask", "$.a"), id="unknown-mask"),
    pytest.param(rule("allow: GET crm /x\nmask: {$.a: {keep_last: 0}}"), (*A_RULE, "mask", "$.a"), id="keep-nothing"),
    pytest.param(rule("allow: GET crm /x\nmask: {ssn: drop}"), (*A_RULE, "mask"), id="path-without-root"),
    pytest.param(rule("allow: GET crm /x\nshow: items"), (*A_RULE, "show"), id="shown-without-root"),
    pytest.param(rule("deny: any crm\nredact_request: headers.X-Pin"), (*A_RULE, "redact_request"), id="capitals"),
    pytest.param(rule("deny: any crm\nexpires: 2031-1-31"), (*A_RULE, "expires"), id="no-date"),
    pytest.param(rule("hold: any crm\ntimeout: 15"), (*A_RULE, "timeout"), id="duration-without-unit"),
    pytest.param(rule("hold: any crm\nquorum: none"), (*A_RULE, "quorum"), id="quorum-of-no-number"),
    pytest.param(rule("hold: any crm\napprovers: [a b]"), (*A_RULE, "approvers", 0), id="name-with-space"),
    pytest.param(guardrail("allow: any crm /**"), A_RULE, id="guardrail-that-allows"),
    pytest.param(guardrail("deny: any crm\nhold: any crm"), A_RULE, id="guardrail-of-two-verdicts"),
    pytest.param(guardrail("reason: x"), A_RULE, id="guardrail-of-nothing"),
    pytest.param(guardrail("mask: {$.a: drop}\nwhen: body.a == 1"), A_RULE, id="conditional-mask"),
    pytest.param(target("private: true"), A_TARGET, id="no-url"),
    pytest.param(target("url: https://a.example, urls: [https://b.example]"), A_TARGET, id="url-and-urls"),
    pytest.param(target("url: https://a.example/v1"), (*A_TARGET, "url"), id="url-with-path"),
    pytest.param(target("url: https://me:pw@a.example"), (*A_TARGET, "url"), id="url-with-password"),
    pytest.param(target("url: ftp://a.example"), (*A_TARGET, "url"), id="other-scheme"),
    pytest.param(target("url: https://a.example, private: yes"), (*A_TARGET, "private"), id="yes"),
    pytest.param(target("url: https://a.example, cookies: keep"), (*A_TARGET, "cookies"), id="cookies"),
    pytest.param(target("url: https://a.example, connect: a"), (*A_TARGET, "connect"), id="address-without-port"),
    pytest.param(
        target("url: https://a.example, limits: {request: 10}"),
        (*A_TARGET, "limits", "request"),
        id="size-without-unit",
    ),
    pytest.param(target("url: https://a.example, limits: {requests: 1KB}"), (*A_TARGET, "limits"), id="nested-key"),
    pytest.param(
        {"targets.yaml": "targets:\n  crm: {url: https://api.crm.example}\n  my crm: {url: https://a.example}\n"},
        ("targets",),
        id="target-name",
    ),
    pytest.param(credential("bearer: hunter2, hosts: [a.example]"), (*A_CREDENTIAL, "bearer"), id="literal-secret"),
    pytest.param(credential("hosts: [a.example]"), A_CREDENTIAL, id="credential-of-no-kind"),
    pytest.param(credential('bearer: "env:A"'), A_CREDENTIAL, id="no-hosts"),
    pytest.param(credential('bearer: "env:A", hosts: []'), (*A_CREDENTIAL, "hosts"), id="empty-hosts"),
    pytest.param(
        credential('bearer: "env:A", hosts: [https://a.b]'), (*A_CREDENTIAL, "hosts", 0), id="host-with-scheme"
    ),
    pytest.param(
        credential("oauth2: {token_url: http://a.example, client_id: x, client_secret: s}, hosts: [a.example]"),
        (*A_CREDENTIAL, "oauth2", "client_secret"),
        id="literal-client-secret",
    ),
    pytest.param(
        credential('oauth2: {token_url: "https://a.example/t", client_id: x}, hosts: [a.example]'),
        (*A_CREDENTIAL, "oauth2"),
        id="client-without-secret",
    ),
    pytest.param(
        credential('jwt: {key: "env:A", algorithm: HS256, issuer: x}, hosts: [a.example]'),
        (*A_CREDENTIAL, "jwt", "algorithm"),
        id="symmetric-jwt",
    ),
    pytest.param(
        credential('jwt: {key: "env:A", algorithm: RS256, issuer: x, claims: {iss: y}}, hosts: [a.example]'),
        (*A_CREDENTIAL, "jwt", "claims"),
        id="registered-claim",
    ),
    pytest.param(
        {
            "credentials.yaml": 'credentials:\n  crm-token: {bearer: "env:A", hosts: [api.crm.example]}\n'
            'vault: {address: "https://a.example", token: "vault:a/b#c"}\n'
        },
        ("vault", "token"),
        id="vault-token-in-vault",
    ),
    pytest.param(gateway("issuers: [{dev: true, leeway: 3s}]"), ("issuers", 0), id="dev-and-more"),
    pytest.param(gateway("issuers: [{issuer: x}]"), ("issuers", 0), id="issuer-in-part"),
    pytest.param(gateway("issuers: [{dev: true}]\nlists: {a-b: [x]}"), ("lists",), id="list-name"),
    pytest.param(gateway("issuers: [{dev: true}]\nlists: {a: {numbers: [x]}}"), ("lists", "a"), id="no-number"),
    pytest.param(gateway("issuers: [{dev: true}]\nrecording: {dir: x}"), (), id="misspelt-part"),
]


@pytest.mark.parametrize(("files", "place"), WRONG)
def test_refused(
    files: dict[str, str], place: tuple[str | int, ...], problems: Callable[..., tuple[Problem, ...]]
) -> None:
    ((name, text),) = files.items()
    assert place in wrong_in(text)
    assert {problem.file for problem in problems(files)} == {name}


A_TEST = {"name": "it", "principal": "support", "request": "GET https://a.example", "expect": "allow"}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        pytest.param({"excpect": "deny"}, (), id="misspelt-key"),
        pytest.param({"expect": "alow"}, ("expect",), id="misspelt-verdict"),
        pytest.param({"expect": {"verdict": "allow", "answer": "gone"}}, ("expect",), id="unknown-answer"),
        pytest.param({"expect": {"verdict": "allow", "raw": "a", "body": 1}}, ("expect",), id="two-answers"),
        pytest.param({"request": "GET"}, ("request",), id="no-url"),
        pytest.param({"request": {"method": "GET", "url": "/v1"}}, ("request",), id="no-host"),
        pytest.param({"request": {"method": "GET"}}, ("request",), id="url-left-out"),
        pytest.param(
            {"request": {"method": "A", "url": "http://a", "body": 1, "raw": "1"}}, ("request",), id="two-bodies"
        ),
        pytest.param({"principal": {"subject": "ann"}}, ("principal",), id="no-roles"),
        pytest.param({"response": {"status": 99}}, ("response", "status"), id="status"),
        pytest.param({"response": {"headers": {"a b": "c"}}}, ("response", "headers"), id="header-name"),
    ],
)
def test_refused_of_tests(changes: dict[str, Any], place: tuple[str | int, ...]) -> None:
    assert wrong_in(yaml.safe_dump({"tests": [A_TEST]})) == []
    wrong = A_TEST | changes
    assert ("tests", 0, *place) in wrong_in(yaml.safe_dump({"tests": [wrong]}))
    assert not taken(cases.Test, wrong)


# Any keys together: editors and the loader agree on every combination.

ENTRIES: dict[type[Model], dict[str, list[Any]]] = {
    Rule: {
        "id": ["read", 7, "a.b-c"],
        "allow": ["GET crm /x", ["any crm|wiki /**", "GET|HEAD crm /v1/{id}"]],
        "hold": ["any crm", ["POST crm /x"]],
        "deny": ["DELETE crm", "any crm /v1/**/export"],
        "when": ["body.a > 5"],
        "unless": ['request.method == "GET"'],
        "types": [{"body.a": "number"}, {'principal.claims["a-b"]': "list(string)"}],
        "expires": ["2031-01-31", "2031-01-31T12:00:00Z"],
        "mask": [{"$..a": "redact", "$.b[*]": {"keep_last": 4}}, {"$.a": {"replace": "x"}}],
        "show": ["$.a", ["$.a", "$.b"]],
        "redact_request": ["$.a", ["query.a", "headers.a"]],
        "record": ["full", "headers", "digest"],
        "approvers": ["finance", ["finance", 7]],
        "quorum": [1, 12],
        "timeout": ["15m", "0s"],
        "reason": ["Because.", 42],
    },
    Target: {
        "url": ["https://a.example", "http://10.0.0.5:8080"],
        "urls": [["https://a.example"]],
        "credential": ["token"],
        "limits": [{}, {"request": "1MiB", "response": "64 KB"}],
        "private": [True, False],
        "connect": ["10.0.0.7:8443"],
        "cookies": ["pass"],
    },
    Credential: {
        "hosts": [["a.example"], ["192.0.2.1", "B.example"]],
        "bearer": ["env:A"],
        "basic": [{"user": "me", "password": "file:/a"}],
        "header": [{"name": "X-Key", "value": "env:A"}, {"name": "X-Key", "value": "env:A", "prefix": "Key "}],
        "query": [{"name": "key", "value": "env:A"}],
        "oauth2": [{"token_url": "https://login.example/token", "client_id": 7, "client_secret": "env:A"}],
        "jwt": [{"key": "file:/a", "algorithm": "RS256", "issuer": "app"}],
        "cache": ["5m"],
    },
    OAuth2: {
        "token_url": ["https://login.example/token", "http://127.0.0.1:8080/token", "http://localhost/token"],
        "client_id": ["lockgate"],
        "client_secret": ["vault:secret/crm#client", "exec:op read op://crm/secret"],
        "client_key": [{"key": "env:A", "algorithm": "ES256"}, {"key": "env:A", "algorithm": "PS256", "kid": "1"}],
        "auth": ["basic", "post"],
        "refresh_token": ["keyring:crm/refresh"],
        "scope": ["crm.read crm.write"],
        "audience": ["https://api.crm.example"],
        "resource": ["https://api.crm.example"],
        "ca": ["ca.pem"],
    },
    Jwt: {
        "key": ["file:/run/secrets/key.pem"],
        "algorithm": ["RS256", "EdDSA"],
        "kid": ["key-1"],
        "issuer": ["app", 12345],
        "subject": ["robot"],
        "audience": ["https://api.crm.example"],
        "claims": [{}, {"scope": "a b", "groups": ["a", "b"], "version": 1}],
        "ttl": ["5m", "1h"],
        "token_url": ["https://login.example/token"],
        "scope": ["crm.read"],
        "ca": ["ca.pem"],
    },
    Vault: {
        "address": ["https://vault.internal:8200", "http://[::1]:8200/"],
        "token": ["env:VAULT_TOKEN", "file:/run/vault/token"],
        "namespace": ["team-a/"],
        "ca": ["/etc/ssl/vault.pem"],
    },
    Issuer: {
        "dev": [True, False],
        "issuer": ["https://login.example"],
        "audience": ["lockgate"],
        "algorithms": [["RS256", "EdDSA"]],
        "roles": ["$.roles[*]"],
        "jwks": ["https://login.example/keys", "https://login.example:8443/keys?p=agents"],
        "jwks_file": ["jwks.json"],
        "ca": ["ca.pem"],
        "keys_max_age": ["10m", "4h", "7d"],
        "alias": [{"Support Agents": "support"}],
        "leeway": ["30s"],
        "max_ttl": ["1h"],
    },
}
ENTRIES[Guardrail] = {key: values for key, values in ENTRIES[Rule].items() if key != "allow"}


def as_text(value: Any) -> Any:
    """The same document as the loader reads it."""
    if isinstance(value, dict):
        return {key: as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_text(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def entries(model: type[Model]) -> st.SearchStrategy[dict[str, Any]]:
    options = {key: st.sampled_from(values) for key, values in ENTRIES[model].items()}
    return st.fixed_dictionaries({}, optional=options)


@pytest.mark.parametrize(
    ("model", "needed"),
    [
        pytest.param(Rule, ("id", "allow"), id="rule"),
        pytest.param(Guardrail, ("id", "deny"), id="guardrail"),
        pytest.param(Target, ("url",), id="target"),
        pytest.param(Credential, ("hosts", "bearer"), id="credential"),
        pytest.param(Issuer, ("dev",), id="issuer"),
        pytest.param(OAuth2, ("token_url", "client_id", "client_secret"), id="oauth2"),
        pytest.param(Jwt, ("key", "algorithm", "issuer"), id="jwt"),
        pytest.param(Vault, ("address",), id="vault"),
    ],
)
def test_the_loader_agrees(model: type[Model], needed: tuple[str, ...]) -> None:
    asked = Draft7Validator({**json_schema.refer(model), "definitions": SCHEMA["definitions"]})

    @settings(max_examples=80)
    @example({})
    @example({key: ENTRIES[model][key][0] for key in needed})
    @given(entries(model))
    def agrees(entry: dict[str, Any]) -> None:
        assert asked.is_valid(entry) is taken(model, entry)

    agrees()


def taken(model: type[Model], entry: dict[str, Any]) -> bool:
    """Whether the loader's model takes it."""
    try:
        model.model_validate(as_text(entry))
    except ValidationError:
        return False
    return True
