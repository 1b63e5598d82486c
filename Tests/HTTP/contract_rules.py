"""What the contract (openapi.json) is held to beside schemathesis' own checks: a request that the document allows is refused only for a rule between its
parts, which a schema cannot say. contract.sh runs it: SCHEMATHESIS_HOOKS=contract_rules."""

import re

import schemathesis

# Each stands in the description of what it is about.
RULES = [
    # Of times.
    r"'\w+' must be later than '\w+': the range is empty\.",
    r"the range is empty",
    r"'from' and 'to' may be 24 hours apart",
    r"must be a time zone of the IANA database",
    r"intervals? (is|are) at most",
    r"(too many|more than [\d,]+) (buckets|intervals|days)",
    # Of one parameter beside another.
    r"'timeout' means something only beside wait=stored",
    r"'start' or 'end' names the type",
    r"means something only (beside|with|where)",
    r"goes with",
    # Of what is asked of.
    r"is not known\. Known here",
]


@schemathesis.check
def refused_for_a_rule(context, response, case):
    mode = case.meta.generation.mode if case.meta else None
    if response.status_code != 400 or mode is None or not mode.is_positive:
        return
    problem = response.json()
    detail = problem.get("detail", "")
    if not any(re.search(rule, detail) for rule in RULES):
        raise AssertionError(f"The document allows what the service refuses: {detail}")
