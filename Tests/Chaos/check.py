"""What is true at the end, seen in MongoDB and RabbitMQ themselves and over HTTP, and compared with the ledger."""

import base64
import bisect
import collections
import json
import os
import random
import subprocess
import time
import urllib.parse

import amqp
import mongo
from cluster import DATABASE
from ledger import rfc3339
from workload import Unanswered

MINUTE, QUARTER, HOUR, DAY = 60_000, 900_000, 3_600_000, 86_400_000
EVENTS, DEAD = "analytics.events", "analytics.dead"


class Findings:
    """Each is a list of sentences; all but `recovered` must be empty."""

    def __init__(self):
        self.lost, self.duplicated, self.unexpected, self.recovered, self.drift, self.misjudged = [], [], [], [], [], []
        self.answers = []
        self.stored = 0
        self.dead = collections.Counter()


def at_rest(cluster, seconds):
    """Waits until no message is left and nothing is marked. Returns None, or what is left when the time is up."""
    deadline, quiet, rest = time.monotonic() + seconds, 0, "not known"
    while time.monotonic() < deadline:
        rest = left(cluster)
        quiet = 0 if rest else quiet + 1
        if quiet >= 3:
            rest = _unacknowledged(cluster)
            if not rest:
                return None
            quiet = 0
        time.sleep(0.4)
    return rest


def left(cluster):
    """What is not done yet, or None."""
    try:
        client = amqp.Client(cluster.rabbit_port)
        ready = client.ready(EVENTS)
        client.close()
        connection = mongo.primary(cluster.mongo_ports)
        if not connection:
            return "no primary"
        marked = sum(connection.count(DATABASE, name, {"dirty": True}) for name in ("minutes", "hours", "days"))
        connection.close()
    except (OSError, ValueError, mongo.MongoError) as error:
        return f"no answer: {error}"
    return f"{ready} messages ready, {marked} buckets marked" if ready or marked else None


def _unacknowledged(cluster):
    result = cluster.rabbitmqctl("-q", "list_queues", "name", "messages", "--no-table-headers")
    rows = dict(line.split("\t") for line in result.stdout.splitlines() if "\t" in line)
    return None if rows.get(EVENTS) == "0" else f"queues: {rows} {result.stderr.strip()}"


def _table(data, numbers):
    """The rows of a bucket's groups: type, source, and the count or the four quarters."""
    place = 0

    def number():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text():
        nonlocal place
        length = number()
        place += length
        return bytes(data[place - length : place]).decode()

    def texts():
        number()
        return [text() for _ in range(number())]

    if not data:
        return []
    if (data[0], data[1]) != (2, 0 if numbers == 1 else 4):
        raise ValueError(f"not a table of groups: {bytes(data[:16])!r}")
    place = 2
    types, sources = texts(), texts()
    rows = []
    for kind in types:
        for _ in range(number()):
            source = sources[number()]
            rows.append((kind, source, [number() for _ in range(numbers)]))
    return rows


