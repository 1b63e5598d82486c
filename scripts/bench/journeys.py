"""Questions about sequences of events: each with SQL for DuckDB and the aggregation that a team would write for MongoDB.
Their numbers are by (part of the answer, position in it)."""
import dataclasses
import datetime
import math
import urllib.parse

from floors import at, milliseconds
from ranges import DAY, stamp

STEPS = ["type-0", "type-1", "type-2"]
WINDOW = 86_400
GAP = 30 * 60_000
# How long a session is measured.
SESSION = DAY
PERIODS = 4


@dataclasses.dataclass(frozen=True)
class Journey:
    name: str
    # The range: the first days of the log, or the whole log, including events that arrive while questions are asked.
    days: int | None = None
    median: float = math.inf
    slow: float = math.inf
    def end(self, log):
        return log.start + (self.days or log.days + 2) * DAY

    def range(self, log, earlier):
        return {"from": stamp(log.start - earlier), "to": stamp(self.end(log)), "tz": "UTC", "maxAge": 0}

    def get(self, log, earlier, **parameters):
        return "GET", f"/api/v1/analytics/{self.route}?" + urllib.parse.urlencode(self.range(log, earlier) | parameters), None

    def post(self, log, earlier, **members):
        return "POST", f"/api/v1/analytics/{self.route}", self.range(log, earlier) | members

    def events(self, log, longer=0):
        """Events of the range, and of the time after it in which a path may continue."""
        return f"""events AS (SELECT "userId" AS u, epoch_ms("timestamp") AS t, type AS k FROM log
            WHERE "timestamp" >= epoch_ms({log.start}) AND "timestamp" < epoch_ms({self.end(log) + longer}))"""

    def pipeline(self, log):
        return None

    def place(self, part, place):
        """The key of a row of DuckDB's answer, as in `numbers`."""
        return part, place

    def is_asked(self, key):
        """Whether MongoDB computes it."""
        return True


class Funnel(Journey):
    """Three steps within a day."""

    route = "funnels"

    def request(self, log, earlier):
        return self.post(log, earlier, steps=[{"types": [step]} for step in STEPS], windowSeconds=WINDOW)

    def numbers(self, answer):
        return {("users", place): step["users"] for place, step in enumerate(answer["steps"], 1)}

    def sql(self, log):
        first, second, third = (f"SELECT u, t FROM events WHERE k = '{step}'" for step in STEPS)
        return f"""WITH {self.events(log, WINDOW * 1000 + 1)},
            way AS (
                SELECT a.u AS u, a.t AS t, b.t AS second FROM ({first} AND t < {self.end(log)}) a
                ASOF LEFT JOIN ({second}) b ON a.u = b.u AND a.t <= b.t),
            ways AS (
                SELECT way.u AS u, second <= way.t + {WINDOW * 1000} AS two, two AND c.t <= way.t + {WINDOW * 1000} AS three FROM way
                ASOF LEFT JOIN ({third}) c ON way.u = c.u AND way.second <= c.t)
            SELECT 'users', 1, count(DISTINCT u) FROM ways
            UNION ALL SELECT 'users', 2, count(DISTINCT u) FROM ways WHERE two
            UNION ALL SELECT 'users', 3, count(DISTINCT u) FROM ways WHERE three"""

    def pipeline(self, log):
        """Keeps for each step the latest entry from which it was reached."""
        def within(entry):
            return {"$and": [{"$ne": [entry, None]}, {"$lte": [{"$subtract": ["$$this.t", entry]}, WINDOW * 1000]}]}

        def keep(place, value):
            return {"$cond": [{"$eq": ["$$this.k", STEPS[place - 1]]}, value, f"$$value.s{place}"]}

        state = {
            "s1": keep(1, {"$cond": [{"$lt": ["$$this.t", at(self.end(log))]}, "$$this.t", "$$value.s1"]}),
            "s2": keep(2, {"$cond": [within("$$value.s1"), "$$value.s1", "$$value.s2"]}),
            "s3": {"$or": ["$$value.s3", {"$and": [{"$eq": ["$$this.k", STEPS[2]]}, within("$$value.s2")]}]},
            "two": {"$or": ["$$value.two", {"$and": [{"$eq": ["$$this.k", STEPS[1]]}, within("$$value.s1")]}]},
        }
        begin = {"s1": None, "s2": None, "s3": False, "two": False}
        return [
            {"$match": {
                "_id.project": "default", "type": {"$in": STEPS},
                "timestamp": {"$gte": at(log.start), "$lte": at(self.end(log) + WINDOW * 1000)}}},
            {"$sort": {"timestamp": 1, "type": 1}},
            {"$group": {"_id": "$userId", "events": {"$push": {"t": "$timestamp", "k": "$type"}}}},
            {"$project": {"way": {"$reduce": {"input": "$events", "initialValue": begin, "in": state}}}},
            {"$group": {
                "_id": None, "1": {"$sum": {"$cond": [{"$ne": ["$way.s1", None]}, 1, 0]}},
                "2": {"$sum": {"$cond": ["$way.two", 1, 0]}}, "3": {"$sum": {"$cond": ["$way.s3", 1, 0]}}}},
        ]

    def row(self, row):
        return {("users", place): row[str(place)] for place in (1, 2, 3)}


