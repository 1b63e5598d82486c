"""Checks a running service against the flights that were imported into it, by computing the answers from the CSV.

usage: verify.py URL flights.csv

Compares counts by type and by source, over all time and over ranges down to the millisecond, listings page by page, and single
events. Prints the first differences; the exit status is 1 if there are any.
"""

import bisect
import collections
import csv
import json
import random
import re
import sys
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def get(path, **query):
    url = f"{BASE}{path}?{urllib.parse.urlencode(query, doseq=True)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def milliseconds(moment):
    return (moment - EPOCH) // timedelta(milliseconds=1)


def rfc3339(ms):
    return (EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def read(path):
    """The flights as (milliseconds, id, type, source, row), oldest first."""
    flights = []
    with open(path, newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            hour = datetime.strptime(row["time_hour"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
            time = milliseconds(hour + timedelta(minutes=int(row["minute"])))
            flights.append((time, f"flight-{number}", row["carrier"], row["origin"], row))
    flights.sort(key=lambda flight: (flight[0], flight[1].encode()))
    return flights


def value(cell):
    """A cell as the import sends it: numbers as numbers, NA as null."""
    if cell in ("", "NA"):
        return None
    return int(cell) if re.fullmatch(r"-?(0|[1-9][0-9]*)", cell) else cell


FAULTS = []


def expect(what, got, want):
    if got != want:
        FAULTS.append(what)
        if len(FAULTS) <= 10:
            print(f"WRONG {what}: {str(got)[:200]} instead of {str(want)[:200]}")


def check_counts(flights, times, low, high, **filters):
    chosen = flights[bisect.bisect_left(times, low) : bisect.bisect_left(times, high)]
    if "type" in filters:
        chosen = [flight for flight in chosen if flight[2] in filters["type"]]
    if "source" in filters:
        chosen = [flight for flight in chosen if flight[3] in filters["source"]]
    for grouping, column in (("type", 2), ("source", 3)):
        answer = get("/api/v1/events/counts", **{"from": rfc3339(low), "to": rfc3339(high), "groupBy": grouping}, **filters)
        want = collections.Counter(flight[column] for flight in chosen)
        expect(f"counts by {grouping} in {rfc3339(low)}..{rfc3339(high)} {filters}", answer["counts"], dict(want))
        expect(f"total in {rfc3339(low)}..{rfc3339(high)} {filters}", answer["total"], len(chosen))


def check_listing(flights, times, low, high, limit, **filters):
    want = [f for f in flights[bisect.bisect_left(times, low) : bisect.bisect_left(times, high)]]
    if "type" in filters:
        want = [flight for flight in want if flight[2] in filters["type"]]
    want = [flight[1] for flight in reversed(want)]
    got, cursor = [], None
    while True:
        query = {"from": rfc3339(low), "to": rfc3339(high), "limit": limit, **filters}
        if cursor:
            query["cursor"] = cursor
        page = get("/api/v1/events", **query)
        got += [event["id"] for event in page["events"]]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    expect(f"listing of {rfc3339(low)}..{rfc3339(high)} {filters}", got, want)


def main(path):
    flights = read(path)
    times = [flight[0] for flight in flights]
    first, last = times[0], times[-1]
    chance = random.Random(2013)

    everything = get("/api/v1/events/counts")
    expect("all by type", everything["counts"], dict(collections.Counter(flight[2] for flight in flights)))
    expect("all", everything["total"], len(flights))
    check_counts(flights, times, first, last + 1)
    carriers = sorted({flight[2] for flight in flights})
    for number in range(120):
        unit = (1, 1_000, 60_000, 3_600_000, 86_400_000)[number % 5]
        low, high = sorted(chance.randrange(first // unit - 2, last // unit + 2) * unit for _ in range(2))
        filters = {"type": chance.sample(carriers, 3)} if number % 3 == 1 else {"source": ["JFK"]} if number % 3 == 2 else {}
        check_counts(flights, times, low, max(high, low + unit), **filters)
    for number in range(40):
        minute = chance.choice(times) // 60_000 * 60_000
        check_counts(flights, times, minute, minute + 60_000)
    for number in range(10):
        low = chance.choice(times)
        check_listing(flights, times, low, low + 86_400_000, chance.choice((7, 100, 1_000)))
        check_listing(flights, times, low, low + 7 * 86_400_000, 250, type=chance.sample(carriers, 2))
    for time, identity, carrier, origin, row in chance.sample(flights, 200):
        event = get(f"/api/v1/events/{identity}")
        got = (event["timestamp"], event["type"], event["source"], event["data"])
        expect(f"event {identity}", got, (rfc3339(time), carrier, origin, {name: value(cell) for name, cell in row.items()}))
    print(f"{len(flights)} flights: {'all equal' if not FAULTS else f'{len(FAULTS)} differences'}")
    return 1 if FAULTS else 0


if __name__ == "__main__":
    BASE = sys.argv[1].rstrip("/")
    sys.exit(main(sys.argv[2]))
