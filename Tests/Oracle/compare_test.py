"""compare.py against a service that answers from the oracle, and against services that answer from a mutant."""

import contextlib
import http.server
import io
import json
import os
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compare  # noqa: E402
import mutants  # noqa: E402
import service  # noqa: E402
from answers import difference  # noqa: E402
from generate import as_stored  # noqa: E402
from oracle import Body, Oracle, Question, Refused  # noqa: E402
from zone import moment  # noqa: E402


def with_context(events):
    return [
        {
            **as_stored(event), "receivedAt": "2026-06-01T00:00:00Z",
            "context": {"ip": f"127.0.{index % 3}.0", "processingLagMs": index, **as_stored(event).get("context", {})}}
        for index, event in enumerate(events)]


class FakeService(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, oracle, alter=lambda answer: answer, identified={}):
        """`identified`: what it adds to identities that come by their route."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.oracle, self.alter, self.identified = oracle, alter, identified
        self.events, self.erasures, self.lock = [], [], threading.Lock()

    def answering(self, events):
        return self.oracle(events, erasures=self.erasures)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else each answer waits for the acknowledgement of its headers.
    wbufsize = -1

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path == "/api/v1/erasures":
            with self.server.lock:
                self.server.erasures.append((len(self.server.events), urllib.parse.parse_qsl(query, strict_parsing=True)))
            return self._answer(202, {"id": "e", "state": "requested"})
        events = json.loads(body)
        if path.startswith("/api/v1/analytics/"):
            (events.get("body") or events.get("parameters") or events).pop("maxAge")
            return self._ask(events)
        if self.path == "/api/v1/identify":
            return self._identify(events)
        with self.server.lock:
            self.server.events.extend(events)
        self._answer(200, {"accepted": len(events), "rejected": []})

    def _identify(self, identity):
        if not identity.get("userId") or not identity.get("anonymousId") or not identity.keys() <= compare.IDENTIFY_MEMBERS:
            return self._answer(400, {"code": "missing_field"})
        event = {"timestamp": compare.now_ms(), **compare.IDENTIFY_DEFAULTS, **self.server.identified, **identity}
        with self.server.lock:
            self.server.events.append(event)
        self._answer(202, {"id": event["id"], "status": "accepted"})

    def do_GET(self):
        path, _, query = self.path.partition("?")
        parameters = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        parameters = [pair for pair in parameters if pair != ("maxAge", "0")]
        with self.server.lock:
            events = list(self.server.events)
        if path == "/api/v1/erasures/e":
            return self._answer(200, {"id": "e", "state": "settling"})
        if path == "/api/v1/events/counts":
            begin, end = moment(dict(parameters)["from"]), moment(dict(parameters)["to"])
            return self._answer(200, {"total": sum(begin <= moment(event["timestamp"]) < end for event in events)})
        if path == "/api/v1/events":
            begin, end = moment(dict(parameters)["from"]), moment(dict(parameters)["to"])
            found = [event for event in self.server.answering(with_context(events)).events if begin <= event["timestamp"] < end]
            return self._answer(200, {"events": found, "nextCursor": None})
        if path.startswith("/api/v1/events/"):
            id = urllib.parse.unquote(path.rpartition("/")[2])
            found = [event for event in self.server.answering(with_context(events)).events if event["id"] == id]
            return self._answer(200, found[0]) if found else self._answer(404, {"code": "event_not_found"})
        self._ask(parameters)

    def _ask(self, parameters):
        with self.server.lock:
            events = list(self.server.events)
        route = self.path.partition("?")[0].rpartition("/")[2]
        try:
            answer = self.server.answering(with_context(events)).ask(route, parameters, compare.now_ms())
        except Refused as error:
            return self._answer(400, {"detail": str(error)})
        if route == "people":
            limit, place = parameters["limit"], int(parameters.get("cursor", 0))
            rest = answer["people"][place + limit :]
            answer = {**answer, "people": answer["people"][place : place + limit], "nextCursor": str(place + limit) if rest else None}
        self._answer(200, self.server.alter(answer))

    def _answer(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Cache", "MISS")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(oracle=Oracle, **arguments):
    server = FakeService(oracle, **arguments)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(url, *arguments):
    """(exit status, what was printed)"""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        status = compare.main(["--url", url, "--logs", "2", "--queries", "20", "--live-seconds", "0", *arguments])
    return status, output.getvalue()


class CompareTests(unittest.TestCase):
    def setUp(self):
        age, compare.CACHE_AGE = compare.CACHE_AGE, 0
        self.addCleanup(setattr, compare, "CACHE_AGE", age)

    def test_a_right_service_passes(self):
        with serving() as url:
            status, output = run(url, "--live-seconds", "0.5")
        self.assertEqual(status, 0, output)
        self.assertIn("answers as expected", output)

    def test_a_service_with_events_is_refused(self):
        with serving() as url:
            run(url)
            self.assertEqual(run(url)[0], 2)

    def test_a_mutant_is_caught_with_the_question(self):
        for mutant in [mutants.ZoneIsUTC, mutants.LastOfAnIDStands, mutants.OneUserOfOneText, mutants.TiesReversed, mutants.NobodyIsIdentified]:
            with self.subTest(mutant.__name__), serving(mutant) as url:
                # Else what is erased already differs.
                status, output = run(url, "--logs", "4", "--no-erasures")
                self.assertEqual(status, 1, output)
                self.assertRegex(output, r"(?s)seed 1.*(GET|POST) /api/v1/analytics/.*at: .*got: .*expected: ")

    def test_the_question_is_shortened(self):
        with serving(mutants.ToIsInside) as url:
            status, output = run(url, "--only", "timeseries", "--metrics", "events")
        self.assertEqual(status, 1, output)
        self.assertRegex(output, r"GET /api/v1/analytics/timeseries\?(?!.*(groupBy|compare|metric|tz)=)")

    def test_a_lost_batch_is_caught_while_sending(self):
        class Forgetful(Oracle):
            def stored(self, events):
                return super().stored(events)[:-30]

        with serving(Forgetful) as url:
            status, output = run(url, "--logs", "0", "--live-seconds", "0.5")
        self.assertEqual(status, 1, output)

    def test_an_answer_that_late_events_have_outdated_is_caught(self):
        answers = {}

        class Stale(Oracle):
            def ask(self, route, parameters, now):
                return answers.setdefault((route, str(parameters)), super().ask(route, parameters, now))

        with serving(Stale) as url:
            status, output = run(url, "--logs", "4")
        self.assertEqual(status, 1, output)

    def test_an_answer_that_a_late_identity_has_outdated_is_caught(self):
        answers = {}

        class Stale(Oracle):
            def ask(self, route, parameters, now):
                question = Body(parameters) if isinstance(parameters, dict) else Question(parameters)
                begin, end = self.range(question, self.zone(question), now)
                inside = [event["id"] for event in self.events if begin <= event["timestamp"] < end]
                return answers.setdefault((route, str(parameters), *inside), super().ask(route, parameters, now))

        with serving(Stale) as url:
            status, output = run(url, "--logs", "4", "--queries", "60", "--only", "uniques", "--seed", "2", "--no-erasures")
        self.assertEqual(status, 1, output)

    def test_events_that_are_not_erased_are_told(self):
        with serving(mutants.NothingIsErased) as url:
            status, output = run(url)
        self.assertEqual(status, 1, output)
        self.assertIn("stored or sent, not both", output)

    def test_an_answer_that_still_counts_the_erased_is_caught(self):
        class Remembering(Oracle):
            def __init__(self, events, **arguments):
                super().__init__(events, **arguments)
                self.all = Oracle(events)

            def ask(self, route, parameters, now):
                return self.all.ask(route, parameters, now)

        with serving(Remembering) as url:
            status, output = run(url, "--logs", "4")
        self.assertEqual(status, 1, output)
        self.assertRegex(output, "(GET|POST) /api/v1/analytics/")

    def test_an_identity_that_is_stored_otherwise_is_caught(self):
        for identified in [{"type": "identify"}, {"source": "api"}, {"data": None}, {"timestamp": 0}]:
            with serving(identified=identified) as url:
                status, output = run(url)
            self.assertEqual(status, 1, output)
            self.assertIn("stored by POST /api/v1/identify", output)

    def test_a_lost_identity_is_told(self):
        class Lossy(Oracle):
            def stored(self, events):
                return [event for event in super().stored(events) if event["type"] != "$identify"]

        within, service.STORED_WITHIN = service.STORED_WITHIN, 0.1
        self.addCleanup(setattr, service, "STORED_WITHIN", within)
        with serving(Lossy) as url:
            status, output = run(url)
        self.assertEqual(status, 2, output)
        self.assertIn("accepted, and not stored", output)

    def test_a_lost_event_is_caught_before_any_question(self):
        class Lossy(Oracle):
            def stored(self, events):
                stored = super().stored(events)
                lost = next((event for event in stored if event["type"] != "$identify"), None)
                return [event for event in stored if event is not lost]

        with serving(Lossy) as url:
            status, output = run(url)
        self.assertIn("stored or sent, not both", output)
        self.assertEqual(status, 1)

    def test_an_answer_of_another_shape_is_caught(self):
        for alter in [
            lambda answer: {**answer, "more": 1}, lambda answer: {name: value for name, value in answer.items() if name != "asOf"},
            lambda answer: {**answer, "asOf": "2999-01-01T00:00:00Z"}, lambda answer: {**answer, "total": str(answer["total"])},
        ]:
            with serving(alter=alter) as url:
                self.assertEqual(run(url, "--only", "timeseries,topn,uniques")[0], 1)


class DifferenceTests(unittest.TestCase):
    def test_numbers_are_compared_as_numbers_and_exactly(self):
        self.assertIsNone(difference({"total": 3}, {"total": 3.0}))
        self.assertIsNone(difference({"total": -0.0}, {"total": 0}))
        for got, expected in [(0.1 + 0.2, 0.3), (True, 1), (1, True), (None, 0), (0, False), ("1", 1), (2**53 + 1, 2.0**53)]:
            self.assertIsNotNone(difference({"total": got}, {"total": expected}))

    def test_text_is_compared_by_its_bytes(self):
        self.assertIsNotNone(difference({"name": "\u00e9"}, {"name": "e\u0301"}))

    def test_z_is_an_offset_of_zero_in_times_alone(self):
        self.assertIsNone(difference({"buckets": ["2026-01-01T00:00:00Z"]}, {"buckets": ["2026-01-01T00:00:00+00:00"]}))
        self.assertIsNotNone(difference({"name": "2026-01-01T00:00:00Z"}, {"name": "2026-01-01T00:00:00+00:00"}))

    def test_members_and_elements_that_are_missing_are_told(self):
        self.assertEqual(difference({}, {"total": 1})[0], ".total")
        self.assertEqual(difference({"values": [1]}, {"values": [1, 2]})[0], ".values.count")


if __name__ == "__main__":
    unittest.main()