class Retention(Journey):
    """Users with an event of the first type, and those who returned with any event, by week."""

    route = "retention"

    def request(self, log, earlier):
        return self.post(log, earlier, first={"types": STEPS[:1]}, interval="week", periods=PERIODS)

    def numbers(self, answer):
        cohorts = [(milliseconds(datetime.datetime.fromisoformat(one["start"])), one) for one in answer["cohorts"]]
        found = {(start, period): value for start, one in cohorts for period, value in enumerate(one["values"])}
        return found | {(start, "size"): one["size"] for start, one in cohorts}

    def sql(self, log):
        return f"""WITH {self.events(log, PERIODS * 7 * DAY)},
            weeks AS (
                SELECT u, epoch_ms(date_trunc('week', epoch_ms(t))) AS week, bool_or(k = '{STEPS[0]}' AND t < {self.end(log)}) AS begins
                FROM events GROUP BY ALL),
            pairs AS (
                SELECT a.week AS week, (b.week - a.week) // {7 * DAY} AS period FROM weeks a JOIN weeks b ON a.u = b.u
                WHERE a.begins AND b.week >= a.week)
            SELECT week, CAST(period AS VARCHAR), count(*) FROM pairs WHERE period < {PERIODS} GROUP BY ALL
            UNION ALL SELECT week, 'size', count(*) FROM weeks WHERE begins GROUP BY ALL"""

    def place(self, part, place):
        return part, place if place == "size" else int(place)

    def pipeline(self, log):
        week = {"$dateTrunc": {"date": "$timestamp", "unit": "week", "startOfWeek": "monday"}}
        begins = {"$and": [{"$eq": ["$type", STEPS[0]]}, {"$lt": ["$timestamp", at(self.end(log))]}]}
        return [
            {"$match": {"_id.project": "default", "timestamp": {"$gte": at(log.start), "$lt": at(self.end(log) + PERIODS * 7 * DAY)}}},
            {"$group": {"_id": {"u": "$userId", "week": week}, "begins": {"$max": begins}}},
            {"$group": {"_id": "$_id.u", "weeks": {"$push": {"week": "$_id.week", "begins": "$begins"}}}},
            {"$project": {"weeks": 1, "first": {"$filter": {"input": "$weeks", "cond": "$$this.begins"}}}},
            {"$unwind": "$first"}, {"$unwind": "$weeks"},
            {"$project": {
                "week": "$first.week", "period": {"$dateDiff": {"startDate": "$first.week", "endDate": "$weeks.week", "unit": "week"}}}},
            {"$match": {"period": {"$gte": 0, "$lt": PERIODS}}},
            {"$group": {"_id": {"week": "$week", "period": "$period"}, "n": {"$sum": 1}}},
        ]

    def row(self, row):
        start = milliseconds(row["_id"]["week"].replace(tzinfo=datetime.timezone.utc))
        return {(start, row["_id"]["period"]): row["n"]}

    def is_asked(self, key):
        """MongoDB does not compute sizes: they would need a separate aggregation."""
        return key[1] != "size"


