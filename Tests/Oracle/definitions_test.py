"""The worked examples of docs/queries.md, and that every mutant is caught by an example or a generated case.

ORACLE_LOGS (24) and ORACLE_QUESTIONS (72 for each log) make the generated corpus larger."""

import collections
import datetime
import itertools
import json
import os
import random
import sys
import unittest
import zoneinfo

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from answers import difference  # noqa: E402
from generate import WINDOWS, Log, Questions, as_stored, erasure  # noqa: E402
from mutants import MUTANTS  # noqa: E402
from oracle import ROUTES, Oracle  # noqa: E402
from zone import DAY, MINUTE, moment, zone  # noqa: E402

LOG = [
    {"id": "1", "timestamp": "2026-03-28T22:30:00Z", "type": "view", "source": "web", "anonymousId": "d1", "data": {"page": "/", "tags": ["a", "b"]}},
    {
        "id": "2", "timestamp": "2026-03-28T23:15:00Z", "type": "view", "source": "web", "userId": "ann", "anonymousId": "d1",
        "data": {"page": "/buy", "tags": ["a"]}},
    {"id": "3", "timestamp": "2026-03-29T00:30:00Z", "type": "order", "source": "app", "userId": "ann", "data": {"amount": 10.5, "page": "/buy"}},
    {"id": "4", "timestamp": "2026-03-29T02:00:00Z", "type": "view", "source": "web", "userId": "bob", "data": {"page": "/", "tags": []}},
    {"id": "5", "timestamp": "2026-03-29T02:00:00Z", "type": "order", "source": "web", "userId": "bob", "data": {"amount": "free"}},
    {"id": "6", "timestamp": "2026-03-29T22:00:00Z", "type": "order", "source": "app", "data": {"amount": 4}},
]
IDENTITIES = [
    {"id": id, "timestamp": time, "type": "$identify", "source": "identify", "userId": user, "anonymousId": "d1", "data": {}}
    for id, time, user in [("7", "2026-04-02T08:00:00Z", "ann"), ("8", "2026-04-01T10:00:00+02:00", "bob"), ("9", "2026-04-01T08:00:00Z", "Bob")]]
CRAWL = {
    "id": "10", "timestamp": "2026-03-29T03:00:00Z", "type": "crawl", "source": "web", "userId": "eve", "data": {"page": "/"},
    "context": {"device": "bot", "bot": True}}
VISITORS = [
    {"id": id, "timestamp": time, "type": "view", "source": source, "data": {}, **who}
    for id, time, source, who in [
        ("11", "2026-06-01T08:00:00Z", "web", {"visitorId": "v1"}), ("12", "2026-06-01T09:00:00Z", "web", {"visitorId": "v1"}),
        ("13", "2026-06-01T09:00:00Z", "web", {"visitorId": "v2"}), ("14", "2026-06-01T09:30:00Z", "app", {"visitorId": "v3"}),
        ("15", "2026-06-01T10:00:00Z", "web", {"userId": "ann"}), ("16", "2026-06-01T23:00:00Z", "web", {"anonymousId": "v1"}),
        ("17", "2026-06-02T08:00:00Z", "web", {"visitorId": "v4"})]]
VISITS = [
    {"id": "10", "timestamp": "2026-05-01T23:20:00Z", "type": "view", "source": "web", "userId": "ann", "data": {"page": "/"}},
    {"id": "11", "timestamp": "2026-05-01T23:50:00Z", "type": "view", "source": "web", "userId": "ann", "data": {"page": "/buy"}},
    {"id": "12", "timestamp": "2026-05-02T00:20:00.001Z", "type": "order", "source": "web", "userId": "ann", "data": {"page": "/thanks"}},
    {"id": "13", "timestamp": "2026-05-02T08:00:00Z", "type": "view", "source": "web", "userId": "bob", "sessionId": "s1", "data": {"page": "/"}},
    {"id": "14", "timestamp": "2026-05-02T08:10:00Z", "type": "mail", "source": "web", "userId": "bob", "data": {}},
    {"id": "15", "timestamp": "2026-05-02T12:00:00Z", "type": "order", "source": "web", "userId": "bob", "sessionId": "s1", "data": {"page": "/thanks"}},
    {"id": "16", "timestamp": "2026-05-02T12:00:00Z", "type": "view", "source": "web", "anonymousId": "d9", "data": {"page": "/help"}},
]
WAYS = [
    {"id": id, "timestamp": f"2026-06-{time}Z", "type": type, "source": "web", "userId": user, "data": {"plan": plan} if plan else {}}
    for id, time, type, user, plan in [
        ("20", "01T10:00:00", "view", "ann", "free"), ("21", "01T10:05:00", "cart", "ann", None), ("22", "01T10:20:00", "order", "ann", None),
        ("23", "01T11:00:00", "cart", "bob", None), ("24", "01T11:00:00", "view", "bob", "pro"), ("25", "01T12:30:00", "help", "bob", None),
        ("26", "01T13:00:00", "order", "bob", None), ("27", "01T14:00:00", "cart", "cat", None), ("28", "01T14:10:00", "view", "cat", "pro"),
        ("29", "01T15:00:00", "order", "cat", None), ("30", "01T23:50:00", "view", "ann", "free"), ("31", "02T00:10:00", "order", "ann", None)]]
RETURNS = [
    {"id": id, "timestamp": f"2026-06-{time}Z", "type": type, "source": "web", "userId": user, "data": {}}
    for id, time, type, user in [
        ("40", "01T09:00:00", "open", "ann"), ("41", "02T09:00:00", "open", "ann"), ("42", "04T09:00:00", "order", "ann"),
        ("43", "01T23:30:00", "open", "bob"), ("44", "03T08:00:00", "open", "bob"), ("45", "02T09:00:00", "order", "cat"),
        ("46", "02T10:00:00", "open", "cat")]]
