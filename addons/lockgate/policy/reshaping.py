"""Query parameters under masks: what renames or reshapes fields of an answer takes them off a mask's path. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lockgate.model import Mask, Show
from lockgate.policy.conditions.spellings import folded
from lockgate.policy.rules import Rule

# Letters and digits of their names, and what stands before a `[`: those of OData, JSON:API, Elasticsearch, Solr, FHIR,
# PostgREST, Laravel, Spring Data, Google's and Microsoft's APIs, and what others call the same.
NAMES = """
    aggregate aggregations aggs alias alt apply as attributes callback camelcase columns compute converter countby
    csv decorate deep depth distinct docvaluefields embed embedded envelope exclude excludefields excludes expand
    expandfields extend extract facet facets field fieldmask fieldnames fields fieldset filterpath fl flat flatten
    fmt format groupby having include included includefields includes inline inlinecount jmespath join joins jq json
    jsonp jsonpath keycase keys limitfields mapping mask naming nest nested omit only output outputformat pick
    pipeline pivot populate project projection projections properties props raw rawquery relations rename
    representation respfields responsefields responseformat responsetype returnfields schema scriptfields select
    selectfields selection selector serializer shape sourceexcludes sourcefilter sourceincludes sparse sql
    storedfields summarize summary template transform transformation translate typedkeys unwind unwrap view with
    withfields wrap wrapper wt xpath xsl xslt
"""
RESHAPING = frozenset(NAMES.split())


def reshapes(name: str) -> bool:
    """Whether a parameter of this name may rename or reshape the fields of an answer."""
    plain = folded(name.partition("[")[0])
    return "".join(filter(str.isalnum, plain)) in RESHAPING


def refused(
    names: Collection[str], binding: Sequence[Rule], masks: Sequence[Mask], shows: Sequence[Show]
) -> str | None:
    """Why a request with parameters of these names is denied whose answer is masked; None where it is not.

    `binding` are the rules that allow or hold it, and those whose masks count. A rule that masks and has a `query` list
    takes no parameter beside it; one that may reshape is taken only where every rule that masks lists it, and any does.
    """
    if not (shows or any(mask.kind != "detect" for mask in masks)) or not names:  # a form is found wherever it stands
        return None
    listing = [rule for rule in binding if rule.query is not None]
    for rule in listing:
        if rule.query is not None and alters(rule) and not rule.query.issuperset(names):
            return f"The answer is masked, and {rule.name} takes {listed(rule.query)} only."
    lists = [rule.query or frozenset() for rule in binding if rule.query is not None or alters(rule)]
    if any(reshapes(name) and not (lists and all(name in each for each in lists)) for name in names):
        return "The answer is masked, and a parameter may reshape it which no rule lists in its query."
    return None


def alters(rule: Rule) -> bool:
    """Whether a rule masks by paths."""
    return bool(rule.shows) or any(mask.kind != "detect" for mask in rule.masks)


def listed(names: Collection[str]) -> str:
    return f"the parameters {', '.join(sorted(names))}" if names else "no parameters"
