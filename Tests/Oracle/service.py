"""The service over HTTP, and one of its own to ask."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from zone import zone


# Seconds, of an event that was accepted alone.
STORED_WITHIN = 30
ERASED_WITHIN = 120


class Unusable(Exception):
    """The service does not do what a comparison needs."""


class Service:
    """Over HTTP, with a connection for each thread."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self._local = threading.local()

    def request(self, method, path, body=None):
        """(status, answer, headers)"""
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = http.client.HTTPConnection(self.host, self.port, timeout=90)
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                response = connection.getresponse()
                data = response.read()
                return response.status, json.loads(data), response.headers
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                self._local.connection = None
                # A kept connection may have been closed meanwhile.
                if attempt == 2:
                    raise Unusable(f"{method} {path[:300]}: {error!r}") from error

    def store(self, events):
        """Until the service says that they can be queried."""
        body = json.dumps(events)
        for _ in range(20):
            status, answer, _ = self.request("POST", "/api/v1/events/batch?wait=stored&timeout=30", body)
            if answer.get("rejected"):
                raise Unusable(f"rejected: {json.dumps(answer['rejected'][:3])}")
            if status == 200:
                return
            if status not in (202, 429, 503):
                raise Unusable(f"{status} {json.dumps(answer)[:500]}")
            time.sleep(0.5)
        raise Unusable("events were not stored within 20 tries")

    def identify(self, identity):
        """By the route for it, with an id. The event as it is stored, once it can be read."""
        body = json.dumps(identity)
        for _ in range(20):
            status, answer, _ = self.request("POST", "/api/v1/identify", body)
            if status == 202:
                break
            if status not in (429, 503):
                raise Unusable(f"identify {body}: {status} {json.dumps(answer)[:500]}")
            time.sleep(0.5)
        else:
            raise Unusable(f"identify {body}: not accepted within 20 tries")
        if (answer.get("id"), answer.get("status")) != (identity["id"], "accepted"):
            raise Unusable(f"identify {body}: 202 {json.dumps(answer)[:500]}")
        deadline = time.monotonic() + STORED_WITHIN
        while time.monotonic() < deadline:
            status, stored, _ = self.request("GET", f"/api/v1/events/{urllib.parse.quote(identity['id'], safe='')}")
            if status == 200:
                return stored
            if status not in (404, 429, 503):
                raise Unusable(f"{status} {json.dumps(stored)[:500]}")
            time.sleep(0.02)
        raise Unusable(f"identify {body}: accepted, and not stored within {STORED_WITHIN} s")

    def erase(self, conditions):
        """Until the events are gone; all else is done an hour later."""
        query = "&".join(f"{name}={urllib.parse.quote(text, safe='')}" for name, text in conditions)
        status, answer, _ = self.request("POST", f"/api/v1/erasures?{query}")
        if status != 202:
            raise Unusable(f"erase {query}: {status} {json.dumps(answer)[:500]}")
        deadline = time.monotonic() + ERASED_WITHIN
        while time.monotonic() < deadline:
            status, answer, _ = self.request("GET", f"/api/v1/erasures/{answer['id']}")
            if status != 200 or answer["state"] == "failed":
                raise Unusable(f"erase {query}: {status} {json.dumps(answer)[:500]}")
            if answer["state"] not in ("requested", "erasing"):
                return
            time.sleep(0.1)
        raise Unusable(f"erase {query}: {json.dumps(answer)[:500]} after {ERASED_WITHIN} s")

    def stored(self, begin, end):
        """The events of a range, in milliseconds, as the listing has them."""
        cursor = ""
        while cursor is not None:
            path = f"/api/v1/events?limit=1000&from={zone('UTC').text(begin)[:-6]}Z&to={zone('UTC').text(end)[:-6]}Z"
            status, answer, _ = self.request("GET", path + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else ""))
            if status != 200:
                raise Unusable(f"{status} {json.dumps(answer)[:500]}")
            yield from answer["events"]
            cursor = answer["nextCursor"]

    def ask(self, route, parameters):
        # Answers about users may else be some seconds old.
        if route == "people":
            return self.people({**parameters, "limit": 3})
        if isinstance(parameters, dict):
            return self.request("POST", f"/api/v1/analytics/{route}", json.dumps({**parameters, "maxAge": 0}))
        return self.request("GET", path_of(route, [*parameters, ("maxAge", "0")]))

    def people(self, body):
        """All pages as one, in an order that the oracle knows."""
        inner = "body" if "body" in body else "parameters"
        body = {**body, inner: {**body.get(inner, {}), "maxAge": 0}}
        people, status, first = [], None, None
        while True:
            status, answer, headers = self.request("POST", "/api/v1/analytics/people", json.dumps(body))
            if status != 200:
                return status, answer, headers
            first = first or answer
            people += answer["people"]
            if answer["nextCursor"] is None:
                break
            body["cursor"] = answer["nextCursor"]
        first.pop("nextCursor")
        return status, {**first, "people": sorted(people, key=lambda person: json.dumps(person, sort_keys=True))}, headers


def path_of(route, parameters):
    if isinstance(parameters, dict):
        return f"/api/v1/analytics/{route} {json.dumps(parameters, ensure_ascii=False)}"
    query = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in parameters)
    return f"/api/v1/analytics/{route}?{query}"


@contextlib.contextmanager
def started(binary, is_real):
    """The URL of a service of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="analytics-oracle-") as folder:
        environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": folder, "LOG_LEVEL": "warning",
            "RETENTION_DAYS": "0"}
        if is_real:
            names = ["MONGODB_URI", "RABBITMQ_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"]
            environment.update({name: os.environ[name] for name in names if name in os.environ})
        # Read by the service when it starts.
        command = [str(pathlib.Path(binary).resolve()), "projects", "set", "--visitor-ids", "on"]
        subprocess.run(command, env=environment, cwd=folder, check=True, stdout=sys.stderr)
        process = subprocess.Popen([str(pathlib.Path(binary).resolve()), "serve"], env=environment, cwd=folder, stdout=sys.stderr)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(Service(url), process)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_ready(service, process):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unusable(f"the service ended with {process.returncode}")
        with contextlib.suppress(Unusable):
            if service.request("GET", "/health/ready")[0] == 200:
                return
        time.sleep(0.1)
    raise Unusable("the service is not ready after 90 s")
