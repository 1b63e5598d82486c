#!/usr/bin/env python3
"""Sends bodies of 30 MB to a service that refuses them, with real clients, and checks that each reads its answer.

    early_answers.py URL

Python's urllib and http.client, and requests where it is installed: they send all of a body before they read anything, and say "broken pipe" where the
service closes the connection meanwhile.
"""

import json
import sys
import urllib.error
import urllib.request

try:
    import requests
except ImportError:
    requests = None

SIZE = 30_000_000
BODY = b'{"id":"large","type":"t","source":"s","data":"' + b"x" * SIZE + b'"}'


def chunks():
    for start in range(0, len(BODY), 65_536):
        yield BODY[start : start + 65_536]


def with_urllib(url, body):
    request = urllib.request.Request(url, data=body, method="POST", headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


def with_requests(url, body):
    answer = requests.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=60)
    return answer.status_code, answer.content


def with_requests_session(url, body):
    """On a connection that has been used, and is used again afterwards."""
    with requests.Session() as session:
        live = url.split("/api")[0] + "/health/live"
        assert session.get(live, timeout=60).status_code == 200
        answer = session.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=60)
        assert session.get(live, timeout=60).status_code == 200
        return answer.status_code, answer.content


def main():
    base = sys.argv[1]
    clients = [with_urllib] + ([with_requests, with_requests_session] if requests else [])
    expected = [("/api/v1/events", 413, "body_too_large"), ("/api/v1/nothing", 404, "not_found"), ("/api/v1/events?x=1", 400, "unknown_parameter")]
    failed = 0
    for client in clients:
        for path, status, code in expected:
            for name, body in [("with a length", lambda: BODY), ("chunked", chunks)]:
                try:
                    got = client(base + path, body())
                    answer = (got[0], json.loads(got[1]).get("code"))
                except Exception as error:  # what a client makes of it is what is tested
                    answer = repr(error)
                if answer != (status, code):
                    failed += 1
                    print(f"{client.__name__}, {path}, {name}: {answer} instead of {(status, code)}")
    print(f"{len(clients)} clients, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
