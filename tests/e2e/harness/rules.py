"""The rules that most tests run under: two targets, a role that reads and writes, one that may do nothing."""

from __future__ import annotations

from harness.issuer import AUDIENCE, ISSUER

CRM = "api.crm.example"
PLAIN = "plain.example"
LEEWAY = 1  # seconds for which a token is still honoured: short, so that tests can wait for its end

SUPPORT = """\
role: support
rules:
  - id: read
    allow: GET|HEAD crm|plain /v1/{what}
    mask:
      $..ssn: redact
      $..email: {keep_last: 7}
      $.payment.card: redact

  - id: write
    allow: POST|PUT|PATCH crm|plain /v1/{what}
    mask:
      $..ssn: redact
      $..email: redact
      $.payment.card: redact

  - id: unmasked
    allow: GET|HEAD|POST crm|plain /open/{what}

  - id: small
    allow: POST crm /refunds
    when: body.amount <= 500
    mask: {$..ssn: drop, $..email: drop, $.payment.card: nullify}

  - id: big
    hold: POST crm /refunds
    when: body.amount > 500
    reason: Refunds above 500 need finance.

  - id: no-delete
    deny: DELETE crm
    reason: Nothing is deleted here.
"""

IDLE = """\
role: idle
rules: []
"""


def gateway_yaml() -> str:
    return f"""\
issuers:
  - issuer: {ISSUER}
    audience: {AUDIENCE}
    algorithms: [RS256, ES256]
    roles: $.realm_access.roles[*]
    jwks_file: jwks.json
    leeway: {LEEWAY}s
"""


CREDENTIALS = f"""\
credentials:
  crm-token: {{bearer: "env:CRM_TOKEN", hosts: [{CRM}]}}
"""


def targets_yaml(crm: int, plain: int, *, extra: str = "", private: bool = True) -> str:
    """Both targets at ports of this machine; `extra` is further targets, indented by two."""
    return f"""\
targets:
  crm:
    url: https://{CRM}
    connect: 127.0.0.1:{crm}
    private: {str(private).lower()}
    credential: crm-token
  plain:
    url: http://{PLAIN}
    connect: 127.0.0.1:{plain}
    private: {str(private).lower()}
{extra}"""


def rules(crm: int, plain: int, jwks: str, *, extra: str = "", private: bool = True) -> dict[str, str]:
    """Every file of the rules by its path."""
    return {
        "gateway.yaml": gateway_yaml(),
        "jwks.json": jwks,
        "credentials.yaml": CREDENTIALS,
        "targets.yaml": targets_yaml(crm, plain, extra=extra, private=private),
        "roles/support.yaml": SUPPORT,
        "roles/idle.yaml": IDLE,
    }