class Sessions(Journey):
    """Sessions by day, with a gap of 30 minutes."""

    route = "sessions"

    def request(self, log, earlier):
        return self.get(log, earlier, interval="day")

    def numbers(self, answer):
        starts = [milliseconds(datetime.datetime.fromisoformat(start)) for start in answer["buckets"]]
        return dict(zip((("sessions", start) for start in starts), answer["values"]))

    def sql(self, log):
        return f"""WITH {self.events(log)},
            starts AS (SELECT t FROM events QUALIFY coalesce(t - lag(t) OVER (PARTITION BY u ORDER BY t) > {GAP}, true))
            SELECT 'sessions', t // {DAY} * {DAY}, count(*) FROM starts GROUP BY ALL"""

    def pipeline(self, log):
        day = {"$dateTrunc": {"date": "$timestamp", "unit": "day"}}
        return [
            {"$match": {"_id.project": "default", "timestamp": {"$gte": at(log.start), "$lt": at(self.end(log))}}},
            {"$project": {"_id": 0, "userId": 1, "timestamp": 1}},
            {"$setWindowFields": {
                "partitionBy": "$userId", "sortBy": {"timestamp": 1},
                "output": {"last": {"$shift": {"output": "$timestamp", "by": -1, "default": datetime.datetime.fromtimestamp(0)}}}}},
            {"$match": {"$expr": {"$gt": [{"$subtract": ["$timestamp", "$last"]}, GAP]}}},
            {"$group": {"_id": day, "n": {"$sum": 1}}},
        ]

    def row(self, row):
        return {("sessions", milliseconds(row["_id"].replace(tzinfo=datetime.timezone.utc))): row["n"]}


class Paths(Journey):
    """Events after the first type in a session. A team would not write this as an aggregation, so MongoDB is left out."""

    route = "paths"

    def request(self, log, earlier):
        return self.get(log, earlier, start=STEPS[0], limit=100)

    def numbers(self, answer):
        found = {}
        for step in answer["steps"]:
            found[step["step"], "all"] = step["paths"]
            found |= {(step["step"], node["key"]): node["paths"] for node in step["nodes"]}
        return found

    def sql(self, log):
        return f"""WITH {self.events(log, SESSION)},
            cut AS (
                SELECT *, coalesce(t - lag(t) OVER (PARTITION BY u ORDER BY t) > {GAP}, true)::INT AS begins FROM events),
            numbered AS (SELECT u, t, k, sum(begins) OVER (PARTITION BY u ORDER BY t RANGE UNBOUNDED PRECEDING) AS visit FROM cut),
            measured AS (
                SELECT * FROM (SELECT *, min(t) OVER (PARTITION BY u, visit) AS start FROM numbered)
                WHERE start < {self.end(log)} AND t <= start + {SESSION}),
            ways AS (SELECT *, min(t) FILTER (k = '{STEPS[0]}') OVER (PARTITION BY u, visit) AS first FROM measured),
            steps AS (
                SELECT k, row_number() OVER (
                    PARTITION BY u, visit ORDER BY t, CASE WHEN t = first AND k = '{STEPS[0]}' THEN 0 ELSE 1 END, k) - 1 AS step
                FROM ways WHERE t >= first)
            SELECT step, k, count(*) FROM steps WHERE step <= 5 GROUP BY ALL
            UNION ALL SELECT step, 'all', count(*) FROM steps WHERE step <= 5 GROUP BY ALL"""


JOURNEYS = [
    Funnel("a funnel of three steps, a week", days=7, median=300, slow=300),
    Funnel("a funnel of three steps, 30 days", median=1_200, slow=1_200),
    Retention("retention of 4 weeks, by week", median=1_000, slow=1_000),
    Sessions("sessions by day, a week", days=7, median=1_000, slow=1_000),
    Paths("paths of 5 steps, a week", days=7, median=1_500, slow=1_500),
]
