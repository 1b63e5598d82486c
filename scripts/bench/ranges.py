#!/usr/bin/env python3
"""Fills a service with events of a shape and measures questions over long ranges: latency, uncached, while events of the present hour arrive, and
the service's peak memory. Prints a line per measurement. Fails if a count is wrong or a figure is above its bound."""
import argparse
import http.client
import json
import random
import sys
import threading
import time
import urllib.parse

MINUTE = 60_000
DAY = 86_400_000


class Service:
    def __init__(self, port, pid):
        self.port = port
        self.pid = pid

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def get(self, connection, path):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status} {body[:300]}")
        return answer, body

    def peak(self):
        """Peak memory of the process since its start, in MB."""
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))

    def phase_peak(self):
        """Peak memory since the previous call, in MB."""
        peak = self.peak()
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")
        return peak

    def metrics(self, connection):
        """All samples, by name with labels."""
        _, body = self.get(connection, "/metrics")
        lines = (line.rsplit(" ", 1) for line in body.decode().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines if value != "NaN"}

    def rest(self):
        """Waits until nothing is marked in two consecutive checks."""
        connection, quiet = self.connect(), 0
        deadline = time.time() + 3600
        while quiet < 4:
            busy = sum(
                value
                for name, value in self.metrics(connection).items()
                if name.startswith(("analytics_rollup_dirty_buckets", "analytics_queue_messages"))
            )
            quiet = quiet + 1 if busy == 0 else 0
            if time.time() > deadline:
                sys.exit("the service does not come to rest")
            time.sleep(0.5)


class Shape:
    def events(self, numbers):
        return map(self.event, numbers)


class Spread(Shape):
    """50 types from 10 sources over some days. Time, type and source follow from an event's number, so counts can be computed. The first
    100,000 events are scattered, the others come in the order of time."""

    SCATTERED = 100_000

    def __init__(self, name, start, days, events):
        self.name, self.start, self.span, self.ordered = name, start, days * DAY, max(events - self.SCATTERED, 1)

    def event(self, number):
        scattered = (number * 7_919_000 + number * 37) % self.span
        later = number - self.SCATTERED
        at = self.start + (scattered if later < 0 else later * self.span // self.ordered)
        return (
            f'{{"id":"{self.name}-{number}","type":"type-{number * 31 % 50}","source":"source-{number * 17 % 10}",'
            f'"timestamp":{at},"data":{{"n":{number}}}}}'
        )

    def question(self, index):
        """Counts of one source. Each range begins a minute earlier, so that no answer is in the cache."""
        return {"source": "source-3", "from": stamp(self.start - index * MINUTE), "to": stamp(int(time.time() * 1000) + DAY)}

    def expected(self, _, sent):
        return sum(1 for number in range(sent) if number * 17 % 10 == 3)


class Wide(Shape):
    """5,000 types in each minute of an hour."""

    name = "wide"

    def __init__(self, start):
        self.start = start

    def event(self, number):
        return (
            f'{{"id":"wide-{number}","type":"type-{number // 60 % 5_000}","source":"source-3",'
            f'"timestamp":{self.start + number % 60 * MINUTE},"data":{{}}}}'
        )

    def question(self, index):
        return {"type": f"type-{index % 5_000}", "from": stamp(self.start - index * MINUTE), "to": stamp(self.start + 60 * MINUTE)}

    def expected(self, index, sent):
        return sum(1 for number in range(index % 5_000 * 60, sent, 300_000) for minute in range(60) if number + minute < sent)


def deliver(connection, body, count):
    """Sends a batch until the service accepts it. Returns an error, or None."""
    while True:
        connection.request("POST", "/api/v1/events/batch", body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == 503:
            time.sleep(float(answer.headers.get("Retry-After", 1)))
            continue
        if answer.status != 202 or json.loads(text)["accepted"] != count:
            return f"{answer.status} {text[:300]}"
        return None


def post(service, shape, numbers, batch=5_000, senders=4):
    batches = [range(first, min(first + batch, numbers.stop)) for first in range(numbers.start, numbers.stop, batch)]
    lock = threading.Lock()
    failures = []

    def send():
        connection = service.connect()
        while not failures:
            with lock:
                if not batches:
                    return
                part = batches.pop(0)
            wrong = deliver(connection, "\n".join(shape.events(part)).encode(), len(part))
            if wrong:
                failures.append(wrong)

    threads = [threading.Thread(target=send) for _ in range(senders)]
    start = time.time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"POST: {failures[0]}")
    return time.time() - start


def live(service, stop, rate):
    """Keeps the present hour marked: it changes while it is counted."""
    connection, number = service.connect(), 0
    run = random.randrange(1 << 40)
    while not stop.is_set():
        body = "\n".join(
            f'{{"id":"live-{run}-{number + index}","type":"type-1","source":"live","data":{{}}}}' for index in range(rate // 10)
        ).encode()
        number += rate // 10
        connection.request("POST", "/api/v1/events/batch", body, {"Content-Type": "application/x-ndjson"})
        connection.getresponse().read()
        stop.wait(0.1)


def ask(service, shape, sent, count, rate):
    """Median and 99th percentile in ms of `count` uncached questions."""
    stop = threading.Event()
    writer = threading.Thread(target=live, args=(service, stop, rate))
    writer.start()
    connection = service.connect()
    times = []
    try:
        for index in range(count):
            path = "/api/v1/events/counts?" + urllib.parse.urlencode(shape.question(index))
            start = time.perf_counter()
            answer, body = service.get(connection, path)
            times.append((time.perf_counter() - start) * 1000)
            if answer.headers["X-Cache"] != "MISS":
                sys.exit("an answer came from the cache")
            if index in (0, count - 1):
                found, expected = json.loads(body)["total"], shape.expected(index, sent)
                if found != expected:
                    sys.exit(f"{shape.name}: {found} counted, {expected} sent")
    finally:
        stop.set()
        writer.join()
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)]


def stamp(milliseconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000)) + f".{milliseconds % 1000:03d}Z"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--shape", choices=["month", "year", "wide"], required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--live", type=int, default=500, help="events per second while questions are asked")
    parser.add_argument("--memory", type=int, default=200, help="maximum memory of the service in MB")
    options = parser.parse_args()
    service = Service(options.port, options.pid)
    today = int(time.time() * 1000) // DAY * DAY
    shape = {
        "month": Spread("month", today - 30 * DAY, 30, options.events),
        "year": Spread("year", today - 365 * DAY, 365, options.events),
        "wide": Wide(today - DAY),
    }[options.shape]
    sent = 0
    for target in sorted({min(Spread.SCATTERED, options.events), options.events}):
        rate = (target - sent) / post(service, shape, range(sent, target))
        sent = target
        service.rest()
        median, slow = ask(service, shape, sent, options.questions, options.live)
        print(
            f"{shape.name:<6} {sent:>10,} events  {rate:>7,.0f} events/s in   p50 {median:6.1f} ms  p99 {slow:6.1f} ms   "
            f"peak {service.peak()} MB",
            flush=True,
        )
    if service.peak() > options.memory:
        sys.exit(f"the service had {service.peak()} MB, more than {options.memory}")


if __name__ == "__main__":
    main()
