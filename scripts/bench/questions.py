#!/usr/bin/env python3
"""Fills a service with a month of events by 200,000 users, and asks about users and properties: uncached, from the cache, and while more
events arrive. Asks DuckDB the same questions, and MongoDB if the events are stored there. Prints a table with the bounds; `!` marks figures
above their bound. The exit status is 1 if an answer is wrong; with --strict also if a figure is above its bound."""
import argparse
import contextlib
import dataclasses
import datetime
import json
import math
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse

from floors import TOTAL, DuckDB, MongoDB, measure, milliseconds
from journeys import JOURNEYS
from log import Log
from ranges import DAY, Service, deliver, post, stamp

HOUR = 3_600_000


@dataclasses.dataclass(frozen=True)
class Question:
    name: str
    route: str
    metric: str = "events"
    interval: str | None = None
    group: str | None = None
    zone: str = "UTC"
    days: int | None = None
    # Bounds of the median and of the 99th percentile, in milliseconds.
    median: float = math.inf
    slow: float = math.inf

    @property
    def is_top(self):
        return self.route == "topn"

    def end(self, log):
        """End of the first days of the log, or of the whole log, including events that arrive while questions are asked."""
        return log.start + (self.days or log.days + 2) * DAY

    def request(self, log, earlier):
        """Method, path and body. The range begins some milliseconds before the log: a different question each time, with the same answer."""
        parameters = {"from": stamp(log.start - earlier), "to": stamp(self.end(log)), "tz": self.zone, "maxAge": 0}
        if self.route != "uniques":
            parameters["metric"] = self.metric
        if self.interval:
            parameters["interval"] = self.interval
        if self.is_top:
            parameters |= {"dimension": self.group, "n": 10}
        elif self.group:
            parameters |= {"groupBy": self.group, "limit": 50}
        return "GET", f"/api/v1/analytics/{self.route}?" + urllib.parse.urlencode(parameters), None

    def numbers(self, answer):
        """All numbers of an answer except zeros, by (group, start of the bucket), as in floors.py."""
        if self.is_top:
            found = {(item["key"], None): item["value"] for item in answer["items"]}
        else:
            series = answer.get("series") or [{"name": "all", "values": answer["values"], "total": answer["total"]}]
            buckets = [milliseconds(datetime.datetime.fromisoformat(start)) for start in answer["buckets"]]
            found = {(one["name"], bucket): value for one in series for bucket, value in zip(buckets, one["values"])}
            found |= {(one["name"], None): one["total"] for one in series}
        return found | {TOTAL: answer["total"]}

    def is_asked(self, key):
        """MongoDB does not compute totals: each would need a separate aggregation."""
        return key != TOTAL and (self.is_top or key[1] is not None)


QUESTIONS = [
    Question("events by hour", "timeseries", interval="hour", median=20, slow=60),
    Question("users by day", "uniques", "users", "day", median=500, slow=500),
    Question("users by day, Europe/Berlin", "uniques", "users", "day", zone="Europe/Berlin", median=500, slow=500),
    Question("users by type by day", "timeseries", "users", "day", "type"),
    Question("top data.plan by events", "topn", group="data.plan", median=300, slow=300),
    Question("top data.plan by users", "topn", "users", group="data.plan", median=300, slow=300),
    Question("top data.page, one day", "topn", group="data.page", days=1, median=2000, slow=2000),
    Question("sum(data.amount) by day", "timeseries", "sum(data.amount)", "day"),
    *JOURNEYS,
]
CACHED, RATIO, LAG, MEMORY, DISK = 2, 3, 2, 300, 250


def percentile(times, share):
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


