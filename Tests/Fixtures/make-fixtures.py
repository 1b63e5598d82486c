#!/usr/bin/env python3
"""Makes the files in this folder: stores and queues as earlier versions of the service wrote them, for the upgrade tests.

    make-fixtures.py --version N --binary analytics-of-that-version [--mongod mongod] [--out Tests/Fixtures]

Version 1 was written by the binary of commit 186a6dd. The SQLite fixture needs the binary alone; the MongoDB one a mongod and the
package pymongo. What a fixture holds is computed here, not read back: `expected.json` beside it.

`folded` beside them holds a minute and an hour with more groups than version 1 kept names for: 1,100 types in one minute, and 12 types of 100
sources in two minutes of one hour.

Each other store is filled with RETENTION_DAYS=1000, then expires with RETENTION_DAYS=10, so that it holds rollups whose events are gone; a
kill -9 between acceptance and flush leaves events in the queue.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.request

DAY = 86_400_000
MINUTE = 60_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """The binary under way, with its settings."""

    def __init__(self, binary, folder, **settings):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder), "PORT": str(self.port), "LOG_LEVEL": "warning", **settings}
        self.binary, self.folder = binary, folder
        self.process = subprocess.Popen([binary, "serve"], env=self.environment, cwd=folder)
        self.wait("ready", lambda: self.get("/health/ready") is not None)

    def get(self, path):
        try:
            with urllib.request.urlopen(self.base + path, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    def post(self, path, body):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.load(answer)

    def wait(self, what, holds):
        deadline = time.monotonic() + 90
        while not holds():
            if time.monotonic() > deadline:
                raise SystemExit(f"not within 90 s: {what}")
            time.sleep(0.1)

    def at_rest(self):
        result = subprocess.run([self.binary, "reconcile"], env=self.environment, cwd=self.folder, capture_output=True, text=True)
        return " 0 marked" in result.stdout

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


class Events:
    """Makes events, and remembers by project, minute, type and source how many there are."""

    def __init__(self):
        self.counts = collections.Counter()
        self.number = 0

    def make(self, project, at, count, types, step=1, source="fixture"):
        events = []
        for index in range(count):
            kind, when = types[index % len(types)], at + index * step
            events.append(
                {"id": f"{project}-{self.number}", "type": kind, "source": source, "timestamp": when, "data": {"n": index, "$a.b": [None]}}
            )
            self.number += 1
            self.counts[(project, when // MINUTE, kind, source)] += 1
        return events

    def expected(self):
        return [
            {"project": project, "minute": minute, "type": kind, "source": source, "count": count}
            for (project, minute, kind, source), count in sorted(self.counts.items())
        ]


def message(project, events, received_at):
    """A message of the queue, version 1: the service itself names no project but `default`."""
    header = {"v": 1, "project": project, "request": f"fixture-{project}", "receivedAt": received_at}
    return json.dumps({**header, "events": [{"n": index, **event} for index, event in enumerate(events)]}).encode()


def fill(binary, folder, settings, wait_for_expiry):
    """Returns what is counted, and what is in the queue on top of it."""
    events, queued = Events(), Events()
    now = time.time_ns() // 1_000_000 // (60 * MINUTE) * (60 * MINUTE)
    old = now - 100 * DAY
    odd = ["view", "caf\u00e9", "cafe\u0301", "\u0301mark", "__other__"]

    service = Service(binary, folder, RETENTION_DAYS="1000", **settings)
    batch = events.make("default", old, 20, odd) + events.make("default", old + MINUTE, 10, odd[:2], 1_000)
    batch += events.make("default", old + 90 * MINUTE, 5, odd[:1], 7 * MINUTE)
    batch += events.make("default", now - 2 * DAY, 7, odd, 11_000)
    service.post("/api/v1/events/batch?wait=stored&timeout=20", batch)
    service.wait("the hours are rolled", service.at_rest)
    service.stop()

    # Other projects, by way of the queue.
    queue = sqlite3.connect(folder / "queue.sqlite")
    others = {
        "shop": events.make("shop", now - 60 * DAY, 6, ["sale"], 30_000) + events.make("shop", now - 3 * DAY, 4, ["sale", "return"]),
        "gone": events.make("gone", now - 90 * DAY, 3, ["once"]),
        "young": events.make("young", now - 2 * DAY, 3, ["once"]),
    }
    for index, (project, own) in enumerate(others.items()):
        queue.execute("INSERT INTO events VALUES (?, 0, ?)", (1_000_000 + index, message(project, own, now)))
    queue.commit()
    queue.close()
    service = Service(binary, folder, RETENTION_DAYS="1000", **settings)
    service.wait("the queue is empty", lambda: queue_is_empty(service))
    service.wait("the hours are rolled", service.at_rest)
    service.stop()

    service = Service(binary, folder, RETENTION_DAYS="10", **settings)
    service.wait("old events are gone", lambda: service.get(f"/api/v1/events?to={iso(now - 30 * DAY)}")["events"] == [])
    wait_for_expiry()
    # An event of a deleted time can no longer come in; one of the kept time marks its minute and hour.
    service.post("/api/v1/events/batch?wait=stored&timeout=20", events.make("default", now - 2 * DAY, 3, odd[:1], 500))
    service.wait("the hours are rolled", service.at_rest)
    service.stop()

    service = Service(binary, folder, RETENTION_DAYS="10", FLUSH_INTERVAL_MS="60000", **settings)
    service.post("/api/v1/events/batch", queued.make("default", now - DAY, 5, odd, 20_000))
    service.stop(signal.SIGKILL)
    return {
        "now": now,
        "deletedBefore": now - 17 * DAY,
        "stored": events.expected(),
        "queued": queued.expected(),
    }


def fill_folded(binary, folder, settings):
    """Returns what is counted: more types and sources than a rollup of version 1 names."""
    events = Events()
    now = time.time_ns() // 1_000_000 // (60 * MINUTE) * (60 * MINUTE) - 2 * DAY
    service = Service(binary, folder, RETENTION_DAYS="0", **settings)
    batch = events.make("default", now, 1_100, [f"type{index}" for index in range(1_099)] + ["__other__"], 10)
    for source in range(100):
        at = now + (60 + source % 2 * 30) * MINUTE
        batch += events.make("default", at, 12, [f"kind{index}" for index in range(12)], 1_000, f"host{source}")
    batch += events.make("default", now + 180 * MINUTE, 5, ["view"])
    for start in range(0, len(batch), 500):
        service.post("/api/v1/events/batch?wait=stored&timeout=20", batch[start : start + 500])
    service.wait("the hours are rolled", service.at_rest)
    service.stop()
    return {"now": now, "deletedBefore": 0, "stored": events.expected(), "queued": []}


def queue_is_empty(service):
    with urllib.request.urlopen(service.base + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    counts = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("analytics_events_stored_total")}
    return counts.get("analytics_events_stored_total", 0) >= 16


def iso(milliseconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(milliseconds / 1000))


def keep(source, target):
    """A database without its write-ahead log, as small as it gets."""
    database = sqlite3.connect(source)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    shutil.copy(source, target)


def sqlite(binary, out, fill, names):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        expected = fill(binary, folder, {}, lambda: None)
        out.mkdir(parents=True, exist_ok=True)
        for name in names:
            keep(folder / name, out / name)
        write_expected(out, expected)


def mongodb(binary, mongod, out, fill):
    import pymongo
    from bson import json_util

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "db").mkdir()
        port = free_port()
        arguments = ["--dbpath", str(folder / "db"), "--port", str(port), "--replSet", "rs0", "--bind_ip", "127.0.0.1"]
        arguments += ["--setParameter", "ttlMonitorSleepSecs=1", "--logpath", str(folder / "log")]
        server = subprocess.Popen([mongod, *arguments])
        try:
            client = pymongo.MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true")
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
            while not client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.1)
            uri = f"mongodb://127.0.0.1:{port}/fixture?replicaSet=rs0"
            database = client.fixture
            expected = fill(
                binary, folder, {"MONGODB_URI": uri},
                lambda: [time.sleep(0.1) for _ in iter(lambda: database.events.count_documents({"_id.project": "gone"}), 0)])
            out.mkdir(parents=True, exist_ok=True)
            options = json_util.CANONICAL_JSON_OPTIONS
            with open(out / "store.jsonl", "w", encoding="utf-8") as lines:
                for name in sorted(database.list_collection_names()):
                    for index in database[name].list_indexes():
                        if index["name"] != "_id_":
                            lines.write(json_util.dumps({"collection": name, "index": index}, json_options=options) + "\n")
                    for document in database[name].find().sort("_id", 1):
                        lines.write(json_util.dumps({"collection": name, "document": document}, json_options=options) + "\n")
            write_expected(out, expected)
        finally:
            server.terminate()
            server.wait()


def write_expected(out, expected):
    (out / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True, help="of the format, for the folder's name")
    parser.add_argument("--binary", required=True, help="the service of that version")
    parser.add_argument("--mongod", help="makes the MongoDB fixture too")
    parser.add_argument("--only", choices=["expired", "folded"], help="makes these alone")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent), type=pathlib.Path)
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out) / f"v{arguments.version}"
    fixtures = {
        "expired": (out, fill, ["events.sqlite", "queue.sqlite"]),
        "folded": (out / "folded", lambda binary, folder, settings, _: fill_folded(binary, folder, settings), ["events.sqlite"]),
    }
    for name, (folder, how, files) in fixtures.items():
        if arguments.only in (None, name):
            sqlite(arguments.binary, folder / "sqlite", how, files)
            if arguments.mongod:
                mongodb(arguments.binary, arguments.mongod, folder / "mongodb", how)


if __name__ == "__main__":
    main()
