"""What scripts/contract.sh checks in addition to schemathesis' own checks, against openapi.json.

- A request that the document allows is refused only because of a rule that a schema cannot express: a relation between its parts, or a language of its own.
- A request that the document forbids is never accepted.
- Nobody signs in: no request has a session, and no account has a password.
"""

import re
import time

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

# Parts of the problem's `detail`. The description of each parameter or member states its rule.
RULES = [
    # Times.
    r"'\w+' must be later than '\w+': the range is empty",
    r"must be earlier than 'to'",
    r"'from' must not be later than 'to', and the range may have",
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
    r"'cursor' must be the (nextCursor|cursor) of an earlier answer",
    # Addresses that the format allows, with quotes or a domain that is no host name.
    r"must be an e-mail address",
    # 400.0 is an integer for JSON Schema.
    r"must be an integer from",
    # The body and its headers.
    r"gzip",
    r"cannot be read as JSON",
    r"None of the \d+ events",
    r"'\w+' is required\.$",
    r"may not hold|control characters|printable",
]

# Codes of problems that are such a rule by themselves: which passwords are too common.
CODES = {"weak_password"}

# Only sessions read these. With a key, a query that names a project is refused, and the header is not looked at.
OF_SESSIONS = {"#/components/parameters/XProject", "#/components/parameters/projectQuery"}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for operation in (operation for path in raw_schema["paths"].values() for operation in path.values()):
        parameters = operation.get("parameters", [])
        operation["parameters"] = [parameter for parameter in parameters if parameter.get("$ref") not in OF_SESSIONS]


@schemathesis.hook
def before_call(context, case, kwargs):
    # One caller changes at most 10 things per second.
    if case.method.upper() not in ("GET", "HEAD", "OPTIONS") and re.match("/api/v1/(projects|accounts)", case.path):
        time.sleep(0.1)


@schemathesis.check
def refused_for_a_rule(context, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    # Graphite takes an empty parameter for a missing one, and other names than those of the document are refused.
    problem = response.json()
    detail = problem.get("detail", "")
    if problem.get("code") not in CODES and not any(re.search(rule, detail) for rule in RULES) and not case.path.startswith("/graphite"):
        raise AssertionError(f"The document allows what the service refuses: {detail}")


@schemathesis.check
def forbidden_is_refused(context, response, case):
    # Graphite's parameters, as above. 431: the request was too large to be read.
    if response.status_code != 431 and not case.path.startswith("/graphite"):
        negative_data_rejection(context, response, case)


@schemathesis.check
def nobody_signs_in(context, response, case):
    if not case.path.startswith("/api/v1/auth/") or case.path == "/api/v1/auth/me" or case.method.upper() == "OPTIONS":
        return
    if response.status_code < 400 or any(not value.startswith("analytics_session=;") for value in response.headers.get("set-cookie", [])):
        raise AssertionError(f"A session without a password, an invitation or a cookie: {response.status_code}")
    if case.path == "/api/v1/auth/sign-in" and response.status_code == 401 and response.json().get("code") != "wrong_credentials":
        raise AssertionError(f"The answer tells which addresses have an account: {response.json().get('code')}")