class Asker:
    """Asks one question after the other, each with a range that was not used before, and compares the answers with the expected ones."""

    def __init__(self, service, log):
        self.service, self.log = service, log
        # Beyond the values of an earlier process, whose answers may still be in a cache.
        self.earlier = int(time.time() * 1000) % HOUR
        self.wrong = {}

    def ask(self, connection, question, expected=None):
        """Milliseconds until the answer arrives; infinite if the service answers 503."""
        self.earlier += 1
        method, path, body = question.request(self.log, self.earlier)
        start = time.perf_counter()
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        elapsed = (time.perf_counter() - start) * 1000
        if answer.status == 503:
            return math.inf
        if answer.status != 200 or answer.headers["X-Cache"] != "MISS":
            sys.exit(f"{path}: {answer.status}, X-Cache {answer.headers['X-Cache']}: {body[:300]}")
        if expected is not None:
            found = question.numbers(json.loads(body))
            self.compare(question, "the service", {key: value for key, value in found.items() if value or key == TOTAL}, expected)
        return elapsed

    def compare(self, question, name, found, expected):
        keys = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
        if keys and (question, name) not in self.wrong:
            self.wrong[question, name] = keys
            print(f"WRONG: {question.name}: {name} differs from DuckDB in {len(keys)} numbers, such as", flush=True)
            for key in sorted(keys, key=str)[:3]:
                print(f"  {key}: {found.get(key)}, expected {expected.get(key)}", flush=True)

    def rounds(self, seconds, least, expected, after=lambda: None):
        """Asks all questions in rounds until the time is up, at least `least` rounds; fast questions several times per round."""
        connection = self.service.connect()
        times = {question: [] for question in QUESTIONS}
        end, count = time.monotonic() + seconds, 0
        while count < least or time.monotonic() < end:
            for question in QUESTIONS:
                spent = 0
                for _ in range(10):
                    times[question].append(self.ask(connection, question, expected.get(question)))
                    spent += times[question][-1]
                    if spent > 200:
                        break
            count += 1
            after()
        return times

    def cached(self, question, newest):
        """The 99th percentile of one answer from the cache, measured by a cheap client. Without `newest`, the answer may be as old as the
        default `maxAge` allows."""
        method, path, body = question.request(self.log, self.earlier)
        if not newest:
            path = path.replace("&maxAge=0", "")
            body = body and {name: value for name, value in body.items() if name != "maxAge"}
        script = f"{os.path.dirname(os.path.abspath(__file__))}/requests.lua"
        connection = self.service.connect()

        def is_cached():
            connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.headers["X-Cache"] == "HIT"

        is_cached()
        what = ["post", json.dumps(body)] if body else ["get"]
        lines = subprocess.run(
            ["wrk", "-t1", "-c1", "-d2s", "-s", script, f"http://127.0.0.1:{self.service.port}{path}", "--", *what],
            check=True, capture_output=True, text=True).stdout.splitlines()
        return float(lines[-2].split()[3]) if lines[-1] == "0" and is_cached() else math.inf


def fill(service, log, events):
    """Sends events by number and prints the rates of acceptance and storage. Returns events/s."""
    start = time.time()
    accepted = post(service, log, events)
    counted(service, log, events.stop)
    stored = time.time() - start
    print(
        f"{len(events):,} events in: accepted at {len(events) / accepted:,.0f} events/s, stored at {len(events) / stored:,.0f} events/s",
        flush=True)
    return len(events) / stored


def counted(service, log, count):
    """Waits until this many events are counted."""
    path = "/api/v1/events/counts?" + urllib.parse.urlencode({"from": stamp(log.start), "to": stamp(log.start + (log.days + 2) * DAY)})
    connection, deadline = service.connect(), time.time() + 3600
    while (total := json.loads(service.get(connection, path)[1])["total"]) < count:
        if time.time() > deadline:
            sys.exit(f"{total} of {count} events are counted after an hour")
        time.sleep(0.2)


def settle(service, quiet):
    """Waits until everything is rolled up and segments have not grown for some seconds."""
    start = time.time()
    service.rest()
    connection, rows, since = service.connect(), None, time.time()
    while time.time() - since < quiet:
        found = service.metrics(connection).get("analytics_segment_rows_total", 0)
        if found != rows:
            rows, since = found, time.time()
        if since - start > 3600:
            sys.exit("segments are still being built after an hour")
        time.sleep(0.5)
    print(f"rolled up, and {rows:,.0f} rows of segments written, {since - start:.0f} s later", flush=True)


