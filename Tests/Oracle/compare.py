#!/usr/bin/env python3
"""Asks a running service random questions about random logs, and compares each answer with the oracle's: exactly, floats by their bits.

    compare.py --binary .build/debug/analytics [--real]     starts a service of its own, in a folder that is gone afterwards
    compare.py --url http://127.0.0.1:4000                  a service that has no events in the windows of generate.py

  --seed N          what is sent and asked (1)
  --logs N          logs; the service keeps the earlier ones, and so does the oracle (5)
  --queries N       questions for each log (200)
  --only A,B        of timeseries,topn,uniques,sessions,funnels,retention,lifecycle,stickiness,paths,people
  --metrics A,B     ask with these metrics only
  --types N         one more log, with N events and as many types at most (try 50000)
  --no-anonymous    events and questions without anonymousId, and so no identities, for a service that does not take it
  --no-erasures     nothing is erased
  --live-seconds N  how long to ask while another thread sends (5; 0: not at all)
  --real            the service takes MONGODB_URI, RABBITMQ_URL and REDIS_* from the environment; a database and a queue without other events

A 503 is counted and is no difference; every other answer must be right. Exit status 1 on a difference, with the shortest question that
shows it; 2 if the service could not be used."""

import argparse
import collections
import contextlib
import itertools
import json
import os
import random
import shlex
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from answers import difference  # noqa: E402
from generate import WINDOWS, Log, Questions, as_stored, erasure, is_bot, visit  # noqa: E402
from oracle import ROUTES, Oracle  # noqa: E402
from service import Service, Unusable, path_of, started  # noqa: E402
from zone import DAY, moment  # noqa: E402

BATCH = 1_000
# "A cached count is never older than the last change in its range plus one second."
CACHE_AGE = 1.0
# What the service adds to an event.
CONTEXT = ["context.ip", "context.processingLagMs"]
SKEW = 5_000
# What POST /api/v1/identify takes, and what it adds where it is left out.
IDENTIFY_MEMBERS = {"id", "timestamp", "source", "userId", "anonymousId", "sessionId"}
IDENTIFY_DEFAULTS = {"type": "$identify", "source": "identify", "data": {}}


class Difference(Exception):
    pass


