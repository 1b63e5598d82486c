"""What scripts/contract.sh checks in addition to schemathesis' own checks, against openapi.json.

- A request that the document allows is refused only because of a rule that a schema cannot express: a relation between its parts, or a language of its own.
- A request that the document forbids is never accepted.
"""

import re

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

# Parts of the problem's `detail`. The description of each parameter or member states its rule.
RULES = [
    # Times.
    r"'\w+' must be later than '\w+': the range is empty",
    r"must be earlier than 'to'",
    r"'from' and 'to' may be 24 hours apart",
    r"must be a time zone of the IANA database",
    r"must be seconds since 1970, 'now', a length of time",
    r"must be an RFC 3339 date-time",
    r"(too many|more than [\d,]+) (buckets|intervals|days)",
    r"is later than now",
    r"A key expires in the future",
    r"'interval' gives more than",
    # One part beside another.
    r"means something only (beside|with|where)",
    r"'start' or 'end' names the type",
    r"'compare' is 'previous', or a range is named",
    r"'afterTimestamp' and 'afterId' are those of the last event",
    r"'\w+' goes with",
    r"'(body|step|cohort|period|bucket|state|intervals|from|to)' is missing: ",
    r"This would erase every event",
    r"(is not known|is no parameter of this route)\. Known here",
    # Languages of their own: properties, Graphite's targets, cursors.
    r"must begin with 'data\.' or 'context\.'",
    r"'metric' may be events, users, sessions, or",
    r"must be 1 to \d+ characters long",
    r"must name keys joined by dots",
    r"'(target|query|expr)' (has|names) ",
    r"'cursor' must be the nextCursor",
    # 400.0 is an integer for JSON Schema.
    r"must be an integer from",
    # The body and its headers.
    r"gzip",
    r"cannot be read as JSON",
    r"None of the \d+ events",
    r"'\w+' is required\.$",
    r"may not hold|control characters|printable",
]


@schemathesis.check
def refused_for_a_rule(context, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    # Graphite takes an empty parameter for a missing one, and other names than those of the document are refused.
    detail = response.json().get("detail", "")
    if not any(re.search(rule, detail) for rule in RULES) and not case.path.startswith("/graphite"):
        raise AssertionError(f"The document allows what the service refuses: {detail}")


@schemathesis.check
def forbidden_is_refused(context, response, case):
    # Graphite's parameters, as above. 431: the request was too large to be read.
    if response.status_code != 431 and not case.path.startswith("/graphite"):
        negative_data_rejection(context, response, case)