class Check:
    def __init__(self, cluster, ledger, seed, client, queries):
        self.cluster, self.ledger, self.client, self.queries = cluster, ledger, client, queries
        self.random = random.Random(f"{seed}/check")
        self.findings = Findings()

    def run(self):
        connection = mongo.primary(self.cluster.mongo_ports)
        fields = {"type": 1, "source": 1, "timestamp": 1, "data": 1}
        self.events = sorted(
            connection.find(DATABASE, "events", projection=fields), key=lambda event: (event["timestamp"], event["_id"]["id"]))
        self.times = [event["timestamp"] for event in self.events]
        self.findings.stored = len(self.events)
        self._ledger(self._dead_letters())
        self._rollups(connection)
        connection.close()
        self._reconcile()
        for _ in range(self.queries):
            self._count()
        for _ in range(max(2, self.queries // 20)):
            self._listing()
        return self.findings

    # ---- events

    def _dead_letters(self):
        """token → reasons."""
        found = collections.defaultdict(set)
        client = amqp.Client(self.cluster.rabbit_port)
        for body in client.messages(DEAD):
            letter = json.loads(body)
            original = letter.get("original")
            if original is None:
                original = _json(base64.b64decode(letter.get("originalBase64", "")))
            tokens = set(_tokens(original))
            self.findings.dead[letter["reason"]] += 1
            if not tokens:
                self.findings.misjudged.append(f"a dead letter without an event: {body[:300]!r}")
            for token in tokens:
                found[token].add(letter["reason"])
        client.close()
        return found

    def _ledger(self, dead):
        findings, events = self.findings, self.ledger.events
        stored = collections.defaultdict(list)
        for document in self.events:
            data = document.get("data")
            token = data.get("t") if isinstance(data, dict) else None
            event = events.get(token)
            if event is None or (event.rejected and not event.acknowledged and not event.indeterminate):
                findings.unexpected.append(f"stored, and sent by nobody: {document['_id']} {document['type']!r}")
                continue
            stored[token].append(document["_id"]["id"])
            self._compare(event, document)
        for token, ids in stored.items():
            if len(ids) > 1:
                findings.duplicated.append(f"{token} is stored {len(ids)} times: {ids}")
            if events[token].indeterminate and not events[token].acknowledged:
                findings.recovered.append(token)
        for token, event in events.items():
            reasons = dead.get(token, set())
            if event.acknowledged and token not in stored and not reasons:
                findings.lost.append(f"{token} id {event.id!r} type {event.type!r} timestamp {event.timestamp}")
            if reasons and (reasons != {"conflicting_id"} or not event.has_rival or token in stored):
                findings.misjudged.append(f"{token} is in the dead letters as {sorted(reasons)}; stored: {token in stored}")
        for token in dead.keys() - events.keys():
            findings.unexpected.append(f"dead-lettered, and sent by nobody: {token}")

    def _compare(self, event, document):
        found = (document["type"], document["source"], document["data"])
        if found != (event.type, event.source, event.data):
            self.findings.unexpected.append(f"{event.token} is stored with other content: {str(found)[:200]}")
        if event.timestamp is not None and document["timestamp"] != event.timestamp:
            self.findings.unexpected.append(f"{event.token} is stored at {document['timestamp']}, not at {event.timestamp}")
        if event.id is not None and document["_id"]["id"] != event.id:
            self.findings.unexpected.append(f"{event.token} is stored under {document['_id']['id']!r}, not under {event.id!r}")

    # ---- rollups

    def _rollups(self, connection):
        minutes, hours, days = collections.Counter(), collections.defaultdict(lambda: [0, 0, 0, 0]), collections.Counter()
        for event in self.events:
            project, time, name = event["_id"]["project"], event["timestamp"], (event["type"], event["source"])
            minutes[project, time // MINUTE * MINUTE, *name] += 1
            days[project, time // DAY * DAY, *name] += 1
            hours[project, time // HOUR * HOUR, *name][time % HOUR // QUARTER] += 1
        found_minutes, found_hours = {}, {}
        for document in connection.find(DATABASE, "minutes"):
            for kind, source, counts in _table(document["groups"], 1):
                found_minutes[document["_id"]["project"], document["_id"]["minute"], kind, source] = counts[0]
        for document in connection.find(DATABASE, "hours"):
            for kind, source, quarters in _table(document["groups"], 4):
                found_hours[document["_id"]["project"], document["_id"]["hour"], kind, source] = quarters
        found_days = {}
        for document in connection.find(DATABASE, "days"):
            for kind, source, counts in _table(document["groups"], 1):
                found_days[document["_id"]["project"], document["_id"]["day"], kind, source] = counts[0]
        self._differences("day", days, found_days)
        self._differences("minute", minutes, found_minutes)
        self._differences("hour", hours, found_hours)

    def _differences(self, tier, counted, found):
        for key in counted.keys() | found.keys():
            if counted.get(key, 0) != found.get(key, 0):
                start = rfc3339(key[1])
                self.findings.drift.append(
                    f"{tier} {start} {key[2]!r} {key[3]!r}: rollup {found.get(key, 0)}, events {counted.get(key, 0)}")

    def _reconcile(self):
        environment = {"PATH": os.environ["PATH"], **self.cluster.service_environment(), "LOG_LEVEL": "error"}
        result = subprocess.run(
            [self.cluster.binary, "reconcile"], env=environment, cwd=self.cluster.folder, capture_output=True, text=True, timeout=300)
        rollups, segments = (["", ""] + result.stdout.splitlines())[-2:]
        expected = f"{len(self.events)} events, "
        if (
            result.returncode
            or not (rollups.startswith(expected) and rollups.endswith(" 0 marked, 0 differences"))
            or not (segments.startswith("segments: ") and segments.endswith(" 0 differences"))
        ):
            self.findings.drift.append(f"reconcile ended with {result.returncode}: {rollups} {segments} {result.stderr[-500:]}")

    # ---- over HTTP

    def _selection(self):
        """A random range and filter: as a query, and as the events that it selects."""
        query, low, high = [], 0, len(self.events)
        if self.random.random() < 0.8 and self.events:
            unit = self.random.choice([1, 1, MINUTE, QUARTER, HOUR, 24 * HOUR])
            ends = sorted(self.random.choice(self.times) // unit * unit + self.random.choice([0, unit]) for _ in range(2))
            ends[1] = max(ends[1], ends[0] + 1)
            if self.random.random() < 0.9:
                query.append(("from", rfc3339(ends[0])))
                low = bisect.bisect_left(self.times, ends[0])
            if self.random.random() < 0.9:
                query.append(("to", rfc3339(ends[1])))
                high = bisect.bisect_left(self.times, ends[1])
        events = self.events[low:high]
        for name in ("type", "source"):
            if self.random.random() < 0.4 and self.events:
                values = {self.random.choice(self.events)[name] for _ in range(self.random.choice([1, 1, 3]))}
                query += [(name, value) for value in values]
                events = [event for event in events if event[name] in values]
        return query, events

    def _count(self):
        query, events = self._selection()
        grouping = self.random.choice(["type", "source"])
        counted = collections.Counter(event[grouping] for event in events)
        limit = self.random.choice([1, 3, 1000, 10000])
        expected = dict(sorted(counted.items(), key=lambda item: (-item[1], item[0].encode()))[:limit])
        # Twice: the second answer comes from the cache.
        for _ in range(2):
            answer = self._get("/api/v1/events/counts", query + [("groupBy", grouping), ("limit", limit)])
            if answer and answer["total"] != len(events):
                self.findings.answers.append(f"counts of {query}: {answer['total']}, events {len(events)}")
            elif answer and (answer["counts"] != expected or answer["other"] != len(events) - sum(expected.values())):
                self.findings.answers.append(f"counts of {query}: the total is right, the groups are not")

    def _listing(self):
        """Page by page, up to 40 pages."""
        query, events = self._selection()
        limit, cursor, listed = self.random.choice([7, 100, 1000]), None, []
        for _ in range(40):
            page = self._get("/api/v1/events", query + [("limit", limit)] + ([("cursor", cursor)] if cursor else []))
            if not page:
                return
            listed += [(event["timestamp"], event["id"]) for event in page["events"]]
            cursor = page["nextCursor"]
            if not cursor:
                break
        expected = {event["_id"]["id"] for event in events}
        got = {id for _, id in listed}
        if len(got) != len(listed) or got - expected or (not cursor and got != expected):
            self.findings.answers.append(f"listing of {query}: {len(listed)} ids, {len(got)} distinct, {len(expected)} expected")
        if listed != sorted(listed, key=lambda row: row[0], reverse=True):
            self.findings.answers.append(f"listing of {query} is not newest first")

    def _get(self, path, query):
        """The answer, or None with a finding: nothing is wrong any more, so there is no reason for another answer than 200."""
        url, status = f"{path}?{urllib.parse.urlencode(query)}", None
        for _ in range(10):
            try:
                status, answer = self.client.request("GET", url)
                if status == 200:
                    return answer
            except Unanswered:
                answer = None
            time.sleep(0.2)
        self.findings.answers.append(f"{url} is answered {status} {answer}")
        return None


def _json(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


def _tokens(value):
    """Of every event in it, whatever the envelope around it looks like."""
    if isinstance(value, dict):
        data = value.get("data")
        if isinstance(data, dict) and isinstance(data.get("t"), str):
            yield data["t"]
        else:
            for item in value.values():
                yield from _tokens(item)
    elif isinstance(value, list):
        for item in value:
            yield from _tokens(item)