JUNE = {"from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z"}
TWO_DAYS = {"from": "2026-06-01T00:00:00Z", "to": "2026-06-03T00:00:00Z"}
MAY = {"begin": "2026-05-01T00:00:00Z", "to": "2026-05-03T00:00:00Z"}
NOW = moment("2026-11-27T05:00:00Z")
BERLIN = {"tz": "Europe/Berlin"}
WHOLE = {**BERLIN, "from": "2026-03-27T23:00:00Z", "to": "2026-03-30T22:00:00Z"}
MARCH = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}
APRIL = {"from": "2026-04-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}


def ask(route, now=NOW, events=None, oracle=Oracle, erasures=(), **parameters):
    if "begin" in parameters:
        parameters["from"] = parameters.pop("begin")
    return oracle(LOG if events is None else events, erasures=erasures).ask(route, list(parameters.items()), now)


def post(route, events, oracle=Oracle, **body):
    return oracle(events).ask(route, body, NOW)


def value(metric):
    return ask("timeseries", **WHOLE, metric=metric)["total"]


class Examples(unittest.TestCase):
    def test_days_and_hours_of_a_change_to_summer_time(self):
        range = {**BERLIN, "from": "2026-03-28T23:00:00Z", "to": "2026-03-30T00:00:00Z"}
        days = ask("timeseries", **range, interval="day")
        self.assertEqual(days["buckets"], ["2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"])
        self.assertEqual(days["series"], [{"name": "all", "values": [4, 1], "total": 5}])
        hours = ask("timeseries", **range, interval="hour")
        self.assertEqual(hours["buckets"].index("2026-03-30T00:00:00+02:00"), 23)
        self.assertEqual(
            list(zip(hours["buckets"], hours["series"][0]["values"]))[:4],
            [("2026-03-29T00:00:00+01:00", 1), ("2026-03-29T01:00:00+01:00", 1), ("2026-03-29T03:00:00+02:00", 0), ("2026-03-29T04:00:00+02:00", 2)])

    def test_users(self):
        self.assertEqual(value("users"), 3)

    def test_metrics(self):
        self.assertEqual(value("events"), 6)
        self.assertEqual(value("sum(data.amount)"), 14.5)
        self.assertEqual(value("avg(data.amount)"), 7.25)
        self.assertEqual(value("p50(data.amount)"), 7.25)
        # In doubles, in the order of the formula.
        self.assertEqual(value("p90(data.amount)"), 9.85)
        self.assertEqual(value("p90(data.amount)"), 10.5 - 6.5 * (1 - 0.9))

    def test_metrics_of_no_event(self):
        none = {**WHOLE, "type": "none"}
        measures = [("sum(data.amount)", 0), ("avg(data.amount)", None), ("min(data.amount)", None), ("p50(data.amount)", None)]
        for metric, expected in [("events", 0), ("users", 0), *measures]:
            self.assertEqual(ask("timeseries", **none, metric=metric)["series"], [{"name": "all", "values": [expected] * 3, "total": expected}])

    def test_time_series_by_events(self):
        answer = ask("timeseries", **WHOLE, metric="events", groupBy="type", limit="1")
        self.assertEqual(answer["buckets"], ["2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"])
        self.assertEqual(answer["series"], [{"name": "order", "values": [0, 2, 1], "total": 3}])
        self.assertEqual(answer["other"], {"values": [1, 2, 0], "total": 3})

    def test_time_series_by_users(self):
        answer = ask("timeseries", **WHOLE, metric="users", groupBy="type")
        self.assertEqual(
            answer["series"], [{"name": "view", "values": [1, 2, 0], "total": 3}, {"name": "order", "values": [0, 2, 0], "total": 2}])
        self.assertIsNone(answer["other"])

    def test_tops(self):
        answer = ask("topn", **WHOLE, dimension="data.tags")
        self.assertEqual([(item["key"], item["value"]) for item in answer["items"]], [(None, 4), ("a", 2), ("b", 1)])
        self.assertEqual([round(item["share"], 3) for item in answer["items"]], [0.667, 0.333, 0.167])
        self.assertEqual((answer["total"], answer["other"]), (6, 0))
        answer = ask("topn", **WHOLE, dimension="data.tags", n="2")
        self.assertEqual((len(answer["items"]), answer["other"]), (2, 1))

    def test_uniques(self):
        answer = ask("uniques", **WHOLE)
        self.assertEqual((answer["values"], answer["total"]), ([1, 2, 0], 3))


    def test_sessions(self):
        answer = ask("sessions", events=VISITS, **MAY, page="data.page")
        self.assertEqual((answer["sessions"], answer["users"], answer["values"]), (5, 3, [1, 4]))
        self.assertEqual(
            [answer[name] for name in ("medianSeconds", "p90Seconds", "eventsPerSession", "bounceRate")], [0, 9_360, 1.4, 0.6])
        pages = {name: [(item["page"], item["sessions"], item["share"]) for item in answer[name]] for name in ("entryPages", "exitPages")}
        self.assertEqual(pages["entryPages"], [("/", 2, 0.4), ("/help", 1, 0.2), ("/thanks", 1, 0.2)])
        self.assertEqual(pages["exitPages"], [("/thanks", 2, 0.4), ("/buy", 1, 0.2), ("/help", 1, 0.2)])
        self.assertEqual(ask("sessions", events=VISITS, **{**MAY, "begin": "2026-05-01T23:30:00Z"})["sessions"], 4)
        first = ask("sessions", events=VISITS, **{**MAY, "to": "2026-05-02T00:00:00Z"})
        self.assertEqual((first["sessions"], first["eventsPerSession"], first["medianSeconds"]), (1, 2, 1_800))
        wide = ask("sessions", events=VISITS, **MAY, gapMinutes="31")
        self.assertEqual((wide["values"], wide["series"]["medianSeconds"]), ([1, 3], [3600.001, 0]))
        self.assertEqual(ask("sessions", events=VISITS, **MAY, type="order")["sessions"], 2)
        none = ask("sessions", events=VISITS, **MAY, type="none")
        self.assertEqual([none[name] for name in ("sessions", "users", "medianSeconds", "eventsPerSession", "bounceRate")], [0, 0, None, None, None])

    def test_sessions_as_a_metric(self):
        series = ask("timeseries", events=VISITS, **MAY, metric="sessions", groupBy="type")["series"]
        self.assertEqual([(one["name"], one["values"]) for one in series], [("view", [1, 2]), ("mail", [0, 1]), ("order", [0, 1])])
        top = ask("topn", events=VISITS, **MAY, metric="sessions", dimension="type", n="1")
        self.assertEqual((top["items"][0]["value"], top["total"], top["other"]), (3, 5, 2))

    def test_a_start_is_the_events_of_its_first_moment(self):
        events = [{**VISITS[0], "id": str(id), "data": data} for id, data in enumerate([{}, {"page": "/b"}, {"page": "/a"}])]
        top = ask("topn", events=events, **MAY, metric="sessions", dimension="data.page")
        self.assertEqual([(item["key"], item["value"]) for item in top["items"]], [("/a", 1), ("/b", 1)])
        self.assertEqual(ask("sessions", events=events, **MAY, page="data.page")["entryPages"], [{"page": "/a", "sessions": 1, "share": 1}])

    def test_a_session_is_measured_for_a_day(self):
        begin = moment("2026-05-01T10:00:00Z")
        times = [0, 20 * 3_600_000, DAY, DAY + 1, 2 * DAY + 2]
        events = [{**VISITS[3], "id": str(time), "timestamp": begin + time} for time in times]
        answer = ask("sessions", events=events, **{**MAY, "to": "2026-05-02T00:00:00Z"})
        self.assertEqual((answer["sessions"], answer["eventsPerSession"], answer["medianSeconds"]), (1, 3, 86_400))
        whole = ask("sessions", events=events, **{**MAY, "to": "2026-05-09T00:00:00Z"})
        self.assertEqual((whole["sessions"], whole["values"][:3]), (2, [1, 0, 1]))

    def test_sessions_of_two_parts_of_a_range_add_up(self):
        for number in range(6):
            log = Log(11, number)
            oracle = Oracle(log.events)
            def total(begin, end):
                pairs = [("from", zone("UTC").text(begin)), ("to", zone("UTC").text(end)), ("metric", "sessions"), ("dimension", "type")]
                return oracle.ask("topn", pairs, NOW)["total"]
            middle = log.hot[0]
            self.assertEqual(total(log.begin, middle) + total(middle, log.end), total(log.begin, log.end))

    def funnel(self, hours, **body):
        steps = [{"types": [type]} for type in ("view", "cart", "order")]
        return post("funnels", WAYS, **{**JUNE, "steps": steps, "windowSeconds": hours * 3_600, **body})

    def users(self, *arguments, **body):
        return [step["users"] for step in self.funnel(*arguments, **body)["steps"]]

    def test_funnels(self):
        self.assertEqual(self.users(1), [3, 2, 1])
        self.assertEqual(self.users(2), [3, 2, 2])
        self.assertEqual(self.users(2, exclusions=[{"types": ["help"], "afterStep": 2}]), [3, 2, 1])
        self.assertEqual(self.users(2, exclusions=[{"types": ["help"], "beforeStep": 2}]), [3, 2, 2])
        self.assertEqual(self.users(2, order="strict"), [3, 2, 1])
        self.assertEqual(self.users(1, order="any"), [3, 3, 2])

    def test_shares_and_times_of_a_funnel(self):
        steps = self.funnel(1)["steps"]
        self.assertEqual([step["shareOfFirst"] for step in steps], [1, 2 / 3, 1 / 3])
        self.assertEqual([step["shareOfPrevious"] for step in steps], [1, 2 / 3, 1 / 2])
        self.assertEqual([step["medianSeconds"] for step in steps], [None, 150, 900])
        self.assertEqual([step["p90Seconds"] for step in steps], [None, 270, 900])

    def test_funnels_by_group_and_beyond_the_range(self):
        groups = self.funnel(1, groupBy="data.plan")["groups"]
        self.assertEqual([(group["key"], [step["users"] for step in group["steps"]]) for group in groups], [("pro", [2, 1, 0]), ("free", [1, 1, 1])])
        other = self.funnel(1, groupBy="data.plan", limit=1)["other"]
        self.assertEqual([step["users"] for step in other["steps"]], [1, 1, 1])
        late = post("funnels", WAYS, **{**JUNE, "from": "2026-06-01T23:00:00Z"}, steps=[{"types": ["view"]}, {"types": ["order"]}])
        self.assertEqual([step["users"] for step in late["steps"]], [1, 1])

    def test_funnels_of_disjoint_users_add_up(self):
        for number in range(4):
            one, other = Log(21, number), Log(22, number)
            renamed = [
                {**event, **{name: event[name] + "'" for name in ("userId", "anonymousId") if name in event}, "id": event["id"] + "'"}
                for event in other.events]
            for _ in range(10):
                body = Questions(one, 21, ["funnels"]).draw()[1]
                body.pop("groupBy", None), body.pop("limit", None)
                if {"userIds", "anonymousIds"} & body.get("filters", {}).keys():
                    continue
                counts = [[step["users"] for step in post("funnels", events, **body)["steps"]] for events in (one.events, renamed, one.events + renamed)]
                self.assertEqual([sum(pair) for pair in zip(*counts[:2])], counts[2])

    def cohorts(self, **body):
        answer = post("retention", RETURNS, **{**TWO_DAYS, "first": {"types": ["open"]}, "firstEver": True, "periods": 3, **body})
        return [(cohort["size"], cohort["values"]) for cohort in answer["cohorts"]]

    def test_retention(self):
        self.assertEqual(self.cohorts(), [(2, [2, 1, 1]), (1, [1, 0, 0])])
        self.assertEqual(self.cohorts(mode="on_or_after"), [(2, [2, 2, 1]), (1, [1, 0, 0])])
        self.assertEqual(self.cohorts(mode="unbounded"), [(2, [2, 2, 2]), (1, [1, 0, 0])])
        self.assertEqual(self.cohorts(firstEver=False), [(2, [2, 1, 1]), (2, [2, 0, 1])])
        self.assertEqual(self.cohorts(returning={"types": ["order"]}), [(2, [0, 0, 0]), (1, [1, 0, 0])])
        berlin = {"tz": "Europe/Berlin", "from": "2026-06-01T00:00:00+02:00", "to": "2026-06-03T00:00:00+02:00"}
        self.assertEqual(self.cohorts(**berlin), [(1, [1, 1, 0]), (2, [2, 1, 0])])

    def test_a_whole_week_later_retention_is_the_same(self):
        week = 7 * DAY
        later = [{**event, "timestamp": moment(event["timestamp"]) + week} for event in RETURNS]
        moved = {name: zone("UTC").text(moment(time) + week) for name, time in TWO_DAYS.items()}
        for interval in ("day", "week"):
            body = {"first": {"types": ["open"]}, "interval": interval, "periods": 3}
            one, other = post("retention", RETURNS, **TWO_DAYS, **body), post("retention", later, **moved, **body)
            self.assertEqual([cohort["values"] for cohort in one["cohorts"]], [cohort["values"] for cohort in other["cohorts"]])

    def test_periods_that_are_not_over_are_told(self):
        body = {**TWO_DAYS, "first": {"types": ["open"]}, "periods": 3}
        for now, expected in [("2026-06-04T12:00:00Z", "2026-06-04T00:00:00+00:00"), ("2026-06-05T00:00:00Z", None)]:
            self.assertEqual(Oracle(RETURNS).ask("retention", body, moment(now))["incompleteFrom"], expected)

    def test_lifecycle(self):
        days = {"begin": "2026-06-01T00:00:00Z", "to": "2026-06-06T00:00:00Z"}
        self.assertEqual(ask("lifecycle", events=RETURNS, **days)["series"], {
            "new": [2, 1, 0, 0, 0], "returning": [0, 1, 0, 0, 0], "resurrecting": [0, 0, 1, 1, 0], "dormant": [0, 1, 2, 1, 1]})
        later = ask("lifecycle", events=RETURNS, **{**days, "begin": "2026-06-02T12:00:00Z"})
        self.assertEqual(later["series"], {
            "new": [1, 0, 0, 0], "returning": [1, 0, 0, 0], "resurrecting": [0, 1, 1, 0], "dormant": [1, 2, 1, 1]})
        orders = ask("lifecycle", events=RETURNS, **days, type="order")["series"]
        self.assertEqual((orders["new"], orders["dormant"]), ([0, 1, 0, 1, 0], [0, 0, 1, 0, 1]))

    def test_lifecycle_of_two_parts_of_a_range_adds_up(self):
        for number in range(6):
            log = Log(31, number)
            middle = Oracle([]).bounds(zone(log.zone), "day", log.begin, log.begin + 1)[1]
            def series(begin, end):
                times = [("from", zone("UTC").text(begin)), ("to", zone("UTC").text(end)), ("tz", log.zone)]
                return Oracle(log.events).ask("lifecycle", times, NOW)["series"]
            parts = series(log.begin, middle), series(middle, log.end)
            self.assertEqual({name: parts[0][name] + parts[1][name] for name in parts[0]}, series(log.begin, log.end))

    def test_stickiness(self):
        def values(**more):
            answer = ask("stickiness", events=RETURNS, **more)["values"]
            return [one["users"] for one in answer], [one["atLeast"] for one in answer]

        self.assertEqual(values(begin="2026-06-01T00:00:00Z", to="2026-06-06T00:00:00Z"), ([1, 1, 1, 0, 0], [3, 2, 1, 0, 0]))
        self.assertEqual(values(begin="2026-06-01T12:00:00Z", to="2026-06-03T00:00:00Z"), ([3, 0], [3, 0]))
        self.assertEqual(values(begin="2026-06-01T00:00:00Z", to="2026-06-06T00:00:00Z", interval="week"), ([3], [3]))

    def steps(self, **more):
        steps = ask("paths", events=WAYS, begin=JUNE["from"], to=JUNE["to"], **more)["steps"]
        return [
            ((step["paths"], step["users"]), [(node["key"], node["paths"]) for node in step["nodes"]],
             [(edge["from"], edge["to"], edge["paths"]) for edge in step["edges"]]) for step in steps if step["paths"]]

    def test_paths(self):
        self.assertEqual(self.steps(start="view"), [
            ((4, 3), [("view", 4)], []), ((3, 2), [("cart", 2), ("order", 1)], [("view", "cart", 2), ("view", "order", 1)]),
            ((1, 1), [("order", 1)], [("cart", "order", 1)])])
        self.assertEqual(self.steps(end="order"), [
            ((4, 3), [("order", 4)], []),
            ((3, 2), [("cart", 1), ("help", 1), ("view", 1)], [("cart", "order", 1), ("help", "order", 1), ("view", "order", 1)]),
            ((1, 1), [("view", 1)], [("view", "cart", 1)])])
        self.assertEqual(self.steps(start="view", windowSeconds="7200"), [
            ((3, 3), [("view", 3)], []), ((3, 3), [("cart", 2), ("order", 1)], [("view", "cart", 2), ("view", "order", 1)]),
            ((2, 2), [("help", 1), ("order", 1)], [("cart", "help", 1), ("cart", "order", 1)]), ((1, 1), [("order", 1)], [("help", "order", 1)])])
        self.assertEqual(self.steps(start="view", groupBy="data.plan"), [((4, 3), [("free", 2), ("pro", 2)], [])])
        one = ask("paths", events=WAYS, begin=JUNE["from"], to=JUNE["to"], start="view", limit="1")["steps"][1]
        self.assertEqual((len(one["nodes"]), one["otherNodes"], len(one["edges"]), one["otherEdges"]), (1, 1, 1, 1))

    def test_paths_do_not_depend_on_the_order_of_arrival(self):
        moment = [{**WAYS[0], "id": str(id), "type": type} for id, type in enumerate(["c", "b", "a", "b"])]
        for order in itertools.permutations(moment):
            answer = ask("paths", events=list(order), begin=JUNE["from"], to=JUNE["to"], start="b")
            self.assertEqual([step["nodes"][0]["key"] for step in answer["steps"] if step["paths"]], ["b", "a", "b", "c"])
            answer = ask("paths", events=list(order), begin=JUNE["from"], to=JUNE["to"], end="b")
            self.assertEqual([step["nodes"][0]["key"] for step in answer["steps"] if step["paths"]], ["b", "c", "b", "a"])

    def test_people(self):
        steps = [{"types": [type]} for type in ("view", "cart", "order")]
        body = {"question": "funnels", "body": {**JUNE, "steps": steps, "windowSeconds": 3_600}, "step": 3}
        ann = {"userId": "ann", "first": "2026-06-01T10:00:00+00:00", "last": "2026-06-01T23:50:00+00:00", "events": 4}
        self.assertEqual(post("people", WAYS, **body)["people"], [ann])
        dropped = post("people", WAYS, **body, dropped=True)
        self.assertEqual((dropped["total"], [one["userId"] for one in dropped["people"]]), (1, ["bob"]))

        def who(question, parameters=None, **cell):
            days = {"from": "2026-06-01T00:00:00Z", "to": "2026-06-06T00:00:00Z"}
            inner = {"body": {**days, **parameters}} if question == "retention" else {"parameters": {**days, **(parameters or {})}}
            return sorted(one["userId"] for one in post("people", RETURNS, question=question, **inner, **cell)["people"])

        second = "2026-06-02T00:00:00+00:00"
        self.assertEqual(who("lifecycle", bucket=second, state="dormant"), ["bob"])
        self.assertEqual(who("stickiness", intervals=2, atLeast=True), ["ann", "bob"])
        self.assertEqual(who("stickiness", intervals=2), ["bob"])
        self.assertEqual(who("uniques", bucket=second), ["ann", "cat"])
        self.assertEqual(who("uniques"), ["ann", "bob", "cat"])
        self.assertEqual(who("paths", {"start": "open", "windowSeconds": 172_800}, step=1, **{"from": "open", "to": "open"}), ["ann", "bob"])
        first = {"first": {"types": ["open"]}, "periods": 3}
        self.assertEqual(who("retention", first, cohort="2026-06-01T00:00:00+00:00", period=1), ["ann"])
        self.assertEqual(who("retention", first, cohort="2026-06-01T00:00:00+00:00", period=1, dropped=True), ["bob"])

    def test_users_behind_a_number_are_as_many(self):
        log = Log(41, 0)
        questions = Questions(log, 41, ["people"])
        for _ in range(40):
            body = questions.draw()[1]
            answer = post("people", log.events, **body)
            self.assertEqual(answer["total"], len({json.dumps(person) for person in answer["people"]}))

    def test_identities(self):
        filters = [{}, {"data.page": "/"}, {"source": "web"}, {"userId": "ann"}]
        for ids, expected in [("", [3, 2, 3, 1]), ("7", [2, 2, 2, 1]), ("78", [2, 1, 2, 1]), ("789", [3, 2, 3, 1])]:
            stored = [event for event in IDENTITIES if event["id"] in ids]
            # In every order of arrival, also before the events that they join.
            for order in itertools.permutations([LOG, *([event] for event in stored)]):
                events = list(itertools.chain(*order))
                self.assertEqual([ask("uniques", events=events, **MARCH, **filter)["total"] for filter in filters], expected)

    def test_only_numbers_of_users_are_merged(self):
        events = [*LOG, IDENTITIES[0]]
        users = ask("topn", events=events, **MARCH, dimension="userId", metric="users")
        self.assertEqual([(item["key"], item["value"]) for item in users["items"]], [(None, 1), ("ann", 1), ("bob", 1)])
        self.assertEqual((users["total"], users["other"]), (2, 0))
        items = ask("topn", events=events, **MARCH, dimension="userId")["items"]
        self.assertEqual([(item["key"], item["value"]) for item in items], [(None, 2), ("ann", 2), ("bob", 2)])

    def test_identify_events_are_events(self):
        events = [*LOG, *IDENTITIES]
        self.assertEqual([ask("timeseries", events=events, **APRIL, metric=metric)["total"] for metric in ["events", "users"]], [3, 3])


    def test_bots(self):
        events = [*LOG, CRAWL]
        for bots, expected in [({}, [6, 3]), ({"bots": "exclude"}, [6, 3]), ({"bots": "include"}, [7, 4])]:
            found = [ask("timeseries", events=events, **MARCH, **bots, metric=metric)["total"] for metric in ["events", "users"]]
            self.assertEqual(found, expected)
            items = ask("topn", events=events, **MARCH, **bots, dimension="type")["items"]
            self.assertEqual(
                [(item["key"], item["value"]) for item in items], [("order", 3), ("view", 3), *[("crawl", 1)] * (expected[0] - 6)])

    def test_visitors(self):
        answer = ask("uniques", events=VISITORS, begin="2026-06-01T00:00:00Z", to="2026-06-03T00:00:00Z")
        self.assertEqual((answer["values"], answer["total"]), ([5, 1], 6))
        # A visitor belongs to nobody, whoever an anonymous id of the same text belongs to.
        events = [*VISITORS, {**IDENTITIES[0], "anonymousId": "v1"}]
        self.assertEqual(ask("uniques", events=events, begin="2026-06-01T00:00:00Z", to="2026-06-03T00:00:00Z")["values"], [4, 1])

    def test_bots_identify(self):
        events = [*LOG, {**CRAWL, "type": "$identify", "anonymousId": "d1"}]
        for bots, expected in [({}, 3), ({"bots": "include"}, 3)]:
            self.assertEqual(ask("uniques", events=events, **MARCH, **bots)["total"], expected)
        # Event 1 is of eve, who did nothing else that counts.
        self.assertEqual(ask("timeseries", events=events, **MARCH, metric="users", userId="eve")["total"], 0)
    def test_erasures(self):
        def march(conditions, received=7, events=(*LOG, IDENTITIES[0])):
            answers = [
                ask("timeseries", events=list(events), erasures=[(received, conditions)], **MARCH, metric=metric)["total"]
                for metric in ["events", "users", "sum(data.amount)"]]
            return answers

        self.assertEqual(march([("userId", "nobody")]), [6, 2, 14.5])
        # Event 1 is of ann, whose device it is; event 7 goes too.
        self.assertEqual(march([("userId", "ann")]), [3, 1, 4])
        self.assertEqual(march([("userId", "ann")], events=LOG, received=6), [4, 2, 4])
        self.assertEqual(march([("userId", "bob")]), [4, 1, 14.5])
        self.assertEqual(march([("anonymousId", "d1")]), [4, 2, 14.5])
        self.assertEqual(march([("type", "order"), ("source", "web")]), [5, 2, 14.5])
        self.assertEqual(march([("userId", "ann"), ("data.page", "/buy"), ("type", "order")]), [5, 2, 4])
        self.assertEqual(march([("from", "2026-03-29T02:00:00Z"), ("to", "2026-03-29T22:00:00Z")]), [4, 1, 14.5])
        # What is received later is stored, also under an id that was erased.
        self.assertEqual(march([("userId", "ann")], received=3), [4, 2, 4])
        self.assertEqual(march([("userId", "ann")], events=[*LOG, IDENTITIES[0], LOG[2]]), [4, 2, 14.5])

    def test_erased_identities_join_nothing(self):
        events = [*LOG, *IDENTITIES]
        users = [
            ask("uniques", events=events, erasures=[(9, [("userId", user)])], **MARCH)["total"] for user in ["Bob", "bob", "ann"]]
        # Bob's device goes with Bob. Without bob, and without ann, d1 is still Bob's.
        self.assertEqual(users, [2, 2, 2])
        self.assertEqual(ask("uniques", events=events, erasures=[(9, [("type", "$identify")])], **MARCH)["total"], 3)


class Sentences(unittest.TestCase):
    """What the page says without an example, in cases that are known by other means than the oracle."""

    def test_a_zone_that_leaves_out_a_date(self):
        answer = ask("timeseries", tz="Pacific/Apia", begin="2011-12-29T00:00:00-10:00", to="2012-01-01T00:00:00+14:00")
        self.assertEqual(answer["buckets"], ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"])

    def test_a_day_without_midnight_begins_at_one(self):
        answer = ask("timeseries", tz="America/Sao_Paulo", begin="2018-11-04T12:00:00Z", to="2018-11-04T13:00:00Z")
        self.assertEqual(answer["buckets"], ["2018-11-04T01:00:00-02:00"])

    def test_a_day_begins_with_the_first_of_two_midnights(self):
        answer = ask("timeseries", tz="America/Havana", begin="2025-11-02T12:00:00Z", to="2025-11-02T13:00:00Z")
        self.assertEqual(answer["buckets"], ["2025-11-02T00:00:00-04:00"])

    def test_half_hours_at_a_change_of_half_an_hour(self):
        answer = ask("timeseries", tz="Australia/Lord_Howe", interval="hour", begin="2026-04-04T14:00:00Z", to="2026-04-04T17:00:00Z")
        self.assertEqual(
            answer["buckets"], ["2026-04-05T01:00:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30", "2026-04-05T03:00:00+10:30"])

    def test_weeks_begin_on_monday_and_months_on_the_first(self):
        question = {"tz": "Asia/Kathmandu", "begin": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}
        self.assertEqual(ask("uniques", **question, interval="week")["buckets"], ["2026-02-23T00:00:00+05:45", "2026-03-02T00:00:00+05:45"])
        self.assertEqual(ask("uniques", **question, interval="month")["buckets"], ["2026-03-01T00:00:00+05:45"])

    def test_default_ranges_end_with_the_present_bucket(self):
        now = moment("2026-03-29T12:34:56.789Z")
        for interval, begin, end in [
            ("minute", "2026-03-29T11:35:00+00:00", "2026-03-29T12:35:00+00:00"), ("hour", "2026-03-28T13:00:00+00:00", "2026-03-29T13:00:00+00:00"),
            ("day", "2026-02-28T00:00:00+00:00", "2026-03-30T00:00:00+00:00"), ("week", "2026-01-05T00:00:00+00:00", "2026-03-30T00:00:00+00:00"),
            ("month", "2025-04-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"),
        ]:
            answer = ask("timeseries", now=now, interval=interval)
            self.assertEqual((answer["from"], answer["to"], answer["incompleteFrom"]), (begin, end, answer["buckets"][-1]))

    def test_incomplete_is_the_bucket_that_is_not_over(self):
        question = {"begin": "2026-03-28T00:00:00Z", "to": "2026-03-29T12:00:00Z"}
        self.assertEqual(ask("uniques", now=moment("2026-03-29T00:00:00Z"), **question)["incompleteFrom"], "2026-03-29T00:00:00+00:00")
        self.assertEqual(ask("uniques", now=moment("2026-03-28T23:59:59.999Z"), **question)["incompleteFrom"], "2026-03-28T00:00:00+00:00")
        self.assertIsNone(ask("uniques", now=moment("2026-03-30T00:00:00Z"), **question)["incompleteFrom"])
        self.assertIsNone(ask("uniques", now=moment("2026-03-29T12:00:00Z"), **question)["incompleteFrom"])
        for now, expected in [("2026-03-29T23:59:59Z", "2026-03-29T00:00:00+00:00"), ("2026-03-30T00:00:00Z", None)]:
            self.assertEqual(ask("lifecycle", now=moment(now), **question)["incompleteFrom"], expected)

    def test_a_day_is_compared_with_the_same_day_of_the_week_before_by_the_clock(self):
        answer = ask("timeseries", **BERLIN, begin="2026-03-30T00:00:00+02:00", to="2026-03-31T00:00:00+02:00", compare="previous", groupBy="type")
        compare = answer["compare"]
        self.assertEqual((compare["from"], compare["to"]), ("2026-03-23T00:00:00+01:00", "2026-03-24T00:00:00+01:00"))
        self.assertEqual(compare["series"], [{"name": "order", "values": [0], "total": 0}])
        self.assertIsNone(compare["other"])

    def test_weeks_and_months_are_compared_with_as_many(self):
        answer = ask("timeseries", **BERLIN, begin="2026-03-23T00:00:00+01:00", to="2026-04-06T00:00:00+02:00", compare="previous")
        self.assertEqual(answer["compare"]["from"], "2026-03-09T00:00:00+01:00")
        answer = ask("timeseries", **BERLIN, begin="2026-03-01T00:00:00+01:00", to="2026-05-01T00:00:00+02:00", interval="month", compare="previous")
        self.assertEqual((answer["compare"]["from"], answer["compare"]["to"]), ("2026-01-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"))

    def test_a_range_that_the_clocks_turn_around_is_compared_with_an_empty_one(self):
        answer = ask(
            "timeseries", tz="America/St_Johns", begin="2006-10-28T23:59:00-02:30", to="2006-10-28T23:04:00-03:30", interval="minute",
            compare="previous")
        compare = answer["compare"]
        self.assertEqual((compare["from"], compare["to"]), ("2006-10-21T23:59:00-02:30", "2006-10-21T23:59:00-02:30"))
        self.assertEqual((compare["buckets"], compare["total"]), ([], 0))

    def test_one_of_the_two_ids_identifies_nothing(self):
        events = [*LOG, {**IDENTITIES[0], "userId": None}, {**IDENTITIES[0], "id": "10", "anonymousId": None}]
        self.assertEqual(ask("uniques", events=events, **MARCH)["total"], 3)

    def test_a_user_id_is_no_anonymous_id(self):
        # d1 belongs to ann, and an anonymous id with the text ann to bob.
        events = [*LOG, IDENTITIES[0], {**IDENTITIES[0], "id": "10", "userId": "bob", "anonymousId": "ann"}]
        self.assertEqual(ask("uniques", events=events, **MARCH)["total"], 2)

    def test_a_share_of_nothing_is_null(self):
        events = [{**event, "data": {"amount": amount}} for event, amount in zip(LOG, [1, -1, 0])]
        items = ask("topn", events=events, **WHOLE, dimension="type", metric="sum(data.amount)")["items"]
        self.assertEqual(items, [{"key": "order", "value": 0, "share": None}, {"key": "view", "value": 0, "share": None}])

    def test_a_sum_is_rounded_once(self):
        amounts = [1e250, 0.1, 0.2, 0.3, -1e250, 1.7e308, 1.7e308, -1.7e308, -1.7e308]
        events = [{**LOG[0], "id": str(index), "data": {"amount": amount}} for index, amount in enumerate(amounts)]
        self.assertEqual(ask("timeseries", events=events, **WHOLE, metric="sum(data.amount)")["total"], 0.6)

    def test_context_works_like_data(self):
        events = [{**LOG[0], "context": {"device": [{"kind": "phone"}, {"kind": "watch"}]}}]
        items = ask("topn", events=events, **WHOLE, dimension="context.device.kind")["items"]
        self.assertEqual([item["key"] for item in items], ["phone", "watch"])


class Zones(unittest.TestCase):
    """Against a walk through the windows, minute by minute: every offset there is of whole minutes."""

    def test_days_and_hours_begin_where_a_walk_sees_them_begin(self):
        for name, begin, count in WINDOWS:
            with self.subTest(f"{name} {begin}"):
                place, begin = zone(name), moment(begin)
                end = begin + count * DAY
                days, hours, seen = [], [], set()
                for time in range(begin, end, MINUTE):
                    shown = datetime.datetime.fromtimestamp(time / 1_000, zoneinfo.ZoneInfo(name))
                    before = datetime.datetime.fromtimestamp((time - MINUTE) / 1_000, zoneinfo.ZoneInfo(name))
                    if shown.date() not in seen and shown.date() != before.date():
                        days.append(time)
                    seen |= {before.date(), shown.date()}
                    if shown.minute == 0 or shown.utcoffset() != before.utcoffset():
                        hours.append(time)
                for interval, walked in [("day", days), ("hour", hours)]:
                    bounds = Oracle([]).bounds(place, interval, begin, end)
                    self.assertEqual([bound for bound in bounds if begin <= bound < end], walked)


Case = collections.namedtuple("Case", "stored zone")


class Mutants(unittest.TestCase):
    """A definition whose mutant answers alike everywhere is a definition that nothing checks."""

    @classmethod
    def setUpClass(cls):
        zeros = [{**event, "data": {"amount": amount}} for event, amount in zip(LOG, [0, 0.0, 1, -1, 0, 0])]
        question = [("from", WHOLE["from"]), ("to", WHOLE["to"]), ("dimension", "type"), ("metric", "sum(data.amount)")]
        cls.corpus = [(Case(zeros, "UTC"), [("topn", question, NOW, Oracle(zeros).ask("topn", question, NOW))])]
        question = [("from", "2026-06-01T00:00:00Z"), ("to", "2026-06-03T00:00:00Z")]
        cls.corpus.append((Case(VISITORS, "UTC"), [("uniques", question, NOW, Oracle(VISITORS).ask("uniques", question, NOW))]))
        steps = [{"types": [type]} for type in ("view", "cart", "order")]
        day = [{**VISITS[3], "id": str(time), "timestamp": moment("2026-05-01T10:00:00Z") + time} for time in (0, DAY)]
        tenths = [{**LOG[place], "data": {"amount": amount}} for place, amount in [(1, 0.3), (2, 0.1), (3, 0.2)]]
        # With one step at the first moment all five can be gone, too late; with two only four.
        late = WAYS[3:5] + [{**WAYS[6], "id": type, "type": type} for type in ("cart", "order", "help")] + [{**WAYS[8], "userId": "bob", "type": "mail"}]
        for events, route, asked in [
            (WAYS, "funnels", {**JUNE, "steps": steps, "windowSeconds": 7_200}), (RETURNS, "retention", {**TWO_DAYS, "periods": 3}),
            (WAYS, "funnels", {**JUNE, "steps": [{"types": ["view", "cart"]}, {"types": ["view"]}], "windowSeconds": 3_600, "order": "any"}),
            (late, "funnels", {
                **JUNE, "steps": [*steps, {"types": ["help"]}, {"types": ["mail"]}], "windowSeconds": 3_600, "order": "strict"}),
            (RETURNS, "retention", {**TWO_DAYS, "from": "2026-06-02T09:30:00Z", "returning": {"types": ["order"]}}),
            (day, "sessions", [("from", MAY["begin"]), ("to", MAY["to"])]),
            (WAYS, "paths", [("from", JUNE["from"]), ("to", JUNE["to"]), ("start", "view")]),
            (tenths, "timeseries", [("from", MARCH["from"]), ("to", MARCH["to"]), ("metric", "sum(data.amount)")])]:
            cls.corpus.append((Case(events, "UTC"), [(route, asked, NOW, Oracle(events).ask(route, asked, NOW))]))
        for number in range(int(os.environ.get("ORACLE_LOGS") or 24)):
            log = Log(7, number)
            counting, users = Questions(log, 7, [*ROUTES[:6], "funnels"], now=log.begin), Questions(log, "7/users", ROUTES[6:], now=log.begin)
            log.stored = [as_stored(event, has_visitors=number % 3 == 0) for event in log.events]
            draw = random.Random(f"7/erase/{number}")
            log.erasures = [(draw.randrange(len(log.events) // 2, len(log.events) + 1), erasure(log.events, draw)) for _ in range(number % 3)]
            oracle = Oracle(log.stored, log.zone, log.erasures)
            asked = []
            for index in range(int(os.environ.get("ORACLE_QUESTIONS") or 72)):
                # At the edge of a day as often as not: that is when a bucket is over.
                now = log.hot[index % len(log.hot)] + DAY * (index % 3)
                route, parameters = (counting if index % 4 else users).draw()
                asked.append((route, parameters, now, oracle.ask(route, parameters, now)))
            cls.corpus.append((log, asked))

    def caught(self, mutant, corpus=None):
        for log, asked in corpus or self.corpus:
            wrong = mutant(log.stored, log.zone, getattr(log, "erasures", ()))
            for route, parameters, now, expected in asked:
                if difference(wrong.ask(route, parameters, now), expected):
                    return True
        return False

    def test_every_mutant_is_caught(self):
        for mutant in MUTANTS:
            with self.subTest(mutant.__name__):
                self.assertTrue(self.caught(mutant), f"{mutant.__name__} answers alike everywhere")

    def test_the_oracle_itself_is_not(self):
        self.assertFalse(self.caught(Oracle, self.corpus[:10]))


if __name__ == "__main__":
    unittest.main()
