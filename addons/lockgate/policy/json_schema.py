"""The rules' schema for editors: JSON Schema draft-07, generated from the models of `schema` and `cases`. Pure.

Draft-07 is what yaml-language-server (VS Code, Neovim, ...) and JetBrains' editors have all read for years; support of
later drafts differs between them and their versions. One schema serves every kind of file: it goes by the key that
only that kind has, in a chain of if and then, so that an error is always told of the kind that is meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from lockgate.masking.detectors import DETECTORS
from lockgate.model import WEBSOCKET_VERBS
from lockgate.policy import cases, sources
from lockgate.policy.conditions.declarations import TYPES
from lockgate.policy.config import LIST_NAME
from lockgate.policy.fragments import (
    Fragment,
    choice,
    exactly_one,
    mapping,
    one_or_list,
    said_by,
    scalar_or_mapping,
    some_of,
    text,
    whole_number,
    without,
    written,
)
from lockgate.policy.schema import Model, addresses, approvals, notify, values
from lockgate.policy.schema.credentials import (
    CREDENTIAL_KINDS,
    REGISTERED_CLAIMS,
    Credential,
    Credentials,
    Jwt,
    OAuth2,
    Vault,
)
from lockgate.policy.schema.gateway import OF_TOKENS, Gateway, Issuer
from lockgate.policy.schema.rules import OF_HOLDS, Guardrail, Guardrails, Role, Rule
from lockgate.policy.schema.targets import Target, Targets

DIALECT = "http://json-schema.org/draft-07/schema#"
REFERENCE = "#/definitions/{model}"


class File(NamedTuple):
    """A kind of file: its model, the key that only it has, and the model of each entry below `entries`."""

    key: str
    model: type[Model]
    entries: str
    entry: type[Model]


# A role has rules too, so it is asked for before the guardrails are.
FILES = (
    File("issuers", Gateway, "issuers", Issuer),
    File("targets", Targets, "targets", Target),
    File("credentials", Credentials, "credentials", Credential),
    File("role", Role, "rules", Rule),
    File("rules", Guardrails, "rules", Guardrail),
    File("tests", cases.Tests, "tests", cases.Test),
)

NAME = values.NAME.pattern
URL = "https?://[^#]+"
HOST = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
KEEP = whole_number("a number of characters is needed here, from 1", 4)
MASKS = {
    "redact": "[redacted]",
    "nullify": "null",
    "drop": "The member or item is gone.",
    "hash": "[hash:...], keyed: equal values stay equal, and cannot be computed back.",
}

SOURCE = written(
    r"env:[A-Za-z_][A-Za-z0-9_]*|(file|exec):.+|vault:[^#]+/[^#]+#[^#]+|keyring:.+/.+",
    said_by(sources.source),
    "env:CRM_TOKEN",
    "file:/run/secrets/crm",
)

# The values that a reader takes. One that is not here fails the generation: add it.
VALUES: Mapping[object, Fragment] = {
    values.text: text(),
    values.name: written(NAME, said_by(values.name), types=["string", "number"]),
    values.flag: {"type": "boolean", "errorMessage": said_by(values.flag)},
    values.size: written(values.SIZE, said_by(values.size), "1MiB"),
    values.duration: written(values.DURATION, said_by(values.duration), "15m"),
    values.wait: written(values.WAIT, said_by(values.wait), "15m"),
    values.count: whole_number(said_by(values.count), 1),
    values.instant: written(
        r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d))?", said_by(values.instant), "2030-01-31"
    ),
    addresses.host: written(HOST, said_by(addresses.host), "api.crm.example"),
    addresses.origin: written(rf"https?://({HOST})(:\d{{1,5}})?", said_by(addresses.origin), "https://api.crm.example"),
    addresses.address: written(rf"({HOST}):\d{{1,5}}", said_by(addresses.address), "127.0.0.1:9443"),
    **dict.fromkeys((sources.source, sources.text_source, sources.pem_source), SOURCE),
    addresses.service: written(
        r"https?://[!-~]+", said_by(addresses.service), "https://login.crm.example/oauth2/token"
    ),
    notify.hook: written(r"https?://[^#@]+", said_by(notify.hook), "https://hooks.example/lockgate"),
    notify.mail_address: written(r"[^@\s]+@[A-Za-z0-9.-]+", said_by(notify.mail_address), "security@crm.example"),
    notify.port_number: whole_number(said_by(notify.port_number), 587, most=65535),
    notify.words: {"type": "array", "items": {"type": "string"}, "minItems": 1, "errorMessage": said_by(notify.words)},
    approvals.page: written(r"https?://[^/?#@]+", said_by(approvals.page), "https://approvals.example"),
    values.claim: {"type": ["string", "number", "array"]},
    addresses.published: written(r"https://[^#]+", said_by(addresses.published), "https://login.example/keys"),
    values.keys_max_age: written(values.WAIT, said_by(values.keys_max_age), "4h"),
    values.hold_time: written(values.WAIT, said_by(values.hold_time), "15m"),
    values.ttl: written(values.WAIT, said_by(values.ttl), "5m"),
    values.word: written(values.WORD, said_by(values.word), "eu-central-1"),
    values.content: text("{timestamp}.{body}"),
    values.header_value: written("[!-~]([ -~]*[!-~])?", "the value of a header is visible ASCII", "v1={signature}"),
    values.user: written(r"[^:]+", "a user name is needed here, without a colon (RFC 7617)"),
    values.algorithm: choice(values.ALGORITHMS),
    values.method: written(values.METHOD, said_by(values.method), "PROPFIND"),
    values.media_type: written(values.MEDIA_TYPE, said_by(values.media_type), "text/csv"),
    values.header_name: written(values.HEADER_NAME, said_by(values.header_name), "X-Api-Key"),
    cases.header_name: written(values.HEADER_NAME, "not a header name"),
    values.strategy: scalar_or_mapping(
        choice(MASKS) | {"errorMessage": said_by(values.strategy)},
        {
            "keep_first": KEEP | {"description": "[redacted] and as many first characters."},
            "keep_last": KEEP | {"description": "[redacted] and as many last characters."},
            "replace": {"type": ["string", "number"], "description": "This text in its place.", "examples": ["text"]},
        },
    ),
    values.named_list: scalar_or_mapping(
        {"type": "array", "items": {"type": ["string", "number"]}, "errorMessage": said_by(values.named_list)},
        {
            "numbers": {
                "type": "array",
                "items": {"type": "number"},
                "description": "A list of numbers.",
                "examples": [[1, 2.5]],
            }
        },
    ),
    cases.url: written(URL, said_by(cases.url), "https://api.crm.example/v1/customers/7"),
    cases.status_code: {"type": "integer", "minimum": 200, "maximum": 599, "errorMessage": said_by(cases.status_code)},
    cases.one_verdict: choice(cases.VERDICTS),
    cases.told: choice(["withheld", "refused"]) | {"errorMessage": said_by(cases.told)},
}

# What may stand in place of a mapping, by what makes one of it.
SHORT: Mapping[object, Fragment] = {
    cases.roles_alone: one_or_list(VALUES[values.name]),
    cases.line_alone: written(
        rf"\s*\S+\s+{URL}", said_by(cases.line_alone), "GET https://api.crm.example/v1/customers/7"
    ),
    cases.verdict_alone: choice(cases.VERDICTS),
}

# Which methods a target takes is known elsewhere.
VERB = rf"({values.METHOD.pattern}|{'|'.join(sorted(WEBSOCKET_VERBS))})"
ACTION = rf"\s*(any|{VERB}(\|{VERB})*)\s+{NAME}(\|{NAME})*"
LINE_FORM = "a rule is VERB TARGET RESOURCE, as in GET|HEAD crm /v1/customers/{id}: methods in capitals, a path from /"
FULL_LINE = written(rf"{ACTION}\s+/\S*\s*", LINE_FORM, "GET|HEAD crm /v1/customers/{id}", "any crm /v1/**")
LINE = written(rf"{ACTION}(\s+/\S*)?\s*", LINE_FORM, "any crm /v1/**/export", "DELETE crm")
PATH = written(r"\$([.[].*)?", "a path starts with $, as in $.name or $..name", "$.payment.card", "$..email")
REQUEST_FIELD = written(
    r"\$([.[].*)?|query\.\S+|headers\.[^A-Z\s]+",
    "a field of the request is $.path of its body, query.NAME, or headers.NAME in lower case",
    "$.card",
    "query.token",
    "headers.x-pin",
)
CONDITION = text('body.amount <= 500 && body.currency == "EUR"') | {"type": "string"}
CONDITION_FIELD = written(r"(body|principal\.claims)[.[].*", "the path of a field is needed here, as body.amount")

# Keys whose values have a language of their own, which `schema` leaves to where they are compiled, and names that do.
LANGUAGES: Mapping[str, Fragment] = {
    "allow": one_or_list(FULL_LINE),
    "hold": one_or_list(LINE),
    "deny": one_or_list(LINE),
    "when": CONDITION,
    "unless": CONDITION,
    "types": mapping(choice(list(TYPES)), keys=CONDITION_FIELD),
    "mask": mapping(VALUES[values.strategy], keys=PATH),
    "show": one_or_list(PATH),
    "detect": one_or_list(choice(sorted(DETECTORS)) | {"type": "string"}),
    "redact_request": one_or_list(REQUEST_FIELD),
    "targets": {"propertyNames": VALUES[values.name]},
    "min_version": {"enum": ["1.2", "1.3", 1.2, 1.3]},
    "claims": {"propertyNames": {"not": {"enum": sorted(REGISTERED_CLAIMS)}}},
    "lists": {"propertyNames": written(LIST_NAME, "a list's name has letters, digits and _ only")},
}

# Which keys go together: what the models' validators say, for editors.
MATCHING: Sequence[Fragment] = (
    {
        "if": {"required": ["deny"]},
        "then": without(["mask", "show", "detect"], "a deny has no answer to mask: leave this out"),
    },
    {
        "if": {"required": ["hold"]},
        "else": without(list(OF_HOLDS), "only a hold has this: leave it out"),
    },
    {"if": {"required": ["types"]}, "then": some_of(["when", "unless"], "types need the condition that reads them")},
)
ONE_BODY: Fragment = {
    "if": {"required": ["body"]},
    "then": without(["raw"], "body is a JSON document, raw is text: leave one of them out"),
}
TOGETHER: Mapping[type[Model], Sequence[Fragment]] = {
    Rule: (exactly_one(["allow", "hold", "deny"]), *MATCHING),
    Guardrail: (
        {
            "if": some_of(["hold", "deny"], ""),
            "then": exactly_one(["hold", "deny"]),
            "else": {
                **some_of(
                    ["mask", "show", "detect", "redact_request", "record"],
                    "a guardrail has hold or deny, or masks all answers",
                ),
                **without(["when", "unless", "expires", "reason"], "masks alone bind every answer: leave this out"),
            },
        },
        *MATCHING,
    ),
    Target: (exactly_one(["url", "urls"]),),
    Credential: (exactly_one(CREDENTIAL_KINDS),),
    OAuth2: (
        {"if": {"required": ["client_secret"]}, "then": without(["client_key"], "a client has one of both")},
        {"if": {"required": ["auth"]}, "then": {"required": ["client_secret"]}},
        some_of(["client_secret", "client_key", "refresh_token"], "a client shows who it is: name its client_secret"),
    ),
    Jwt: (
        {"if": {"required": ["token_url"]}, "else": without(["scope", "ca"], "this is for a token_url: leave it out")},
    ),
    Vault: ({"properties": {"token": {"not": {"pattern": "^vault:"}, "errorMessage": "not kept in Vault itself"}}},),
    Issuer: (
        {
            "if": {"required": ["dev"], "properties": {"dev": {"const": True}}},
            "then": without(
                [key for key in Issuer.model_fields if key != "dev"], "the development issuer takes nothing else"
            ),
            "else": {"required": ["issuer", "audience", "roles"], **some_of(["algorithms", "saml"], "name algorithms")},
        },
        {
            "if": {"required": ["saml"]},
            "then": without(list(OF_TOKENS), "a SAML identity provider issues no tokens: leave it out"),
        },
        {
            "if": {"required": ["jwks_file"]},
            "then": without(["jwks", "ca", "keys_max_age"], "this is for keys that are fetched: leave it out"),
        },
    ),
    cases.Asked: (ONE_BODY,),
    cases.Answered: (ONE_BODY,),
    cases.Expected: (
        ONE_BODY,
        {"if": some_of(["body", "raw"], ""), "then": without(["answer"], "the agent gets one of body, raw and answer")},
    ),
}


class Editors(GenerateJsonSchema):
    """What pydantic generates, with text by what it is read as, and without what only Python has: None, defaults."""

    schema_dialect = DIALECT

    def function_before_schema(self, schema_: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        read = schema_["function"]["function"]
        if read is values.listed:
            return one_or_list(self.generate_inner(schema_["schema"])["items"])
        if read in SHORT:
            return {"anyOf": [SHORT[read], self.generate_inner(schema_["schema"])]}
        return dict(VALUES[read])

    def function_plain_schema(self, schema_: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return dict(VALUES[schema_["function"]["function"]])

    def dict_schema(self, schema_: core_schema.DictSchema) -> JsonSchemaValue:
        keys = self.generate_inner(schema_["keys_schema"])
        return mapping(self.generate_inner(schema_["values_schema"]), keys if "pattern" in keys else None)

    def nullable_schema(self, schema_: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema_["schema"])

    def default_schema(self, schema_: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema_["schema"])

    def field_title_should_be_set(self, schema_: Any) -> bool:  # noqa: ARG002 (pydantic's signature)
        return False


def generate() -> Fragment:
    """The whole schema."""
    definitions: dict[str, Fragment] = {}
    for model in (model for file in FILES for model in (file.model, file.entry)):
        whole = model.model_json_schema(ref_template=REFERENCE, schema_generator=Editors)
        definitions |= {**whole.pop("$defs", {}), model.__name__: whole}
    for definition in definitions.values():
        for key, value in definition["properties"].items():
            value |= LANGUAGES.get(key, {})
            value["description"] = " ".join(value.get("description", "").split())
    for model, fragments in TOGETHER.items():
        definitions[model.__name__]["allOf"] = list(fragments)
    for file in FILES:
        entries = definitions[file.model.__name__]["properties"][file.entries]
        entries["items" if entries["type"] == "array" else "additionalProperties"] = refer(file.entry)
    return {
        "$schema": DIALECT,
        "$comment": "Generated: `lockgate schema > rules/schema.json` writes it anew.",
        "title": "Lockgate rules",
        **by_key(FILES),
        "definitions": definitions,
    }


def by_key(files: Sequence[File]) -> Fragment:
    """The first of the kinds whose key is there; where none is, a choice of their keys."""
    if files:
        file, *others = files
        return {"if": {"required": [file.key]}, "then": refer(file.model), "else": by_key(others)}
    keys = {file.key: {"$ref": f"{refer(file.model)['$ref']}/properties/{file.key}"} for file in FILES}
    return {"type": "object", "properties": keys, "additionalProperties": False, "minProperties": 1}


def refer(model: type[Model]) -> Fragment:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def written_out() -> str:
    """The text of `schema.json`."""
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"
