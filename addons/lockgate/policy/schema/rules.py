"""Rules: `roles/*.yaml` and `guardrails.yaml`. Pure."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from lockgate.model import RecordKind
from lockgate.policy.schema import Model
from lockgate.policy.schema.values import Count, Flag, HoldTime, Instant, Lines, MaskMap, Names, NameText, Text

OF_HOLDS = ("approvers", "quorum", "timeout", "require_reason", "max_grant")


class Matching(Model):
    """What every kind of rule may say of when it counts and what its answer shows."""

    id: NameText
    """Its name in records and refusals, as ROLE/ID; unique in its file. Example: read-customers"""
    hold: Lines | None = None
    """What a person has to approve: a line, VERB TARGET RESOURCE, or a list of lines. Without a resource it is about
    everything at the target."""
    deny: Lines | None = None
    """What is refused: a line, VERB TARGET RESOURCE, or a list of lines. Without a resource it is about everything at
    the target."""
    when: Text | None = None
    """It counts where this condition (CEL) is true."""
    unless: Text | None = None
    """It does not count where this condition (CEL) is true; looked at only where when is."""
    types: dict[str, Text] = Field(default_factory=dict)
    """Of what type the fields are that when and unless read. Example: {body.country: string}"""
    expires: Instant | None = None
    """From then on the rule counts as not there: a day (its first moment, UTC) or an instant, 2030-01-31T12:00:00Z."""
    mask: MaskMap = Field(default_factory=dict)
    """What happens to each value of the answer that a JSONPath finds. Example: {$..email: {keep_last: 4}}"""
    show: Lines = Field(default_factory=list)
    """JSONPaths: of the answer only what they find is kept."""
    detect: Lines = Field(default_factory=list)
    """Kinds of values that are taken out of every text of the answer: email, phone, card, iban, jwt, pem, key.
    Example: [email, card]"""
    redact_request: Lines = Field(default_factory=list)
    """What of the request is not recorded: JSONPaths over its body, query.NAME, headers.NAME."""
    record: RecordKind | None = None
    """What is recorded of the request and its answer: full (where it says nothing), headers (no bodies), or digest (the
    path without its query, and keyed digests). Of several rules about a request, the one that records least counts.
    Example: digest"""
    approvers: Names | None = None
    """The roles of persons who may approve a hold; any person where it says nothing. Example: [finance]"""
    quorum: Count | None = None
    """How many approvals a hold needs; 1 where it says nothing."""
    timeout: HoldTime | None = None
    """How long a hold waits for approval; what approvals say in gateway.yaml where it says nothing."""
    require_reason: Flag | None = None
    """Whether whoever decides has to say why. Example: true"""
    max_grant: HoldTime | None = None
    """For how long at most a hold may be granted ahead, so that the same caller need not ask each time; it cannot
    where this says nothing. Example: 1h"""
    reason: Text | None = None
    """Is shown to the agent, and recorded. Example: Bulk export needs a ticket."""

    @property
    def verdicts(self) -> list[str]:
        return [key for key in ("allow", "hold", "deny") if getattr(self, key, None) is not None]

    @model_validator(mode="after")
    def fitting_keys(self) -> Self:
        if self.deny is not None and (self.mask or self.show or self.detect):
            raise ValueError("a deny has no answer to mask: leave mask, show and detect out")
        if self.types and not (self.when or self.unless):
            raise ValueError("types are those of what when and unless read: write one of them, or leave types out")
        if self.hold is None and any(getattr(self, key) is not None for key in OF_HOLDS):
            raise ValueError(f"{', '.join(OF_HOLDS[:-1])} and {OF_HOLDS[-1]} are a hold's: leave them out")
        return self


class Rule(Matching):
    """One rule of a role."""

    allow: Lines | None = None
    """What is let through: a line, VERB TARGET RESOURCE, or a list of lines."""
    query: list[Text] | None = None
    """The query parameters that it takes, and no others: it does not count where another is given. Without it it takes
    any; but where the answer is masked, none that may rename or reshape fields. Example: [page, limit]"""

    @model_validator(mode="after")
    def query_of_what_is_let_through(self) -> Self:
        if self.query is not None and self.deny is not None:
            raise ValueError("query is what an allow or hold takes: a deny takes any, leave it out")
        return self

    @model_validator(mode="after")
    def one_verdict(self) -> Self:
        if len(self.verdicts) != 1:
            raise ValueError("a rule has exactly one of allow, hold and deny")
        return self


class Role(Model):
    """`roles/NAME.yaml`."""

    role: NameText
    """The role's name, which is the file's too. Example: support"""
    extends: Names = Field(default_factory=list)
    """Roles whose rules it has too. Extending can only add. Example: [reader]"""
    rules: list[Any]
    """What the role may do. The order means nothing: a deny beats a hold, a hold beats an allow."""


class Guardrail(Matching):
    """One rule that binds every role: a deny, a hold, or what every answer and record of every target leaves out."""

    @model_validator(mode="after")
    def one_purpose(self) -> Self:
        if len(self.verdicts) > 1 or not (
            self.verdicts or self.mask or self.show or self.detect or self.redact_request or self.record
        ):
            raise ValueError(
                "a guardrail has exactly one of hold and deny, or only mask, show, detect, redact_request and record;"
                " it never allows"
            )
        if not self.verdicts and (self.when or self.unless or self.expires or self.reason):
            raise ValueError("masks alone bind every answer: leave when, unless, expires and reason out")
        return self


class Guardrails(Model):
    """`guardrails.yaml`."""

    rules: list[Any]
    """Rules that bind every role: denies, holds, and what is masked everywhere. None allows."""