def first_answers(asker, expected):
    """The time of each question when nothing is kept from earlier questions."""
    return {question: asker.ask(asker.service.connect(), question, expected.get(question)) for question in QUESTIONS}


def send(port, name, rate, stop, sent, path):
    """Sends events of the present, in batches of a tenth of a second, and records them. A separate process, so that it does not delay the questions."""
    log = Log(name, 0, rate)
    connection, begin = Service(port, 0).connect(), time.monotonic()
    with open(path, "w") as file:
        while not stop.is_set():
            part = range(sent.value, sent.value + max(rate // 10, 1))
            body = "\n".join(log.lines(part.start, part, int(time.time() * 1000) - 100, 100))
            wrong = deliver(connection, body.encode(), len(part))
            if wrong:
                sys.exit(f"POST: {wrong}")
            file.write(body + "\n")
            sent.value = part.stop
            stop.wait(max(0, begin + sent.value / rate - time.monotonic()))


@contextlib.contextmanager
def sending(service, rate, path):
    """Yields the number of events sent, which grows until the end."""
    context = multiprocessing.get_context("spawn")
    stop, sent = context.Event(), context.Value("q", 0)
    process = context.Process(target=send, args=(service.port, f"live-{time.time_ns()}", rate, stop, sent, path))
    process.start()
    try:
        while not sent.value and process.is_alive():
            time.sleep(0.1)
        yield sent
    finally:
        stop.set()
        process.join()
    if process.exitcode:
        sys.exit("the sender ended early")


class Table:
    """A table of figures with their bounds."""

    def __init__(self):
        self.missed = []

    def mark(self, name, value, bound=math.inf, form=".1f"):
        if value <= bound and value < math.inf:
            return f"{value:{form}}"
        self.missed.append(name)
        return f"{value:{form}} !"

    def line(self, name, value, bound, unit, form=".1f"):
        print(f"{name}: {self.mark(name, value, bound, form)} {unit} (bound {bound})", flush=True)


def print_table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        print("|", " | ".join([row[0].ljust(widths[0]), *cells[1:]]), "|")
    print(flush=True)


def shown(time):
    return "" if math.isnan(time) else f"{time:.0f}"


def bounds(question):
    return " / ".join(f"{bound:g}" for bound in dict.fromkeys((question.median, question.slow)) if bound < math.inf)


def disk(folder):
    """Bytes of a folder on disk."""
    return sum(file.stat().st_blocks * 512 for file in pathlib.Path(folder).rglob("*") if file.is_file())


def ask_floors(floors, asker, runs, expected):
    """Milliseconds of DuckDB and MongoDB by question. Differences from DuckDB are printed."""
    times = {}
    for question in QUESTIONS:
        for floor in floors:
            if not floor.knows(question, asker.log):
                times[floor.name, question] = math.nan
                continue
            seconds, found = measure(floor, question, asker.log, runs)
            times[floor.name, question] = seconds * 1000
            wanted = {key: value for key, value in expected[question].items() if floor.gives(question, key)}
            asker.compare(question, floor.name, found, wanted)
    return times


def ask_under_load(options, service, asker, duck, table):
    """Times of the questions while events arrive; then all answers are compared again."""
    connection, lags, text = service.connect(), [], f"{options.work}/live.ndjson"
    with sending(service, options.rate, text) as sent:
        begin, before = time.monotonic(), sent.value
        times = asker.rounds(
            options.live, 1, {}, after=lambda: lags.append(service.metrics(connection).get("analytics_event_lag_seconds", math.nan)))
        rate = (sent.value - before) / (time.monotonic() - begin)
    end = time.monotonic()
    counted(service, asker.log, options.events + sent.value)
    behind = time.monotonic() - end
    asked = sum(map(len, times.values()))
    print(f"\n{sent.value:,} events arrived while {asked} questions were asked: {rate:,.0f} events/s of {options.rate:,}")
    table.line("lag at the end", lags[-1], LAG, "s")
    table.line("largest lag", max(lags), LAG, "s")
    table.line("the last event is counted after", behind, LAG, "s")
    with open(text) as lines:
        duck.add("live", map(str.rstrip, lines))
    settle(service, options.quiet)
    for question in QUESTIONS:
        asker.ask(service.connect(), question, duck.expected(question, asker.log))
    return times, sent.value


def parsed():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--work", required=True, help="a folder for Parquet files")
    parser.add_argument("--folder", required=True, help="where the service, or its MongoDB, keeps its data")
    parser.add_argument("--mongodb", help="address of the MongoDB of the service")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--scattered", action="store_true", help="send events in random order")
    parser.add_argument("--seconds", type=float, default=120, help="seconds of questions while no events arrive")
    parser.add_argument("--least", type=int, default=20, help="minimum number of rounds")
    parser.add_argument("--runs", type=int, default=3, help="runs of DuckDB and MongoDB; the median counts")
    parser.add_argument("--live", type=float, default=300, help="seconds of questions while events arrive; 0: none")
    parser.add_argument("--rate", type=int, default=5_000, help="events per second under load")
    parser.add_argument("--quiet", type=float, default=20, help="seconds without new rows after which segments are built")
    parser.add_argument("--strict", action="store_true")
    return parser.parse_args()


def main():
    options = parsed()
    service = Service(options.port, options.pid)
    today = int(time.time() * 1000) // DAY * DAY
    log = Log("question", today - 30 * DAY, options.events, scattered=options.scattered)
    duck = DuckDB(f"{options.work}/parquet")
    mongo = MongoDB(options.mongodb) if options.mongodb else None
    asker, table = Asker(service, log), Table()

    duck.add("log", log.batched(range(options.events)))
    expected = {question: duck.expected(question, log) for question in QUESTIONS}
    fill(service, log, range(options.events))
    settle(service, options.quiet)
    peaks = [service.phase_peak()]

    first = first_answers(asker, expected)
    times = asker.rounds(options.seconds, options.least, expected)
    cached = {question: [asker.cached(question, newest) for newest in (False, True)] for question in QUESTIONS}
    peaks.append(service.phase_peak())
    others = ask_floors([mongo, duck] if mongo else [duck], asker, options.runs, expected)
    live, more = ask_under_load(options, service, asker, duck, table) if options.live else ({}, 0)
    peaks.append(service.phase_peak())

    table.line("peak memory of the service", max(peaks), MEMORY, "MB", "d")
    print(f"filled: {peaks[0]} MB, asked: {peaks[1]} MB, asked under load: {peaks[2]} MB")
    if mongo:
        table.line("disk, collections and indexes", mongo.size() / (options.events + more), DISK, "bytes per event", ".0f")
        print(f"disk, with journal and oplog: {disk(options.folder) / (options.events + more):.0f} bytes per event")
    else:
        table.line("disk", disk(options.folder) / (options.events + more), DISK, "bytes per event", ".0f")
    rows = [["ms", "first", "p50", "p99", "bound", f"cached p99 ({CACHED})", "with maxAge=0", "p99 under load", f"ratio ({RATIO})", "MongoDB", "DuckDB"]]
    for question in QUESTIONS:
        slow = percentile(times[question], 0.99)
        load = ["", ""]
        if live:
            loaded = percentile(live[question], 0.99)
            load = [f"{loaded:.1f}", table.mark(f"{question.name}, under load", loaded / slow, RATIO)]
        rows.append([
            question.name, table.mark(question.name, first[question]),
            table.mark(question.name, percentile(times[question], 0.5), question.median), table.mark(question.name, slow, question.slow),
            bounds(question), table.mark(f"{question.name}, cached", cached[question][0], CACHED, ".2f"), f"{cached[question][1]:.2f}", *load,
            shown(others.get((MongoDB.name, question), math.nan)), shown(others[duck.name, question])])
    print()
    print_table(rows)
    if table.missed:
        print(f"above the bound: {'; '.join(dict.fromkeys(table.missed))}")
    if asker.wrong:
        sys.exit("some answers are wrong")
    if options.strict and table.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
