#!/usr/bin/env python3
"""Makes a queue that is not empty, its messages and its dead letters, as an earlier version of the service wrote them.

    make-queue-fixtures.py --version N --binary analytics-of-that-version [--out Tests/Fixtures]

Version 1 was written by the binary of commit 186a6dd. Into vN/queue go:

  queue.sqlite       the embedded queue's file after kill -9: every form of message waits, some were delivered before
  messages/*.json    the same messages, one per file, as RabbitMQ would hold them
  dead/*.json        a dead letter of each reason
  expected.json      the events in the messages, computed here and not read back"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

START = 1_770_000_000_000
AGENT = 'Mozilla/5.0 (X11; Linux x86_64) "quoted" \\ back'


class Service:
    def __init__(self, binary, folder, **settings):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder), "PORT": str(self.port), "LOG_LEVEL": "error", **settings}
        self.process = subprocess.Popen([binary, "serve"], env=environment, cwd=folder)
        wait("the service is ready", self.is_ready)

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.request("GET", "/health/ready")[0] == 200

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {"User-Agent": AGENT, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def post(self, path, body, expected=202, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answer = self.request("POST", path, json.dumps(body, ensure_ascii=False).encode(), headers)
        assert status == expected, (status, answer)
        return answer

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait()


def wait(what, holds):
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within 60 s: {what}")
        time.sleep(0.1)


def event(number, **fields):
    types = ["view", "caf\u00e9", "cafe\u0301", "\u0301mark", "\U0001f469\u200d\U0001f469"]
    return {
        "id": f"f-{number}", "type": types[number % len(types)], "source": "fixture", "timestamp": START + number * 61_003,
        "data": {"n": number, "$a.b": [None, 1.5, "\u0000\u2028"], "": {}}, **fields}


class Fixtures:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.events = []

    def take(self, *events):
        self.events += events
        return list(events)

    def accept(self):
        """Every form of message, accepted and not processed, with a kill before the flush."""
        service = Service(self.binary, self.folder, FLUSH_INTERVAL_MS="60000", FLUSH_EVENTS="20000")
        whole = event(0, correlationId="c", metadata={"k": [1]}, userId="u\u0301", sessionId="s")
        service.post("/api/v1/events", *self.take(whole))
        service.post("/api/v1/events/batch", self.take(*(event(number) for number in range(1, 131))))
        cloud = event(131)
        self.take({**cloud, "metadata": {"extension": "x"}})
        attributes = {"specversion": "1.0", "id": cloud["id"], "type": cloud["type"], "source": cloud["source"], "extension": "x"}
        attributes["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(cloud["timestamp"] // 1000)) + f".{cloud['timestamp'] % 1000:03}Z"
        service.post("/api/v1/events", {**attributes, "data": cloud["data"]}, Content_Type="application/cloudevents+json")
        service.post("/api/v1/events/batch?wait=stored&timeout=100ms", self.take(*(event(number) for number in range(132, 135))))
        service.end(signal.SIGKILL)

    def deadLetter(self):
        """A dead letter of each reason. What is accepted here is processed here."""
        with self.database("queue.sqlite") as queue:
            queue.execute("INSERT INTO events VALUES (1000, 0, ?)", (b'{"v":1,"events":\xff',))
            queue.execute("INSERT INTO events VALUES (1001, 51, ?)", (b'{"v":1,"events":[]} which kills',))
        with self.database("events.sqlite") as store:
            store.execute(
                "CREATE TRIGGER fixture BEFORE INSERT ON events WHEN NEW.id = 'refused' BEGIN SELECT RAISE(ABORT, 'refused here'); END")
        service = Service(self.binary, self.folder)
        taken = {"id": "taken", "type": "a", "source": "fixture", "timestamp": START, "data": 1}
        service.post("/api/v1/events?wait=stored&timeout=20", taken, expected=200)
        service.post("/api/v1/events?wait=stored&timeout=20", {**taken, "data": 2}, expected=200)
        service.post("/api/v1/events?wait=stored&timeout=20", {**taken, "id": "refused", "data": {"n": [3]}}, expected=200)
        wait("four dead letters", lambda: len(self.rows("queue.sqlite", "deadLetters")) == 4)
        service.end(signal.SIGTERM)

    @contextlib.contextmanager
    def database(self, name):
        database = sqlite3.connect(self.folder / name)
        yield database
        database.commit()
        database.close()

    def rows(self, name, table):
        """Read from a copy: the service holds the file's lock."""
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("", "-wal"):
                if (self.folder / (name + suffix)).exists():
                    (pathlib.Path(folder) / (name + suffix)).write_bytes((self.folder / (name + suffix)).read_bytes())
            database = sqlite3.connect(pathlib.Path(folder) / name)
            rows = database.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            database.close()
            return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True, help="of the format, for the folder's name")
    parser.add_argument("--binary", required=True, help="the service of that version")
    parser.add_argument("--out", default=pathlib.Path(__file__).parent, type=pathlib.Path)
    arguments = parser.parse_args()
    out = arguments.out / f"v{arguments.version}" / "queue"
    for name in ("messages", "dead"):
        (out / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fixtures = Fixtures(arguments.binary, pathlib.Path(folder))
        # A first start makes the files.
        Service(arguments.binary, fixtures.folder).end(signal.SIGTERM)
        fixtures.deadLetter()
        fixtures.accept()
        with fixtures.database("queue.sqlite") as queue:
            queue.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            queue.execute("VACUUM")
        (out / "queue.sqlite").write_bytes((fixtures.folder / "queue.sqlite").read_bytes())
        names = ["single", "batch-1", "batch-2", "cloud-event", "awaited"]
        messages = [body for _, _, body in fixtures.rows("queue.sqlite", "events")]
        assert len(messages) == len(names), messages
        for name, body in zip(names, messages):
            (out / "messages" / f"{name}.json").write_bytes(body)
        for _, body in fixtures.rows("queue.sqlite", "deadLetters"):
            (out / "dead" / f"{json.loads(body)['reason']}.json").write_bytes(body)
        (out / "expected.json").write_text(json.dumps(fixtures.events, indent=1) + "\n")


if __name__ == "__main__":
    main()
