"""What every wrong file is told, word for word and with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.errors import Problem
from lockgate.policy.schema.credentials import CREDENTIAL_KINDS, Credential
from lockgate.policy.schema.values import ALGORITHMS
from lockgate.policy.sources import NEEDED

Problems = Callable[..., tuple[Problem, ...]]

ROLE = "roles/support.yaml"
DEV = "issuers:\n  - dev: true\n"


def role(rule: str) -> dict[str, str]:
    """A role file whose one rule has these lines; they stand from line 4, column 5."""
    lines = "\n".join(f"    {line}" for line in rule.splitlines())
    return {ROLE: f"role: support\nrules:\n  - id: r\n{lines}\n"}


def gateway(text: str) -> dict[str, str]:
    return {"gateway.yaml": text}


def targets(text: str) -> dict[str, str]:
    """Targets besides, from line 2, column 3; the credential file is the usual one."""
    return {"targets.yaml": f"targets:\n  {text}\n  crm: {{url: https://api.crm.example}}\n"}


def guardrail(text: str) -> dict[str, str]:
    return {"guardrails.yaml": f"rules:\n  - {{id: g, {text}}}\n"}


def credentials(text: str) -> dict[str, str]:
    return {"credentials.yaml": f"credentials:\n  crm-token: {text}\n"}


NO_URL = "not a URL: write it as in https://login.example/keys"
NO_PART = "a URL without user and fragment is needed here: write it as in https://login.example/keys"
NOT_HTTPS = "keys are fetched over https only: write it as in https://login.example/keys, or name a jwks_file"
NO_DISCOVERY = "its keys can be discovered only where issuer is an https URL without query: name its jwks or jwks_file"
TWO_SETS = "an issuer has one of jwks and jwks_file: leave the other out"
NOT_FETCHED = "ca and keys_max_age are for keys that are fetched, not for a jwks_file: leave them out"
MAX_AGE = "keys that cannot be fetched anew go on serving for 10m to 7d"
WRONG_KEYS = [
    pytest.param(
        {"gateway.yaml": f"issuers:\n  - audience: x\n    algorithms: [RS256]\n    roles: $.roles\n{lines}"},
        f"gateway.yaml:{place}: {message}",
        id=name,
    )
    for name, lines, place, message in [
        ("discovery-over-http", "    issuer: http://a.example\n", "2:5", NO_DISCOVERY),
        ("discovery-on-loopback-over-http", "    issuer: http://127.0.0.1:8080\n", "2:5", NO_DISCOVERY),
        ("discovery-of-a-name", "    issuer: agents\n", "2:5", NO_DISCOVERY),
        ("discovery-with-a-query", "    issuer: https://a.example/?tenant=1\n", "2:5", NO_DISCOVERY),
        ("keys-over-http", "    issuer: a\n    jwks: http://localhost:8080/keys\n", "6:11", NOT_HTTPS),
        ("keys-of-a-file-url", "    issuer: a\n    jwks: file:///etc/keys.json\n", "6:11", NO_URL),
        ("keys-without-a-host", "    issuer: a\n    jwks: https:///keys\n", "6:11", NO_URL),
        ("keys-with-a-user", "    issuer: a\n    jwks: https://u:p@a.example/keys\n", "6:11", NO_URL),
        ("keys-with-a-fragment", "    issuer: a\n    jwks: https://a.example/keys#x\n", "6:11", NO_PART),
        ("keys-at-port-0", "    issuer: a\n    jwks: https://a.example:0/keys\n", "6:11", NO_PART),
        ("keys-twice", "    issuer: a\n    jwks: https://a.example\n    jwks_file: k.json\n", "2:5", TWO_SETS),
        ("ca-of-a-file", "    issuer: a\n    jwks_file: k.json\n    ca: ca.pem\n", "2:5", NOT_FETCHED),
        ("age-of-a-file", "    issuer: a\n    jwks_file: k.json\n    keys_max_age: 1h\n", "2:5", NOT_FETCHED),
        ("keys-that-age-at-once", "    issuer: https://a.example\n    keys_max_age: 9m\n", "6:19", MAX_AGE),
        ("keys-that-never-age", "    issuer: https://a.example\n    keys_max_age: 8d\n", "6:19", MAX_AGE),
    ]
]

AWS_KEYS = 'access_key_id: "env:A", secret_access_key: "env:B"'
MUTUAL = {"credentials.yaml": 'credentials:\n  mtls: {client_cert: {cert: /a.pem, key: "env:K"}, hosts: [b.example]}\n'}

WRONG = [
    # What YAML itself trips over.
    pytest.param(
        role("allow: [GET crm /v1/{id}]"),
        "roles/support.yaml:4:25: not YAML: within [ ] and { }, put every value that has { } [ ] or a comma in quotes",
        id="brace-in-flow-list",
    ),
    pytest.param(
        role("deny: * crm"),
        "roles/support.yaml:4:12: not YAML: YAML reads a leading * or & as a reference: put the whole value in quotes",
        id="leading-star",
    ),
    pytest.param(
        role("deny: any crm\nreason: Note: ask first"),
        "roles/support.yaml:5:17: not YAML: a colon and a space begin a value: put the whole value in quotes,"
        " or mend the indentation",
        id="colon-in-value",
    ),
    pytest.param(
        role('deny: any crm\nwhen: "a" == request.host'),
        "roles/support.yaml:5:15: not YAML: mend the indentation; or, where a value starts with a quote,"
        " write it on the lines below a |",
        id="leading-quote",
    ),
    pytest.param(
        role("deny: any crm\nreason: See ticket #5"),
        "roles/support.yaml:5:24: YAML reads ' #' as the start of a comment: put the whole value in quotes,"
        " or a space behind the #",
        id="hash-in-value",
    ),
    pytest.param(
        role("deny: any crm\nreason: !important"),
        "roles/support.yaml:5:13: YAML reads a leading ! as a tag, which rules do not have:"
        " put the whole value in quotes",
        id="leading-exclamation-mark",
    ),
    pytest.param(
        role("deny: &d any crm"),
        "roles/support.yaml:4:11: YAML reads a leading & as an anchor, which rules do not have:"
        " put the whole value in quotes",
        id="anchor",
    ),
    pytest.param(
        role("deny: @x crm"),
        "roles/support.yaml:4:11: not YAML: a value cannot start with @: put the whole value in quotes",
        id="leading-at",
    ),
    pytest.param(
        gateway("issuers:\n\t- dev: true\n"),
        "gateway.yaml:2:1: not YAML: indent with spaces, not tabs",
        id="tab",
    ),
    pytest.param(
        gateway("issuers:\n  - dev: true\n---\nstate: x\n"),
        "gateway.yaml:3:1: not YAML: a rules file is one document: leave --- out",
        id="two-documents",
    ),
    pytest.param(
        gateway("%YAML 1.1\n---\nissuers:\n  - dev: true\n"),
        "gateway.yaml:1:1: a leading % is a YAML directive, which rules do not have: leave the line out",
        id="directive",
    ),
    pytest.param(
        gateway("issuers:\n  - dev: true\nstate: a\nstate: b\n"),
        "gateway.yaml:4:1: the same key stands at line 3 already: remove one",
        id="duplicate-key",
    ),
    pytest.param(
        gateway("issuers:\n  - dev: true\n<<: {state: b}\n"),
        "gateway.yaml:3:1: merge keys (<<) are not taken: write the keys out, or use extends",
        id="merge-key",
    ),
    pytest.param(
        {"gateway.yaml": b"issuers:\n  - dev: \xff\n"},
        "gateway.yaml:2:10: not UTF-8: save the file as UTF-8",
        id="not-utf-8",
    ),
    pytest.param(
        {"gateway.yaml": b"issuers: \x00\n"},
        "gateway.yaml:1:1: not YAML: the file has control characters",
        id="control-character",
    ),
    # Files.
    pytest.param({"gateway.yaml": None}, "gateway.yaml:1:1: the file is missing", id="no-gateway-file"),
    pytest.param(
        {"guardrail.yaml": "rules: []\n"},
        "guardrail.yaml:1:1: not a rules file: known are gateway.yaml, targets.yaml, credentials.yaml,"
        " guardrails.yaml and roles/NAME.yaml",
        id="unknown-file",
    ),
    *(
        pytest.param(
            {name: "rules: []\n"},
            f"{name}:1:1: not a rules file: known are gateway.yaml, targets.yaml, credentials.yaml,"
            " guardrails.yaml and roles/NAME.yaml",
            id=name,
        )
        for name in (
            "guardrails.YAML",
            "Guardrails.yaml",
            "guardrails.yml",
            "roles/x.Yaml",
            "roles/x.yml",
            "roles/x.YML",
        )
    ),
    pytest.param(
        {ROLE: "role: suport\nrules: []\n"},
        "roles/support.yaml:1:7: the file is named support.yaml: write role: support, or rename the file",
        id="role-and-file-differ",
    ),
    pytest.param(
        {"roles/guardrails.yaml": "role: guardrails\nrules: []\n"},
        "roles/guardrails.yaml:1:1: no role can be called guardrails: rename the file and its role",
        id="role-called-guardrails",
    ),
    pytest.param(
        {"roles/targets.yaml": "role: targets\nrules: []\n"},
        "roles/targets.yaml:1:1: no role can be called targets: rename the file and its role",
        id="role-called-targets",
    ),
    # Keys.
    pytest.param(
        role("alow: GET crm /x"),
        "roles/support.yaml:4:5: unknown key alow: did you mean allow?",
        id="misspelt-key",
    ),
    pytest.param(
        role("allow: GET crm /x\nalow: GET crm /y"),
        "roles/support.yaml:5:5: unknown key alow: did you mean allow?",
        id="misspelt-second-key",
    ),
    pytest.param(
        role("allow: POST crm /x\nwebhook: none"),
        "roles/support.yaml:5:5: unknown key webhook: known here: id, hold, deny, when, unless, types, expires, mask,"
        " show, detect, redact_request, record, approvers, quorum, timeout, require_reason, max_grant, reason, allow,"
        " query",
        id="unknown-key",
    ),
    pytest.param(
        {ROLE: "role: support\n"},
        "roles/support.yaml:1:1: the key rules is missing",
        id="missing-key",
    ),
    pytest.param(
        {ROLE: "role: support\nrules:\n  id: r\n"},
        "roles/support.yaml:3:3: a list is needed here: lines that begin with -",
        id="mapping-for-list",
    ),
    pytest.param(
        role("reason: nothing"),
        "roles/support.yaml:3:5: a rule has exactly one of allow, hold and deny",
        id="no-verdict",
    ),
    pytest.param(
        role("allow: GET crm /x\ndeny: GET crm /y"),
        "roles/support.yaml:3:5: a rule has exactly one of allow, hold and deny",
        id="two-verdicts",
    ),
    pytest.param(
        role("deny: GET crm /x\nmask: {$.a: redact}"),
        "roles/support.yaml:3:5: a deny has no answer to mask: leave mask, show and detect out",
        id="masked-deny",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen:"),
        "roles/support.yaml:5:10: the value is missing",
        id="empty-value",
    ),
    pytest.param(
        {ROLE: "role: support\nrules:\n  - {id: a, deny: any crm}\n  - {id: a, deny: any wiki}\n"},
        "roles/support.yaml:4:10: the rule at line 3 has this id already: use another",
        id="duplicate-id",
    ),
    # Verdict lines.
    pytest.param(
        role("allow: GET"),
        "roles/support.yaml:4:12: a rule is VERB TARGET RESOURCE, as in GET|HEAD crm /v1/customers/{id}",
        id="one-word",
    ),
    pytest.param(
        role("allow: get crm /x"),
        "roles/support.yaml:4:12: HTTP methods are in capitals: write GET",
        id="small-method",
    ),
    pytest.param(
        role("allow: GET|POTS crm /x"),
        "roles/support.yaml:4:16: unknown verb POTS: did you mean POST?"
        " (a target lists methods of its own: methods: [POTS])",
        id="misspelt-method",
    ),
    pytest.param(
        role("allow: TRACE crm /x"),
        "roles/support.yaml:4:12: TRACE is never let through: leave it out",
        id="trace",
    ),
    pytest.param(
        role("allow: GET cmr /x"),
        "roles/support.yaml:4:16: unknown target cmr: did you mean crm?",
        id="unknown-target",
    ),
    pytest.param(
        role("allow: any crm"),
        "roles/support.yaml:4:12: an allow names a resource: write /** behind the target for everything there",
        id="allow-without-resource",
    ),
    pytest.param(
        role("allow:\n  - GET crm /x\n  - GET crm v1/x"),
        "roles/support.yaml:6:17: a resource starts with /: write /v1/x",
        id="no-leading-slash",
    ),
    pytest.param(
        role("allow: GET crm /v1/**x"),
        "roles/support.yaml:4:20: ** is a whole part: write * for characters within a part",
        id="stars-in-a-part",
    ),
    pytest.param(
        role("allow: GET crm /v1?limit=1"),
        "roles/support.yaml:4:20: the query is never part of a resource: compare request.query in when:",
        id="query-in-pattern",
    ),
    # Conditions.
    pytest.param(
        role('allow: POST crm /x\nwhen: |\n  body.amount <= 500 &&\n  body.currency = "EUR"'),
        "roles/support.yaml:7:21: = compares nothing: write ==",
        id="cel-in-a-block",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: body.amount <= 500 &&"),
        "roles/support.yaml:5:32: a value is missing at the end",
        id="cel-ends-early",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: requst.method == 'POST'"),
        "roles/support.yaml:5:11: unknown name requst: did you mean request?; quote text",
        id="unknown-fact",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: 'request.methd == \"POST\"'"),
        "roles/support.yaml:5:19: request has no methd: did you mean method?",
        id="unknown-member",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: sql.limit < 5"),
        "roles/support.yaml:5:11: sql is not a fact of an HTTP request",
        id="fact-of-another-protocol",
    ),
    pytest.param(
        role('allow: GET crm /x/{id}\nwhen: path.ip == "7"'),
        "roles/support.yaml:5:15: the resource captures no ip: known here: id",
        id="unknown-capture",
    ),
    pytest.param(
        role('allow: [GET crm /x, "GET crm /x/{id}"]\nwhen: path.id == "7"'),
        "roles/support.yaml:5:15: the resource captures no id: there are none here",
        id="capture-of-one-line-only",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: request.method == 5"),
        "roles/support.yaml:5:26: compares text with a number, which are never alike",
        id="mismatched-types",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: request.method"),
        "roles/support.yaml:5:18: the condition is text, not true or false: compare it with something",
        id="not-boolean",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: body.a.all(x, body.b.exists(y, x == y))"),
        "roles/support.yaml:5:31: a comprehension within another is not taken: it could run for minutes",
        id="nested-comprehension",
    ),
    pytest.param(
        role("allow: POST crm /x\nwhen: body.a.matches('(?=a)')"),
        "roles/support.yaml:5:26: not a regular expression of RE2 syntax,"
        " which has no lookaround and no backreferences",
        id="unsafe-regular-expression",
    ),
    # Masks.
    pytest.param(
        role("allow: GET crm /x\nmask: {ssn: redact}"),
        "roles/support.yaml:5:12: a path starts with $, as in $.name or $..name",
        id="path-without-root",
    ),
    pytest.param(
        role("allow: GET crm /x\nmask:\n  $.a[?(@.b == 1)]: redact"),
        "roles/support.yaml:6:7: a path selects by name or position: filters, functions, unions and arithmetic"
        " are not taken",
        id="filtered-path",
    ),
    pytest.param(
        role("allow: GET crm /x\nmask: {$.a[: redact}"),
        "roles/support.yaml:5:15: not YAML: within [ ] and { }, put every value that has { } [ ] or a comma in quotes",
        id="bracket-in-flow-mapping",
    ),
    pytest.param(
        role("allow: GET crm /x\nmask: {$.a: encrypt}"),
        "roles/support.yaml:5:17: a mask is one of redact, nullify, drop, hash, {keep_first: 4}, {keep_last: 4},"
        " {replace: text}, one for each path",
        id="unknown-mask",
    ),
    pytest.param(
        role("allow: GET crm /x\nmask: {$.a: {keep_last: 0}}"),
        "roles/support.yaml:5:17: keep_last takes a number from 1, as in {keep_last: 4}",
        id="keep-nothing",
    ),
    pytest.param(
        role("allow: GET crm /x\nmask: {$: drop}"),
        "roles/support.yaml:5:15: nothing is left of a document that is dropped whole: write nullify",
        id="drop-everything",
    ),
    # Inheritance and guardrails.
    pytest.param(
        {ROLE: "role: support\nextends: [reader]\nrules: []\n"},
        "roles/support.yaml:2:11: unknown role reader: known here: support",
        id="unknown-parent",
    ),
    pytest.param(
        {ROLE: "role: support\nextends: [suport]\nrules: []\n"},
        "roles/support.yaml:2:11: unknown role suport: did you mean support?",
        id="misspelt-parent",
    ),
    pytest.param(
        {ROLE: "role: support\nextends: [a]\nrules: []\n", "roles/a.yaml": "role: a\nextends: [support]\nrules: []\n"},
        "roles/a.yaml:2:11: a extends itself through support: leave one extends of the circle out"
        "\nroles/support.yaml:2:11: support extends itself through a: leave one extends of the circle out",
        id="circle",
    ),
    pytest.param(
        {"guardrails.yaml": "rules:\n  - {id: g, allow: any crm /**}\n"},
        "guardrails.yaml:2:13: unknown key allow: known here: id, hold, deny, when, unless, types, expires,"
        " mask, show, detect, redact_request, record, approvers, quorum, timeout, require_reason, max_grant, reason",
        id="guardrail-that-allows",
    ),
    # Targets.
    pytest.param(
        targets("a: {url: https://a.example/v1}"),
        "targets.yaml:2:12: a target is an origin, without path or query: write one origin, as in"
        " https://api.crm.example or http://10.0.0.5:8080; rules have the paths",
        id="url-with-path",
    ),
    pytest.param(
        targets("a: {url: https://me:pw@a.example}"),
        "targets.yaml:2:12: a URL with a user or password is not taken: name a credential instead",
        id="url-with-password",
    ),
    pytest.param(
        targets("a: {url: ftp://a.example}"),
        "targets.yaml:2:12: the scheme is not http or https: write one origin, as in https://api.crm.example"
        " or http://10.0.0.5:8080",
        id="url-of-another-scheme",
    ),
    pytest.param(
        targets("a: {url: https://bücher.example}"),
        "targets.yaml:2:12: a host is written in ASCII: use the xn-- form of an internationalised name",
        id="international-host",
    ),
    pytest.param(
        targets("a: {url: https://API.crm.example:443}"),
        "targets.yaml:3:14: the target a has this origin already: one target for each origin",
        id="same-origin-twice",
    ),
    pytest.param(
        targets("a: {url: https://a.example, credential: crm-token}"),
        "targets.yaml:2:43: the credential crm-token is not for a.example: add the host to its hosts,"
        " or name another credential",
        id="credential-of-another-host",
    ),
    pytest.param(
        {
            "targets.yaml": (
                "targets:\n  crm: {url: https://api.crm.example, credential: crm-token,"
                " tls: {server_name: b.example}}\n"
            )
        },
        "targets.yaml:2:51: the credential crm-token is not for b.example: add the host to its hosts,"
        " or name another credential",
        id="credential-for-another-name",
    ),
    pytest.param(
        targets("a: {url: https://a.example, credential: crm-tokne}"),
        "targets.yaml:2:43: unknown credential crm-tokne: did you mean crm-token?",
        id="unknown-credential",
    ),
    pytest.param(
        targets("a: {url: https://a.example, credential: null}"),
        "targets.yaml:2:43: unknown credential null: known here: crm-token",
        id="null-is-text",
    ),
    pytest.param(
        targets("a: {url: https://a.example, private: yes}"),
        "targets.yaml:2:40: write true or false",
        id="yes-is-text",
    ),
    pytest.param(
        targets("a: {url: https://a.example, limits: {request: 10}}"),
        "targets.yaml:2:49: a size is a number with a unit: 512B, 64KB, 10KiB, 1MiB, 1GiB",
        id="size-without-unit",
    ),
    pytest.param(
        targets("a: {url: https://a.example, connect: 127.0.0.1}"),
        "targets.yaml:2:40: an address is host:port, as in 127.0.0.1:9443",
        id="address-without-port",
    ),
    pytest.param(
        targets("a: {url: https://a.example, cookies: all}"),
        "targets.yaml:2:40: the one value taken here is pass",
        id="unknown-cookies",
    ),
    pytest.param(
        targets("a: {url: https://a.example, paths: loose}"),
        "targets.yaml:2:38: the values taken here are strict or lenient",
        id="unknown-paths",
    ),
    pytest.param(
        targets("a: {url: https://a.example, methods: purge}"),
        "targets.yaml:2:40: a method is written in capitals, as in PROPFIND or PURGE",
        id="small-method-of-a-target",
    ),
    pytest.param(
        targets("a: {url: https://a.example, methods: [PURGE, GET]}"),
        "targets.yaml:2:48: every target takes GET: leave it out",
        id="ordinary-method-of-a-target",
    ),
    pytest.param(
        targets("a: {url: https://a.example, methods: [MOVE]}"),
        "targets.yaml:2:41: MOVE is never let through: leave it out",
        id="refused-method-of-a-target",
    ),
    pytest.param(
        targets(f"a: {{url: https://a.example, methods: [{', '.join(f'X{number}' for number in range(65))}]}}"),
        "targets.yaml:2:40: the list has more entries than are taken here",
        id="methods-of-a-target-without-end",
    ),
    pytest.param(
        targets("any: {url: https://a.example}"),
        "targets.yaml:2:3: a target's name has letters, digits and . _ - only, and is not any",
        id="target-called-any",
    ),
    # Credentials.
    pytest.param(
        credentials("{bearer: s3cr3t, hosts: [api.crm.example]}"),
        f"credentials.yaml:2:23: {NEEDED}",
        id="literal-secret",
    ),
    pytest.param(
        credentials("{bearer s3cr3t, hosts: [api.crm.example]}"),
        f"credentials.yaml:2:15: unknown key: known here: {', '.join(Credential.model_fields)}",
        id="literal-secret-as-key",
    ),
    pytest.param(
        credentials("{hosts: [api.crm.example]}"),
        f"credentials.yaml:2:14: a credential has exactly one of {', '.join(CREDENTIAL_KINDS)}",
        id="no-kind",
    ),
    pytest.param(
        credentials('{bearer: "env:A"}'),
        "credentials.yaml:2:14: the key hosts is missing",
        id="no-hosts",
    ),
    pytest.param(
        credentials('{bearer: "exec:./get-secret", hosts: [api.crm.example]}'),
        "credentials.yaml:2:23: after exec: the command is one on the PATH, or a whole path from / on",
        id="relative-command",
    ),
    pytest.param(
        credentials('{bearer: "vault:secret/crm#token", hosts: [api.crm.example]}'),
        "credentials.yaml:2:3: which Vault is not said: add vault: {address: https://...} beside credentials",
        id="no-vault",
    ),
    pytest.param(
        credentials('{bearer: "env:A", hosts: [api.crm.example]}\nvault: {address: "http://vault.example"}'),
        "credentials.yaml:3:18: what gives out secrets is asked over https, or over http on this machine: "
        "write it as in https://login.crm.example/oauth2/token",
        id="vault-without-tls",
    ),
    pytest.param(
        credentials('{bearer: "env:A", hosts: [api.crm.example]}\nvault: {address: "https://a.b", token: "file:t"}'),
        "credentials.yaml:3:1: a secret must lie outside the rules directory, whose text is kept with the records",
        id="vault-token-among-the-rules",
    ),
    pytest.param(
        credentials('{bearer: "env:A", cache: 5m, hosts: [api.crm.example]}'),
        "credentials.yaml:2:32: cache is for secrets of exec, vault and keyring; others are read for each request: "
        "leave it out",
        id="cache-of-what-is-not-kept",
    ),
    pytest.param(
        credentials(
            '{oauth2: {token_url: "https://a.b/t?key=s3cr3t", client_id: x, client_secret: "env:A"}, hosts: [a.b]}'
        ),
        "credentials.yaml:2:35: a URL without user, query and fragment is needed here: "
        "write it as in https://login.crm.example/oauth2/token",
        id="token-url-with-query",
    ),
    pytest.param(
        credentials('{oauth2: {token_url: "https://me:s3cr3t@a.b", client_id: x, client_secret: y}, hosts: [a.b]}'),
        "credentials.yaml:2:35: not a URL: write it as in https://login.crm.example/oauth2/token\n"
        f"credentials.yaml:2:89: {NEEDED}",
        id="token-url-with-password",
    ),
    pytest.param(
        credentials('{oauth2: {token_url: "https://a.b/t", client_id: x}, hosts: [api.crm.example]}'),
        "credentials.yaml:2:23: a client shows who it is: name its client_secret or client_key",
        id="client-without-secret",
    ),
    pytest.param(
        credentials(
            '{oauth2: {token_url: "https://a.b/t", client_id: x, client_secret: "env:A", '
            'client_key: {key: "env:B", algorithm: RS256}}, hosts: [api.crm.example]}'
        ),
        "credentials.yaml:2:23: a client has one of client_secret and client_key: leave the other out",
        id="client-with-both",
    ),
    pytest.param(
        credentials(
            '{oauth2: {token_url: "https://a.b/t", client_id: x, auth: post, refresh_token: "env:A"}, hosts: [a.b]}'
        ),
        "credentials.yaml:2:23: auth says how a client_secret is shown: leave it out",
        id="auth-of-nothing",
    ),
    pytest.param(
        credentials(
            '{oauth2: {token_url: "https://a.b/t", client_id: x, auth: body, client_secret: "env:A"}, hosts: [a.b]}'
        ),
        "credentials.yaml:2:72: the values taken here are basic or post",
        id="auth",
    ),
    pytest.param(
        credentials('{jwt: {key: "env:A", algorithm: HS256, issuer: x, ttl: 30s}, hosts: [api.crm.example]}'),
        "credentials.yaml:2:46: not an algorithm that is taken: "
        f"{', '.join(ALGORITHMS)}\n"
        "credentials.yaml:2:69: a JWT is good for 1m to 24h",
        id="jwt-values",
    ),
    pytest.param(
        credentials('{jwt: {key: "env:A", algorithm: RS256, issuer: x, claims: {exp: "9"}}, hosts: [a.b]}'),
        "credentials.yaml:2:20: claims has no iss, sub, aud, exp, nbf, iat and jti: those are made from the other keys",
        id="jwt-registered-claim",
    ),
    pytest.param(
        credentials('{jwt: {key: "env:A", algorithm: RS256, issuer: x, claims: {a: {b: c}}}, hosts: [a.b]}'),
        "credentials.yaml:2:76: the value of a claim is text, or a list of text",
        id="jwt-nested-claim",
    ),
    pytest.param(
        credentials('{jwt: {key: "env:A", algorithm: RS256, issuer: x, scope: y}, hosts: [a.b]}'),
        "credentials.yaml:2:20: scope and ca are for a token_url: leave them out",
        id="jwt-scope-of-nothing",
    ),
    pytest.param(
        credentials(f"{{aws: {{{AWS_KEYS}, region: Frankfurt am Main}}, hosts: [a.b]}}"),
        "credentials.yaml:2:20: the key service is missing\n"
        "credentials.yaml:2:81: a name as AWS writes it is needed here: lower-case letters, digits and -,"
        " as in eu-central-1",
        id="aws-region",
    ),
    pytest.param(
        credentials(f"{{aws: {{{AWS_KEYS}, region: r, service: s3, s3cr3t: x}}, hosts: [a.b]}}"),
        "credentials.yaml:2:97: unknown key: known here: access_key_id, secret_access_key, session_token, region,"
        " service",
        id="aws-unknown-key-is-not-repeated",
    ),
    pytest.param(
        credentials('{hmac: {secret: "env:A", content: "{body}", headers: {X-Sig: "v1"}}, hosts: [a.b]}'),
        "credentials.yaml:2:21: no header carries the {signature}: write it into the value of one of headers",
        id="hmac-without-its-signature",
    ),
    pytest.param(
        credentials('{hmac: {secret: "env:A", content: "{timestamp}", headers: {X-Sig: "{signature}"}}, hosts: [a.b]}'),
        "credentials.yaml:2:21: the target cannot know the {timestamp} that is signed: send it in one of headers",
        id="hmac-unknown-timestamp",
    ),
    pytest.param(
        credentials('{hmac: {secret: "env:A", content: "{payload}", headers: {Host: "{body"}}, hosts: [a.b]}'),
        "credentials.yaml:2:48: the placeholders known here are {timestamp}, {method}, {host}, {path}, {query}, {uri},"
        " {body}, {body_hash}, {key_id}\n"
        "credentials.yaml:2:77: the placeholders known here are {signature}, {timestamp}, {key_id}\n"
        "credentials.yaml:2:77: this header is the gateway's own: a credential cannot be in it",
        id="hmac-placeholders",
    ),
    pytest.param(
        credentials('{hmac: {secret: "env:A", content: "x", headers: {X-Sig: "{key_id}{signature}"}}, hosts: [a.b]}'),
        "credentials.yaml:2:21: {key_id} is used, and no key_id says where it is kept",
        id="hmac-no-key-id",
    ),
    pytest.param(
        credentials('{hmac: {secret: "env:A", content: "x", headers: {X-S: "{signature}", x-s: "y"}}, hosts: [a.b]}'),
        "credentials.yaml:2:21: two headers differ in letter case alone, which makes them one: leave one out",
        id="hmac-one-header-twice",
    ),
    pytest.param(
        credentials('{hmac: {secret: "env:A", content: "x", headers: {X-S: "é{signature}"}}, hosts: [a.b]}'),
        "credentials.yaml:2:68: the value of a header is visible ASCII",
        id="hmac-header-value",
    ),
    pytest.param(
        credentials(
            '{hmac: {secret: "env:A", content: "x", headers: {X-S: "{signature}"}, algorithm: md5}, hosts: [a.b]}'
        ),
        "credentials.yaml:2:95: the values taken here are sha256 or sha512",
        id="hmac-algorithm",
    ),
    pytest.param(
        credentials('{client_cert: {cert: a.pem, key: "-----BEGIN s3cr3t"}, hosts: [a.b]}'),
        "credentials.yaml:2:47: a secret never stands in the rules: write where it is kept, in quotes: env:NAME,"
        " file:PATH, exec:COMMAND, vault:MOUNT/PATH#FIELD or keyring:SERVICE/USER",
        id="private-key-in-the-rules",
    ),
    pytest.param(
        credentials('{client_cert: {cert: a.pem, key: "file:a.key"}, hosts: [a.b]}') | targets("a: {url: https://a.b}"),
        "credentials.yaml:2:3: a secret must lie outside the rules directory, whose text is kept with the records",
        id="private-key-among-the-rules",
    ),
    pytest.param(
        targets("a: {url: https://api.crm.example:8443, tls: {client_cert: crm-token}}"),
        "targets.yaml:2:61: the credential crm-token is no client certificate: name it as the target's credential",
        id="token-as-certificate",
    ),
    pytest.param(
        targets("a: {url: https://a.example, tls: {client_cert: mtls}}") | MUTUAL,
        "targets.yaml:2:50: the credential mtls is not for a.example: add the host to its hosts, or name another"
        " credential",
        id="certificate-of-another-host",
    ),
    pytest.param(
        targets("a: {url: https://b.example, credential: mtls}") | MUTUAL,
        "targets.yaml:2:43: the credential mtls is a client certificate: name it in tls, as client_cert",
        id="certificate-as-credential",
    ),
    pytest.param(
        targets("a: {url: https://a.example, tls: {client_cert: crm-tokn}}"),
        "targets.yaml:2:50: unknown credential crm-tokn: did you mean crm-token?",
        id="unknown-certificate",
    ),
    pytest.param(
        targets("a: {url: http://a.example, tls: {ca: a.pem}}"),
        "targets.yaml:2:6: tls is for https: leave it out, or write https in the url",
        id="tls-of-http",
    ),
    pytest.param(
        targets("a: {url: https://a.example, tls: {min_version: 1.1, server_name: a b, verify: no}}"),
        "targets.yaml:2:50: the values taken here are 1.2 or 1.3\n"
        "targets.yaml:2:68: not a host name: write it as in api.crm.example, without scheme, port or final dot\n"
        "targets.yaml:2:73: unknown key verify: known here: ca, server_name, client_cert, min_version",
        id="tls-keys",
    ),
    pytest.param(
        credentials('{bearer: "file:secret.txt", hosts: [api.crm.example]}'),
        "credentials.yaml:2:3: a secret must lie outside the rules directory, whose text is kept with the records",
        id="secret-among-the-rules",
    ),
    pytest.param(
        credentials('{header: {name: Host, value: "env:A"}, hosts: [api.crm.example]}'),
        "credentials.yaml:2:30: this header is the gateway's own: a credential cannot be in it",
        id="credential-in-host",
    ),
    # The gateway.
    pytest.param(
        gateway("issuers: []\n"),
        "gateway.yaml:1:10: no issuer: nobody could be identified; name one, or dev: true",
        id="no-issuer",
    ),
    pytest.param(
        gateway("issuers:\n  - issuer: https://a.example\n    audience: x\n"),
        "gateway.yaml:2:5: the issuer lacks algorithms, roles",
        id="issuer-without-keys",
    ),
    pytest.param(
        gateway(
            "issuers:\n  - issuer: https://a.example\n    audience: x\n    algorithms: [RS256, HS256]\n"
            "    roles: $.roles[*]\n    jwks_file: jwks.json\n"
        ),
        "gateway.yaml:4:25: not an algorithm that is taken: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384,"
        " ES512, EdDSA",
        id="symmetric-algorithm",
    ),
    *WRONG_KEYS,
    pytest.param(
        gateway("issuers:\n  - dev: true\n  - dev: true\n"),
        "gateway.yaml:3:5: the issuer lockgate-dev is named twice: remove one",
        id="same-issuer-twice",
    ),
    pytest.param(
        gateway("issuers:\n  - {dev: true, audience: x}\n"),
        "gateway.yaml:2:5: the development issuer takes nothing else: leave audience out",
        id="dev-issuer-with-more",
    ),
    pytest.param(
        gateway('issuers:\n  - dev: true\nrecordings: {encrypt: "file:recordings.key"}\n'),
        "gateway.yaml:3:1: a secret must lie outside the rules directory, whose text is kept with the records",
        id="a-secret-of-recordings-inside",
    ),
    pytest.param(
        gateway(
            "issuers:\n  - dev: true\n"
            'approvals: {notify: [{webhook: "https://a.example/x", secret: "file:hook.key"}]}\n'
        ),
        "gateway.yaml:3:1: a secret must lie outside the rules directory, whose text is kept with the records",
        id="a-secret-of-notices-inside",
    ),
    pytest.param(
        gateway("issuers:\n  - dev: true\nmetrics: {listen: 1}\n"),
        "gateway.yaml:3:1: unknown key metrics: known here: issuers, lists, recordings, limits, approvals, state",
        id="unsupported-section",
    ),
    pytest.param(
        gateway("issuers:\n  - dev: true\nrecordings: {dir: r, archive: 90d}\n"),
        "gateway.yaml:3:22: unknown key archive: known here: dir, max_body, reserve, rotate, compress, keep, encrypt,"
        " checkpoints",
        id="unsupported-key-of-a-section",
    ),
    # What needs the rest of the directory to be judged, and what could never count.
    pytest.param(
        role("deny: any crm /x\nshow: [$.a]"),
        "roles/support.yaml:3:5: a deny has no answer to mask: leave mask, show and detect out",
        id="deny-that-shows",
    ),
    pytest.param(
        role("allow: GET crm /x\napprovers: [finance]"),
        "roles/support.yaml:3:5: approvers, quorum, timeout, require_reason and max_grant are a hold's: leave them out",
        id="approvers-of-an-allow",
    ),
    pytest.param(
        role("hold: GET crm /x\nquorum: 0"),
        "roles/support.yaml:5:13: a whole number from 1 is needed here",
        id="quorum-of-none",
    ),
    pytest.param(
        role("hold: GET crm /x\ntimeout: 15"),
        "roles/support.yaml:5:14: a time to wait is a number from 1 with a unit: 30s, 15m, 1h, 7d",
        id="timeout-without-unit",
    ),
    pytest.param(
        role('allow: GET crm /x\nwhen: request.headers["authorization"] != ""'),
        "roles/support.yaml:5:27: no rule sees the header authorization: it is taken off, or refused, before",
        id="header-that-is-taken-off",
    ),
    pytest.param(
        role("hold: GET crm /x\ntimeout: 0s"),
        "roles/support.yaml:5:14: a time to wait is a number from 1 with a unit: 30s, 15m, 1h, 7d",
        id="timeout-of-no-time",
    ),
    pytest.param(
        role("allow: GET crm /x\ntypes: {body.a: number}"),
        "roles/support.yaml:3:5: types are those of what when and unless read: write one of them, or leave types out",
        id="types-without-conditions",
    ),
    pytest.param(
        role("allow: GET crm /x\nexpires: tomorrow"),
        "roles/support.yaml:5:14: a day or an instant is needed here: 2030-01-31 (0:00 UTC) or 2030-01-31T12:00:00Z",
        id="expires-in-words",
    ),
    pytest.param(
        role("allow: GET crm /x\nexpires: 2030-01-31T12:00:00"),
        "roles/support.yaml:5:14: a day or an instant is needed here: 2030-01-31 (0:00 UTC) or 2030-01-31T12:00:00Z",
        id="expires-without-zone",
    ),
    pytest.param(
        role("allow: GET crm /x\nexpires: 2030-02-30"),
        "roles/support.yaml:5:14: a day or an instant is needed here: 2030-01-31 (0:00 UTC) or 2030-01-31T12:00:00Z",
        id="no-such-day",
    ),
    pytest.param(
        role("allow: GET crm /x\nunless: body.a >"),
        "roles/support.yaml:5:21: a value is missing at the end",
        id="bad-unless",
    ),
    pytest.param(
        role("allow: GET crm /x\nunless: request.path"),
        "roles/support.yaml:5:20: the condition is text, not true or false: compare it with something",
        id="unless-not-boolean",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: body.a = 5"),
        "roles/support.yaml:5:18: = compares nothing: write ==",
        id="when-with-single-equals",
    ),
    pytest.param(
        {**gateway(DEV + "lists: {vip: [a]}\n"), **role("allow: GET crm /x\nwhen: body.who in lists.vips")},
        "roles/support.yaml:5:28: gateway.yaml has no list vips: did you mean vip?",
        id="unknown-list",
    ),
    pytest.param(
        {**gateway(DEV + "lists: {vip: [a]}\n"), **role("allow: GET crm /x\nwhen: size(body.who) in lists.vip")},
        "roles/support.yaml:5:26: compares a number with text, which are never alike",
        id="list-of-another-type",
    ),
    pytest.param(
        gateway(DEV + "lists: {our-orgs: [a]}\n"),
        "gateway.yaml:3:9: a list's name has letters, digits and _ only, as conditions write it: lists.name",
        id="list-name",
    ),
    pytest.param(
        gateway(DEV + "lists: {orgs: [{a: b}]}\n"),
        "gateway.yaml:3:15: a list holds text, or numbers: not lists or mappings",
        id="list-of-mappings",
    ),
    pytest.param(
        gateway(DEV + "lists: {orgs: a}\n"),
        "gateway.yaml:3:15: a list is needed here: [a, b], or {numbers: [1, 2.5]}",
        id="list-that-is-text",
    ),
    pytest.param(
        gateway(DEV + "lists: {fees: {numbers: [1, two]}}\n"),
        "gateway.yaml:3:15: not a number: write it as in 12 or -0.5",
        id="list-of-no-numbers",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: body.a == 5\ntypes: {body.a: money}"),
        "roles/support.yaml:6:21: unknown type money: known here: bool, int, list, list(bool), list(number), "
        "list(string), map, number, string",
        id="unknown-type",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: body.a == 5\ntypes: {body.b: number}"),
        "roles/support.yaml:6:21: no condition of this rule reads body.b: did you mean body.a?",
        id="type-of-what-is-not-read",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: request.path == '/x'\ntypes: {request.path: string}"),
        "roles/support.yaml:6:27: request.path is no field below body or principal.claims: write its path, "
        'as body.amount or principal.claims["cost-center"]',
        id="type-of-no-open-field",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: body.a == 5 || body.a == 'five'"),
        'roles/support.yaml:5:33: body.a is a number in body.a == 5 and text in body.a == "five": mend the '
        "wrong one; types: {body.a: ...} says which it is",
        id="two-types-for-one-field",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: body.a == 5\ntypes: {body.a: string}"),
        "roles/support.yaml:5:18: body.a is declared string under types, and a number in body.a == 5: mend one of them",
        id="type-and-use-differ",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: body.items.all(i, i.price < 5)"),
        "roles/support.yaml:5:21: all goes through body.items, which the agent can make long: write"
        " size(body.items) <= 100 && body.items.all(...), so that a longer one does not get past this (1000 at most)",
        id="unbounded-loop",
    ),
    pytest.param(
        role("allow: GET crm /x\nshow: id"),
        "roles/support.yaml:5:11: a path starts with $, as in $.name or $..name",
        id="show-without-root",
    ),
    pytest.param(role("allow: GET crm /x\nshow: []"), "roles/support.yaml:5:11: the list is empty", id="empty-show"),
    pytest.param(
        role("allow: GET crm /x\nredact_request: body.card"),
        "roles/support.yaml:5:21: a field of the request is $.path of its body, query.NAME, or headers.NAME "
        "in lower case",
        id="redact-a-fact",
    ),
    pytest.param(
        role("allow: GET crm /x\nrecord: nothing"),
        "roles/support.yaml:5:13: the values taken here are full, headers or digest",
        id="record",
    ),
    pytest.param(
        role("allow: GET crm /x\nredact_request: headers.X-Pin"),
        "roles/support.yaml:5:21: a field of the request is $.path of its body, query.NAME, or headers.NAME "
        "in lower case",
        id="redacted-header-in-capitals",
    ),
    pytest.param(
        role("allow: GET crm /x\nmask: {$.a: drop, $.a.b: redact}"),
        "roles/support.yaml:5:23: never applies: $.a takes it away already; leave one of the two out",
        id="mask-below-a-drop",
    ),
    pytest.param(
        role("allow: GET crm /x\nshow: [$.a]\nmask: {$.b: redact}"),
        "roles/support.yaml:6:12: never applies: show keeps nothing that it is about; leave it out",
        id="mask-of-what-is-not-shown",
    ),
    pytest.param(
        role("allow: HEAD crm /x\nmask: {$.b: redact}"),
        "roles/support.yaml:5:5: never applies: the answer to HEAD has no body; leave it out, or add GET to the rule",
        id="mask-of-head",
    ),
    pytest.param(
        role("allow: GET crm /x\ndetect: [emial, card, card]"),
        "roles/support.yaml:5:14: nothing detects emial: did you mean email?\n"
        "roles/support.yaml:5:27: card stands here twice: leave one out",
        id="detect-of-nothing",
    ),
    pytest.param(
        guardrail("reason: because"),
        "guardrails.yaml:2:5: a guardrail has exactly one of hold and deny, or only mask, show, detect, "
        "redact_request and record; it never allows",
        id="guardrail-for-nothing",
    ),
    pytest.param(
        guardrail("mask: {$.a: drop}, when: request.path == '/x'"),
        "guardrails.yaml:2:5: masks alone bind every answer: leave when, unless, expires and reason out",
        id="guardrail-mask-with-when",
    ),
    pytest.param(
        targets("t: {url: https://a.example, urls: [https://b.example]}"),
        "targets.yaml:2:6: a target has exactly one of url and urls",
        id="url-and-urls",
    ),
    pytest.param(targets("t: {urls: []}"), "targets.yaml:2:13: the list is empty", id="no-urls"),
    pytest.param(
        targets("t: {urls: [https://a.example, https://api.crm.example]}"),
        "targets.yaml:3:14: the target t has this origin already: one target for each origin",
        id="origin-in-two-targets",
    ),
    pytest.param(
        role("allow: GET crm /x\nwhen: 1 > 2"),
        "roles/support.yaml:5:11: it is always false, so the rule never counts: mend it, or leave the rule out",
        id="never-true",
    ),
    pytest.param(
        role("allow: GET crm /x\nunless: true"),
        "roles/support.yaml:5:13: it is always true, so the rule never counts: mend it, or leave the rule out",
        id="unless-always",
    ),
    pytest.param(
        role("allow: select crm public.orders"),
        "roles/support.yaml:4:12: unknown verb select: known here: DELETE, GET, HEAD, OPTIONS, PATCH, POST, "
        "PUT, QUERY, any, receive, receive-binary, send, send-binary, ws\n"
        "roles/support.yaml:4:23: a resource starts with /: write /public.orders",
        id="verb-of-sql",
    ),
    pytest.param(
        role("allow: GET crm /{a}/{a}"),
        "roles/support.yaml:4:20: the same name is captured twice: name them apart",
        id="captured-twice",
    ),
    pytest.param(
        role("allow: GET crm /a/../b"),
        "roles/support.yaml:4:20: a . or .. part never reaches a rule: paths that have one are refused",
        id="dotdot",
    ),
    pytest.param(
        role("allow: GET crm /%61"),
        "roles/support.yaml:4:20: write a for %61: that is how paths are compared",
        id="encoded-letter",
    ),
    pytest.param(
        role("allow: GET crm //a"),
        "roles/support.yaml:4:20: an empty part (//) matches no path: write one /",
        id="double-slash",
    ),
    pytest.param(
        {"roles/support.yaml": "- role: support\n"},
        "roles/support.yaml:1:1: a mapping is needed here: lines of key: value",
        id="role-is-list",
    ),
    pytest.param(
        {"roles/support.yaml": ""},
        "roles/support.yaml:1:1: the key role is missing\nroles/support.yaml:1:1: the key rules is missing",
        id="empty-role",
    ),
    pytest.param(
        {"roles/support.yaml": "role: support\nrules: {id: a}\n"},
        "roles/support.yaml:2:8: a list is needed here: lines that begin with -",
        id="rules-is-mapping",
    ),
    pytest.param(
        {"roles/support.yaml": "role: support\nrules:\n  - allow GET crm /x\n"},
        "roles/support.yaml:3:5: a mapping is needed here: lines of key: value",
        id="rule-is-text",
    ),
    pytest.param(
        {ROLE: "role: support\nrules:\n  - {id: a, allow: GET crm /v1/a}\n  - {id: d, deny: any crm /v1/**}\n"},
        "roles/support.yaml:3:20: never counts: denied whole by support/d (roles/support.yaml:4); take one of them out",
        id="shadowed",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), WRONG)
def test_what_a_wrong_file_is_told(problems: Problems, changes: dict[str, str | bytes | None], expected: str) -> None:
    assert [str(problem) for problem in problems(changes)] == expected.split("\n")


@pytest.mark.parametrize("case", [case.values[0] for case in WRONG if "credentials.yaml" in (case.values[0] or {})])
def test_no_error_repeats_a_secret(problems: Problems, case: dict[str, str]) -> None:
    assert "s3cr3t" not in "\n".join(str(problem) for problem in problems(case))