class Comparison:
    def __init__(self, service, options):
        self.service, self.options = service, options
        self.events, self.added = [], {}
        self.erasures = []
        self.identified = 0
        self.asked = self.refused = self.hits = self.again = self.live = 0

    def run(self):
        self._check_emptiness()
        for number in range(self.options.logs):
            self._compare(self._log(number))
        if self.options.types:
            self._compare(self._log(self.options.logs, types=self.options.types))
        if self.options.live_seconds:
            self._ask_while_sending(self._log(self.options.logs + 1, size=1_500, conflicts=False))
        print(
            f"oracle: seed {self.options.seed}: {len(self.events)} events sent, {self.asked} answers as expected, {self.hits} of"
            f" {self.again} asked again from the cache, {self.live} while sending, {self.refused} refused with 503,"
            f" {self.identified} identities sent by their route, {len(self.erasures)} erasures", flush=True)

    def _log(self, number, **size):
        log = Log(self.options.seed, number, **size)
        if self.options.no_anonymous:
            for event in log.events:
                event.pop("anonymousId", None)
        return log

    def _draw(self, questions):
        route, parameters = questions.draw()
        if self.options.no_anonymous and isinstance(parameters, list):
            parameters = [pair for pair in parameters if pair[0] != "anonymousId"]
            parameters = [(name, "userId" if value == "anonymousId" else value) for name, value in parameters]
        return route, parameters

    def _check_emptiness(self):
        for name, begin, days in WINDOWS:
            # With what the questions reach beyond the window, and earlier ranges.
            begin, end = moment(begin) - 420 * DAY, moment(begin) + (days + 210) * DAY
            status, answer, _ = self.service.request("GET", f"/api/v1/events/counts?from={utc(begin)}&to={utc(min(end, now_ms() - DAY))}")
            if status != 200 or answer["total"]:
                raise Unusable(f"there are events around {name}'s window, or none can be counted: {status} {json.dumps(answer)[:200]}")

    # ---- At rest

    def _compare(self, log):
        """Most events, half of the questions; the late and the doubled events, and the others, with some of the first again."""
        draw = random.Random(f"{self.options.seed}/send/{log.name}")
        events = list(log.events)
        draw.shuffle(events)
        cut = len(events) * 9 // 10
        questions = Questions(log, self.options.seed, self.options.only, self.options.metrics, now_ms(), CONTEXT)
        self._send(events[:cut])
        first = [self._draw(questions) for _ in range(self.options.queries // 2)]
        self._ask_all(first, log)
        self._erase({event["id"] for event in events[:cut]}, draw)
        self._send(events[cut:] + draw.sample(events, len(events) // 20) + self._late_identity(log, draw))
        time.sleep(CACHE_AGE + 0.1)
        again = first[:10] + [question for question in first[10:] if is_about_users(*question)][:20]
        self._ask_all(again + [self._draw(questions) for _ in range(self.options.queries - len(first))], log)

    def _late_identity(self, log, draw):
        """At the present moment, of an anonymous id that belongs to nobody yet: it changes answers about ranges in which nothing has changed."""
        known = {event.get("anonymousId") for event in self.events + log.events if event["type"] == "$identify"}
        devices = [event["anonymousId"] for event in log.events if "userId" not in event and event.get("anonymousId") not in {None, *known}]
        users = [event["userId"] for event in log.events if "userId" in event]
        if not devices or not users:
            return []
        return [{**IDENTIFY_DEFAULTS, "id": f"{log.name}-late", "userId": draw.choice(users), "anonymousId": draw.choice(devices)}]

    def _erase(self, ids, draw):
        """Some of what was sent until now; what is sent once more afterwards is stored again."""
        sent = [event for event in self.events if event["id"] in ids]
        if self.options.no_erasures or not sent:
            return
        conditions = erasure(sent, draw)
        if self.options.no_anonymous:
            conditions = [pair for pair in conditions if pair[0] != "anonymousId"] or [("type", sent[0]["type"])]
        self.service.erase(conditions)
        self.erasures.append((len(self.events), conditions))
        self.added.clear()

    def _send(self, events):
        for is_identity, group in itertools.groupby(events, fits_identify):
            group = list(group)
            if is_identity:
                for event in group:
                    self._identify(event)
                continue
            for start in range(0, len(group), BATCH):
                self.service.store(group[start : start + BATCH])
                self.events += group[start : start + BATCH]

    def _identify(self, event):
        is_known = any(other["id"] == event["id"] for other in self.events)
        sent = {name: value for name, value in event.items() if IDENTIFY_DEFAULTS.get(name) != value}
        before = now_ms()
        stored = self.service.identify(sent)
        self.identified += 1
        time = moment(stored["timestamp"])
        if "timestamp" not in event and before - SKEW <= time <= now_ms() + SKEW:
            event = {**event, "timestamp": time}
        expected = {**event, "timestamp": moment(event.get("timestamp", before))}
        wrong = difference({**{name: stored.get(name) for name in event}, "timestamp": time}, expected)
        if wrong and not is_known:
            raise Difference(
                f"difference: seed {self.options.seed}, stored by POST /api/v1/identify {shown(sent)}\n  at:       {wrong[0]}\n"
                f"  got:      {shown(wrong[1])}\n  expected: {shown(wrong[2])}")
        self.events.append(expected)

    def _ask_all(self, questions, log):
        oracle = self._oracle(log)
        for route, parameters in questions:
            wrong = self._wrong(oracle, route, parameters)
            if wrong:
                raise Difference(self._report(oracle, route, parameters, wrong, log))

    def _oracle(self, log):
        """Knows what the service has added to this log's events."""
        self._read_added(log.begin - DAY, log.end + DAY)
        far = [moment(event["timestamp"]) for event in self.events if event["id"] not in self.added]
        if far:
            self._read_added(min(far), max(far) + 1)
        oracle = Oracle([{**event, **self.added.get(event["id"], {})} for event in self.events], erasures=self.erasures)
        missing = {event["id"] for event in oracle.events} ^ self.added.keys()
        if missing:
            raise Difference(f"difference: seed {self.options.seed}, log {log.name}: stored or sent, not both: {shown(sorted(missing))}")
        wrong = [event["id"] for event in oracle.events if oracle.is_of_a_bot(event) != is_bot(event)]
        if wrong:
            raise Difference(f"difference: seed {self.options.seed}, log {log.name}: taken for a bot's, or not: {shown(wrong)}")
        self._check_visitors(oracle.events)
        return oracle

    def _check_visitors(self, events):
        """Events of one visit have one visitor id, and no others have it."""
        if not any(event.get("visitorId") for event in events):
            return
        visits, ids = collections.defaultdict(set), collections.defaultdict(set)
        for event in events:
            key = visit(event) and (*visit(event), event["receivedAt"][:10])
            visits[key].add(event.get("visitorId"))
            ids[event.get("visitorId")].add(key)
        for found in [*visits.values(), *ids.values()]:
            if len(found) > 1:
                raise Difference(f"difference: seed {self.options.seed}: visitors are told apart wrongly: {shown(sorted(map(str, found)))}")

    def _read_added(self, begin, end):
        names = ["context", "visitorId", "receivedAt"]
        self.added.update((event["id"], {name: event.get(name) for name in names}) for event in self.service.stored(begin, end))

    def _as_stored(self, events):
        """Where it was not read yet."""
        has_visitors = any(added["visitorId"] for added in self.added.values())
        return [as_stored(event, has_visitors) for event in events]

    def _wrong(self, oracle, route, parameters):
        """What is wrong with the answer, or None. Asks twice: the second may come from the cache."""
        expected = {}
        for attempt in (1, 2):
            status, got, headers = self.service.ask(route, parameters)
            if status == 503:
                self.refused += 1
                return None
            if status != 200:
                return ("status", f"{status} {json.dumps(got)[:400]}", "200")
            wrong = self._wrong_time(got)
            if not wrong:
                as_of = got["asOf"]
                expected[as_of] = expected.get(as_of) or oracle.ask(route, parameters, moment(as_of))
                wrong = difference(got, expected[as_of])
            if wrong:
                return (f"{wrong[0]} (asked {'once' if attempt == 1 else 'again'}, X-Cache {headers.get('X-Cache')})", *wrong[1:])
            self.asked += 1
        self.again += 1
        self.hits += headers.get("X-Cache") == "HIT"
        return None

    def _wrong_time(self, got):
        """An answer from the cache may be as of any earlier moment."""
        try:
            as_of = moment(got["asOf"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return (".asOf", got.get("asOf"), "a moment")
        return None if as_of <= now_ms() + SKEW else (".asOf", got["asOf"], f"not after {utc(now_ms())}")

    def _report(self, oracle, route, parameters, wrong, log):
        asked = self.asked
        parameters, wrong = self._shortened(oracle, route, parameters, wrong)
        self.asked = asked
        path, got, expected = wrong
        return (
            f"difference: seed {self.options.seed}, log {log.name} ({log.zone}), after {asked} answers\n  {'POST' if isinstance(parameters, dict) else 'GET'} {path_of(route, parameters)}\n"
            f"  as text:  {parameters}\n  at:       {path}\n  got:      {shown(got)}\n  expected: {shown(expected)}\n"
            f"  again:    compare.py {shlex.join(self.options.arguments)} --seed {self.options.seed}")

    def _shortened(self, oracle, route, parameters, wrong):
        """Without what it is wrong without."""
        for parameter in list(parameters):
            if parameter in ("from", "to", "steps") or parameter[0] in ("from", "to"):
                continue
            if isinstance(parameters, dict):
                fewer = {name: value for name, value in parameters.items() if name != parameter}
            else:
                fewer = [other for other in parameters if other is not parameter]
            with contextlib.suppress(Exception):
                still = self._wrong(oracle, route, fewer)
                if still and not still[0].startswith("status"):
                    parameters, wrong = fewer, still
        return parameters, wrong

    # ---- While another thread sends

    def _ask_while_sending(self, log):
        """Numbers of events only grow, so each lies between what was stored before the question and what was sent before the answer.
        More identities make fewer users."""
        sender = Sender(self.service, log, self.options.live_seconds)
        counting = [route for route in self.options.only if route in ("timeseries", "topn", "uniques")]
        questions = Questions(log, self.options.seed, counting or ["timeseries"], ["events"], now_ms())
        earlier = list(self.events)
        sender.start()
        try:
            while sender.is_alive():
                route, parameters = self._draw(questions)
                metric = "events" if route != "uniques" else "users"
                # Groups that a limit leaves out change with every event.
                parameters = [pair for pair in parameters if pair[0] not in ("limit", "n", "compare", "compareFrom", "compareTo")]
                if route == "topn":
                    parameters.append(("n", "1000"))
                elif any(name == "groupBy" for name, _ in parameters):
                    parameters.append(("limit", "1000"))
                stored = sender.stored_before(time.monotonic() - CACHE_AGE)
                status, got, _ = self.service.ask(route, parameters)
                sent = sender.sent
                if status == 503:
                    self.refused += 1
                    continue
                if status != 200:
                    raise Difference(f"while sending: {status} {json.dumps(got)[:400]}\n  GET {path_of(route, parameters)}")
                few, many = (
                    Oracle(self._as_stored(earlier + sender.events[:count]), erasures=self.erasures) for count in (stored, sent))
                states = [Identified(*oracles).ask(route, parameters, moment(got["asOf"])) for oracles in [(few, many), (many, few)]]
                wrong = outside(got, *states)
                if wrong:
                    raise Difference(
                        f"difference while sending {metric}: seed {self.options.seed}, log {log.name}\n  GET {path_of(route, parameters)}\n"
                        f"  at:       {wrong[0]}\n  got:      {wrong[1]}\n  expected: {wrong[2]} to {wrong[3]}")
                self.live += 1
        finally:
            sender.stop()
        if sender.error:
            raise sender.error
        self.events = earlier + sender.events[: sender.sent]
        time.sleep(CACHE_AGE + 0.1)
        questions = Questions(log, f"{self.options.seed}/rest", self.options.only, self.options.metrics, now_ms())
        self._ask_all([self._draw(questions) for _ in range(20)], log)


class Identified(Oracle):
    """The events of one oracle with the identities of another."""

    def __init__(self, one, other):
        super().__init__([], one.project_zone)
        self.events, self.others = one.events, other.events

    def identifying(self, question, begin, end):
        return self.others


class Sender(threading.Thread):
    """Small batches, one after the other; tells how many events were stored, and how many may be."""

    def __init__(self, service, log, seconds):
        super().__init__(daemon=True)
        self.service, self.events, self.seconds = service, log.events, seconds
        self.sent, self.error = 0, None
        self._stored = [(float("-inf"), 0)]
        self._is_over = threading.Event()

    def run(self):
        size = 25
        try:
            for start in range(0, len(self.events), size):
                self.sent = min(start + size, len(self.events))
                self.service.store(self.events[start : self.sent])
                self._stored.append((time.monotonic(), self.sent))
                if self._is_over.wait(self.seconds * size / len(self.events)):
                    return
        except Exception as error:  # noqa: BLE001 - told by whoever asks
            self.error = error

    def stored_before(self, time):
        return max(count for when, count in list(self._stored) if when <= time)

    def stop(self):
        self._is_over.set()
        self.join()


def fits_identify(event):
    """Whether the route for identities can send it."""
    left = {name: value for name, value in event.items() if IDENTIFY_DEFAULTS.get(name) != value}
    return event["type"] == "$identify" and left.keys() <= IDENTIFY_MEMBERS and {"userId", "anonymousId"} <= left.keys()


def is_about_users(route, parameters):
    return route not in ("timeseries", "topn") or {("metric", "users"), ("metric", "sessions")} & set(parameters)


def outside(got, low, high):
    """(path, got, low, high) of a number that is not between; None if all are."""
    numbers, lows, highs = named_numbers(got), named_numbers(low), named_numbers(high)
    if any(answer.get("other") for answer in (got, low, high)):
        # Which groups are listed changes while more are sent.
        numbers, lows, highs = ({name: of[name] for name in [("total",)]} for of in (numbers, lows, highs))
    for path in {**lows, **numbers}:
        value, least, most = numbers.get(path, 0), lows.get(path, 0), highs.get(path, 0)
        if not least <= value <= most:
            return path, value, least, most
    return None


def named_numbers(answer):
    """Series and items by their names, which move."""
    numbers = {("total",): answer["total"]}
    for index, value in enumerate(answer.get("values", [])):
        numbers["values", index] = value
    for series in answer.get("series", []):
        name = named(series["name"])
        numbers[name, "total"] = series["total"]
        numbers.update({(name, index): value for index, value in enumerate(series["values"])})
    for item in answer.get("items", []):
        numbers[named(item["key"]), "value"] = item["value"]
    return numbers


def named(key):
    """406 and 406.0 are one key."""
    return json.dumps(int(key) if isinstance(key, float) and key.is_integer() else key)


def shown(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 2_000 else text[:2_000] + "…"


def now_ms():
    return time.time_ns() // 1_000_000


def utc(milliseconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(milliseconds / 1_000))


def names(text):
    return [name for name in text.split(",") if name]


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--binary")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=int, default=5)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--only", type=names, default=ROUTES)
    parser.add_argument("--metrics", default="")
    parser.add_argument("--types", type=int, default=0)
    parser.add_argument("--no-anonymous", action="store_true")
    parser.add_argument("--no-erasures", action="store_true")
    parser.add_argument("--live-seconds", type=float, default=5)
    options = parser.parse_args(arguments)
    if bool(options.url) == bool(options.binary):
        parser.error("one of --url and --binary")
    if not set(options.only) <= set(ROUTES):
        parser.error(f"--only takes {','.join(ROUTES)}")
    options.metrics = names(options.metrics)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    return options


def main(arguments=None):
    options = parsed(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with started(options.binary, options.real) if options.binary else contextlib.nullcontext(options.url) as url:
            Comparison(Service(url), options).run()
    except Difference as found:
        print(found, flush=True)
        return 1
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
