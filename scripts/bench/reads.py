#!/usr/bin/env python3
"""Measures what questions read, with MongoDB's profiler: fills a service with a month of events and asks each kind of question while more events arrive.
The exit status is 1 if a question scans a collection, or reads more documents, keys or bytes than its range needs."""
import argparse
import contextlib
import dataclasses
import sys
import time
import urllib.parse

import pymongo

from log import Log
from questions import fill, sending, settle
from ranges import DAY, Service, stamp

# The application name of the service's connections for questions.
CALLER = "analytics questions"


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a question needs: buckets by tier, days of segments, events counted by an index, events that are read."""

    days: int = 0
    hours: int = 0
    minutes: int = 0
    segments: int = 0
    counted: int = 0
    events: int = 0
    # How often all of it is read: once per question, and once more if the groups are chosen first.
    times: int = 1


class Stored:
    """Sizes from which the bounds are computed."""

    def __init__(self, address):
        self.database = pymongo.MongoClient(address).get_default_database()

    def size(self, collection):
        """The number of documents, and their average size in bytes."""
        found = self.database.command("collStats", collection)
        return found["count"], found["count"] and found["size"] / found["count"]

    def bound(self, needs):
        """Bounds of documents, keys and bytes. Twice the need, because a question reads again if versions change while it reads."""
        documents = keys = size = 0
        for collection, count in [("days", needs.days), ("hours", needs.hours), ("minutes", needs.minutes), ("events", needs.events)]:
            documents += count
            keys += count * 2
            size += count * self.size(collection)[1]
        if needs.segments:
            blobs, average = self.size("segment_blobs")
            share = min(1, needs.segments / max(1, self.size("segments")[0]))
            # Versions, heads, blobs.
            documents += needs.segments * 2 + blobs * share
            keys += needs.segments * 4 + blobs * share * 2
            size += blobs * average * share + needs.segments * self.size("segments")[1]
        keys += needs.counted
        return [int(2 * needs.times * value + spare) for value, spare in [(documents, 200), (keys, 2_000), (size, 1 << 20)]]

    def profile(self, level):
        self.database.command("profile", level, filter={"appName": CALLER})

    @contextlib.contextmanager
    def profiled(self):
        """Yields a list that, at the end, holds the operations of the block."""
        self.profile(0)
        self.database.drop_collection("system.profile")
        self.database.create_collection("system.profile", capped=True, size=256 << 20)
        self.profile(2)
        rows = []
        try:
            yield rows
        finally:
            self.profile(0)
            rows += self.database["system.profile"].find({}, {"command": 0, "execStats": 0})


def cases(log, live):
    """Name, path, need. `live`: the number of events that may be marked, or in no segment, at a time."""
    now = int(time.time() * 1000)
    whole = {"from": stamp(log.start), "to": stamp(now + DAY), "maxAge": 0}
    days = log.days + 2

    def path(route, **more):
        return f"/api/v1/{route}?" + urllib.parse.urlencode(whole | more)

    # Today is marked, and so are its current hour and minutes.
    rolled = Needs(days=days, hours=24 * 2, minutes=60 * 2, counted=live)
    hourly = Needs(hours=days * 24, minutes=60 * 2, counted=live)
    # For a day that has changed, the versions of its minutes.
    rows = Needs(segments=days, minutes=1_440 * 2, events=live)
    counts = {key: whole[key] for key in ("from", "to")}
    graphite = {"from": log.start // 1000, "until": now // 1000, "format": "json", "maxDataPoints": 800}
    per_day = log.batches * 5_000 // log.days
    yield "counts by type", "/api/v1/events/counts?" + urllib.parse.urlencode(counts), rolled
    yield "counts of a source", "/api/v1/events/counts?" + urllib.parse.urlencode(counts | {"source": "source-3"}), rolled
    yield "events by hour", path("analytics/timeseries", interval="hour"), hourly
    yield "events by day and type, Asia/Kathmandu", path("analytics/timeseries", groupBy="type", tz="Asia/Kathmandu"), dataclasses.replace(hourly, times=2)
    yield "top by type", path("analytics/topn", dimension="type"), rolled
    yield "users by day", path("analytics/uniques"), rows
    yield "users by type by day", path("analytics/timeseries", metric="users", groupBy="type"), dataclasses.replace(rows, times=2)
    yield "top data.plan by events", path("analytics/topn", dimension="data.plan"), rows
    yield "top data.plan by users", path("analytics/topn", dimension="data.plan", metric="users"), rows
    yield "sum(data.amount) by day", path("analytics/timeseries", metric="sum(data.amount)"), rows
    yield "events of one user", path("analytics/timeseries", userId="user-7"), rows
    one = {"from": stamp(log.start), "to": stamp(log.start + DAY), "dimension": "data.page"}
    yield "top data.page, one day", path("analytics/topn", **one), Needs(segments=1, minutes=1_440, events=int(per_day * 1.2))
    yield "newest 100 events", "/api/v1/events?limit=100", Needs(events=101)
    yield "newest 100 events of a type", "/api/v1/events?limit=100&type=type-3", Needs(events=101)
    yield "Graphite: events by type", "/graphite/render?" + urllib.parse.urlencode(graphite | {"target": "default.*.*"}), dataclasses.replace(hourly, times=2)
    yield "Graphite: users", "/graphite/render?" + urllib.parse.urlencode(graphite | {"target": "default.~users"}), rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--mongodb", required=True, help="address of the MongoDB of the service")
    parser.add_argument("--work", required=True, help="a folder for the arriving events")
    parser.add_argument("--folder", help="not used")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rate", type=int, default=1_000, help="events per second that arrive meanwhile")
    parser.add_argument("--quiet", type=float, default=20, help="seconds without new rows after which segments are built")
    options = parser.parse_args()
    service, stored = Service(options.port, options.pid), Stored(options.mongodb)
    log = Log("reads", int(time.time() * 1000) // DAY * DAY - 30 * DAY, options.events)
    fill(service, log, range(options.events))
    settle(service, options.quiet)
    wrong = []
    print(f"{'':40} {'operations':>10} {'documents':>20} {'keys':>22} {'bytes':>26}")
    with sending(service, options.rate, f"{options.work}/live.ndjson"):
        # A marked minute, and one or two whose segments are not built yet.
        time.sleep(90)
        for name, path, needs in cases(log, options.rate * 60 * 4):
            with stored.profiled() as rows:
                service.get(service.connect(), path)
            found = [sum(row.get(field, 0) for row in rows) for field in ("docsExamined", "keysExamined", "responseLength")]
            bound = stored.bound(needs)
            scans = {row["planSummary"] for row in rows if "COLLSCAN" in row.get("planSummary", "")}
            held = rows and not scans and all(value <= limit for value, limit in zip(found, bound))
            cells = [f"{value:,} of {limit:,}" for value, limit in zip(found, bound)]
            print(f"{name:40} {len(rows):>10} {cells[0]:>20} {cells[1]:>22} {cells[2]:>26}{'' if held else ' !'} {' '.join(scans)}", flush=True)
            if not held:
                wrong.append(name)
    if wrong:
        sys.exit(f"more than needed: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()
