"""Logs and questions from a seed: what is easily got wrong comes often."""

import json
import random

from oracle import FILTER_LISTS, MEASURE, POSTED, STATES, Oracle
from zone import DAY, HOUR, MINUTE, SECOND, moment, zone

# Windows of some days in which the zone's clocks or dates do something.
WINDOWS = [
    ("Europe/Berlin", "2026-03-27T00:00:00Z", 4),
    ("Europe/Berlin", "2025-10-24T00:00:00Z", 5),
    ("America/New_York", "2026-03-06T00:00:00Z", 4),
    ("America/New_York", "2025-10-31T00:00:00Z", 5),
    ("Australia/Lord_Howe", "2026-04-03T00:00:00Z", 3),
    ("Australia/Lord_Howe", "2025-10-03T00:00:00Z", 3),
    ("Asia/Kathmandu", "2026-02-27T00:00:00Z", 4),
    ("Asia/Kathmandu", "1985-12-30T00:00:00Z", 4),
    # Back by an hour at one minute past midnight.
    ("America/St_Johns", "2006-10-27T00:00:00Z", 4),
    ("America/St_Johns", "2026-03-07T00:00:00Z", 3),
    # Without 30 December.
    ("Pacific/Apia", "2011-12-28T00:00:00Z", 5),
    # Without the first day of a month and a year, which was a Sunday.
    ("Pacific/Kiritimati", "1994-12-29T00:00:00Z", 6),
    # A day that begins at one o'clock, and one that has midnight twice.
    ("America/Sao_Paulo", "2018-11-02T00:00:00Z", 4),
    ("America/Havana", "2025-10-31T00:00:00Z", 4),
    ("Africa/Casablanca", "2026-02-14T00:00:00Z", 3),
    ("UTC", "2024-02-27T00:00:00Z", 5),
]
ZONES = sorted({name for name, _, _ in WINDOWS}) + ["Asia/Beirut", "Pacific/Chatham", "America/Los_Angeles"]

# Equal to some comparison of characters, different by their bytes; or in another order by UTF-16.
TEXTS = [
    "view", "order", "View", "é", "e\u0301", "Å", "A\u030a", "\u212b", "\u0301mark", "\ufeffview", "view\ufeff", "\uff5eend", "😀", "👩\u200d👩\u200d👧",
    "👩", "ﬁ", "fi", "İ", "i\u0307", "日本語", "a b", "a+b&c=d%", "__other__", "all", "null", "true", "1", "1.0", "10.5", "$inc", "a.b", "0"]
PARTNERS = [("view", "\ufeffview", "view\ufeff"), ("é", "e\u0301"), ("Å", "A\u030a", "\u212b"), ("ﬁ", "fi"), ("\uff5eend", "😀"), ("1", "1.0"),
    ("👩", "👩\u200d👩\u200d👧")]
# In another order, or in none, by another comparison.
SIMILAR = [("é", "e\u0301"), ("A\u030a", "Å"), ("A\u030a", "\u212b"), ("\uff5eend", "😀"), ("\uff5eend", "😀")]
DECIMALS = [0.1, 0.2, 0.3, 0.7, 10.5, 1.1]
NUMBERS = [0, 1, 2, 3, -1, 4, 10.5, 0.1, 0.2, 0.3, 0.7, 1.0, 1e16, 1e250, -1e250, 2**53, 2**53 + 1,
    2**53 + 3, -(2**53) - 1, 2**63 - 1, -(2**63), -0.0, 1e-7, 3.5]
PATHS = ["data.page", "data.tags", "data.amount", "data.flag", "data.items.sku", "data.items.price", "data.deep.a.b", "data.missing"]
NUMERIC = ["data.amount", "data.amount", "data.amount", "data.items.price", "data.tags", "data.deep.a.b", "data.page", "data.missing", "data.flag",
    "data.flag"]


# User agents of known bots, and others that are none.
BOTS = ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "facebookexternalhit/1.1"]
OTHERS = ["Mozilla/5.0 (Linux; Android 12; CUBOT P60) Mobile", "curl/8.4.0", ""]


def is_bot(event):
    return (event.get("metadata") or {}).get("userAgent") in BOTS


def visit(event):
    """What events of one visitor have in common, of those that one client sends on one day; None where they say who did it."""
    if event.get("userId") is not None or event.get("anonymousId") is not None:
        return None
    return event["source"], (event.get("metadata") or {}).get("userAgent")


def as_stored(event, has_visitors=True):
    """With what the service adds that questions ask about, in a project with visitor ids or without."""
    stored = dict(event)
    if "metadata" in event:
        stored["context"] = {"device": "bot", "bot": True} if is_bot(event) else {"device": "mobile"}
    if has_visitors and visit(event):
        stored["visitorId"] = json.dumps(visit(event))
    return stored


class Log:
    def __init__(self, seed, number, size=None, types=None, conflicts=True):
        """`number` decides the window; `types`: how many different ones at most, if many are wanted. Without `conflicts` each anonymous id that
        belongs to a user is in this log alone, and is named with that user alone."""
        self.random = random.Random(f"{seed}/log/{number}")
        self.name = f"{seed}-{number}"
        self.zone, begin, days = WINDOWS[number % len(WINDOWS)]
        self.begin, self.end = moment(begin), moment(begin) + days * DAY
        self.types = [f"type-{index}" for index in range(types)] if types else self._some(TEXTS, 12)
        self.sources = self._some(TEXTS, 5)
        # The same texts as user ids and as anonymous ids; and users of one event, in some logs nearly all.
        self.ids = self._some(TEXTS, 10)
        own = [f"{text}{self.name}" for text in ["d", "é", "e\u0301", "😀"]]
        self.devices = self.ids + own
        self.loners = self.random.choice([0.1, 0.5, 0.95])
        # Beside numbers that are large enough, decimals add nothing.
        self.numbers = self.random.choice([DECIMALS, NUMBERS])
        self.claimed = []
        # Of their own, so that a seed goes on making the same log.
        self.agents = random.Random(f"{seed}/agents/{number}")
        self.agents_share = self.agents.choice([0, 0.2, 0.5])
        # Of all users, none, or of each some; in some logs none has a session id.
        self.sessions = self.random.choice([[], ["s1"], ["s1", "s2", "é", "e\u0301"]])
        self.hot = self._hot_times()
        self.events = []
        for _ in range(size or types or self.random.choice([1, 5, 30, 80, 150])):
            self.events.append(self._event())
        if conflicts:
            self._identify()
        else:
            for device in own:
                self._insert({**self._identity(), "userId": self.random.choice(self.ids), "anonymousId": device})
        self._double()

    def _some(self, texts, count):
        found = self.random.sample(texts, self.random.randrange(2, count + 1))
        return found + list(self.random.choice(PARTNERS))

    def _hot_times(self):
        """Edges of the zone's hours and days, and changes of its offset."""
        place = zone(self.zone)
        edges = list(place.changes(self.begin, self.end))
        edges += [place.first_moment(day * DAY) for day in range(self.begin // DAY, self.end // DAY)]
        edges += self.random.sample(list(place.clock_starts(self.begin, self.end, HOUR)), 8)
        return [edge for edge in edges if self.begin <= edge < self.end]

    def _time(self):
        draw = self.random.random()
        if draw < 0.35:
            return self.random.choice(self.hot) + self.random.choice([-1, 0, 0, 1, -MINUTE, MINUTE])
        if draw < 0.65 and self.events:
            # A tie, or as long after another event as a pause in a session may be.
            pause = self.random.choice([0, 0, 0, 30 * MINUTE, 30 * MINUTE + 1, self.random.randrange(2 * HOUR), DAY, DAY + 1])
            return min(moment(self.random.choice(self.events)["timestamp"]) + pause, self.end - 1)
        return self.random.randrange(self.begin, self.end)

    def _event(self):
        number = len(self.events)
        time = self._time()
        event = {
            "id": f"{self.random.choice(['', 'é', '😀'])}{self.name}-{number}", "type": self.random.choice(self.types),
            "source": self.random.choice(self.sources), "timestamp": self._written(time), "data": self._data()}
        draw = self.random.random()
        if draw < 0.6:
            event["userId"] = f"loner-{number}" if self.random.random() < self.loners else self.random.choice(self.ids)
        if draw > 0.4 and draw < 0.85:
            event["anonymousId"] = self.random.choice(self.devices)
        if self.random.random() < 0.2:
            event["correlationId"] = self.random.choice(self.ids)
        if self.agents.random() < self.agents_share:
            event["metadata"] = {"userAgent": self.agents.choice([*BOTS, *BOTS, *OTHERS])}
        if self.sessions and self.random.random() < 0.5:
            event["sessionId"] = self.random.choice(self.sessions)
        return event

    def _written(self, time):
        return time if self.random.random() < 0.7 else zone(self.random.choice(ZONES[:4])).text(time)

    def _identify(self):
        """Anonymous ids that belong to users, whose own events are elsewhere in the log."""
        self.claimed = self.random.sample(self.devices, self.random.choice([0, 2, 4, 6]))
        for device in self.claimed:
            is_tie = self.random.random() < 0.6
            users = self.random.sample(self.random.choice(SIMILAR) if is_tie else self.ids, 2)
            for event in self.random.sample(self.events, min(4, len(self.events))):
                event.pop("userId", None)
                event["anonymousId"] = device
            for event in self.random.sample(self.events, min(4, len(self.events))):
                event["userId"] = users[0]
            self.ids += users
            self._claim(device, users if is_tie or self.random.random() < 0.7 else users[:1], is_tie)

    def _claim(self, device, users, is_tie):
        """By one user or two, at one time or nearly; long before or long after; or with an id missing."""
        time = self.random.choice([
            self._time(), self.begin - self.random.randrange(400 * DAY),
            # Not after the present.
            self.end + self.random.randrange(150 * DAY)])
        for user in users:
            event = {**self._identity(), "userId": user, "anonymousId": device, "timestamp": self._written(time)}
            time += 0 if is_tie else self.random.choice([0, 1, -1, SECOND])
            if self.random.random() < 0.15:
                del event[self.random.choice(["userId", "anonymousId"])]
            self._insert(event)

    def _identity(self):
        """Without its ids; half of the time as the route for it makes it."""
        event = {**self._event(), "type": "$identify"}
        if self.random.random() < 0.5:
            event = {**event, "source": "identify", "data": {}}
            event.pop("correlationId", None)
            event.pop("metadata", None)
            event.update({"sessionId": "s"} if self.random.random() < 0.3 else {})
        return event

    def _insert(self, event):
        self.events.insert(self.random.randrange(len(self.events) + 1), event)

    def _data(self):
        draw = self.random.random()
        if draw < 0.04:
            return self.random.choice([5, "text", True, [], {}, [{"page": "/", "amount": 1.5}, {"page": "/buy", "amount": 2}, 7]])
        data = {}
        for name, make in [
            ("page", lambda: self.random.choice([*TEXTS[:6], 1, 1.0, True, None, "1", "true", "null"])),
            ("tags", lambda: [self._scalar() for _ in range(self.random.randrange(5))]),
            ("amount", lambda: self.random.choice([self._number(), self._number(), self._number(), "12", True, None, {"value": 3}])),
            ("flag", lambda: self.random.choice([True, False, 0, 1, "true", None, []])),
            ("items", self._items),
            ("deep", lambda: {"a": [{"b": self._number()}, {"b": [self._number(), [self._number()]]}, {"c": 1}]}),
        ]:
            if self.random.random() < 0.6:
                data[name] = make()
        return data

    def _items(self):
        items = [{"sku": self.random.choice(TEXTS[:8]), "price": self._number()} for _ in range(self.random.randrange(4))]
        if self.random.random() < 0.2:
            items.append(self.random.choice([None, 3, {"sku": None}, [{"sku": "nested", "price": 1}], {"price": [1, 2.5]}]))
        return items

    def _scalar(self):
        text = self.random.choice([*TEXTS, *["a", "b", "c"] * 10])
        return self.random.choice([text, text, self._number(), True, False, None, {"x": 1}, ["a"]])

    def _number(self):
        draw = self.random.random()
        if draw < 0.3:
            return self.random.choice(self.numbers)
        if draw < 0.6:
            return self.random.randrange(-5, 20)
        return round(self.random.uniform(-100, 1000), self.random.choice([1, 2, 12]))

    def _double(self):
        """Some again with the same id, and with other content half of the time; identities with another user."""
        identities = [event for event in self.events if event["type"] == "$identify"]
        for event in self.random.sample(self.events, len(self.events) // 12):
            other = {**event, "type": self.random.choice([*self.types, "$identify"]), "data": self._data()}
            self._repeat(event, other if self.random.random() < 0.5 else event)
        for event in self.random.sample(identities, len(identities) // 3):
            self._repeat(event, {**event, "userId": self.random.choice(self.ids)})

    def _repeat(self, event, again):
        self.events.insert(self.random.randrange(self.events.index(event) + 1, len(self.events) + 1), again)


class Questions:
    def __init__(self, log, seed, routes, metrics=(), now=None, paths=()):
        """`metrics`: only these; `paths`: these too; `now`: not later than the present moment of whoever is asked."""
        self.log, self.routes, self.metrics, self.now, self.paths = log, routes, list(metrics), now, list(paths)
        self.random = random.Random(f"{seed}/questions/{log.name}")
        self.bots = random.Random(f"{seed}/bots/{log.name}")

    def draw(self):
        """(route, parameters)"""
        return self._draw(self.random.choice(self.routes))

    def _draw(self, route):
        if route == "people":
            return route, self._people()
        if route in POSTED:
            return route, self._funnel() if route == "funnels" else self._retention()
        place = self.random.choice([self.log.zone, self.log.zone, self.random.choice(ZONES)])
        intervals = ["day", "day", "day", "week", "month"] if route == "lifecycle" else ["minute", "hour", "hour", "day", "day", "day", "week", "month"]
        interval = self.random.choice(["day"] if route == "paths" else intervals)
        question = self._range(place, interval)
        question += [("tz", place)] if self.random.random() < 0.9 else []
        question += self._filters()
        if route == "sessions":
            question += self._visits()
        elif route == "paths":
            question += self._path()
        elif route not in ("uniques", "lifecycle", "stickiness"):
            question += self._metric()
        if route == "topn":
            question.append(("dimension", self._dimension()))
            question += [("n", str(self.random.choice([1, 2, 3, 5, 100])))] if self.random.random() < 0.7 else []
        elif route != "paths" and (self.random.random() < 0.95 or interval != "day"):
            question.append(("interval", interval))
        if route == "timeseries":
            if self.random.random() < 0.6:
                question.append(("groupBy", self._dimension()))
                question += [("limit", str(self.random.choice([1, 2, 3, 5, 100])))] if self.random.random() < 0.7 else []
            question += self._compare(place, interval)
        self.random.shuffle(question)
        question += [("bots", self.bots.choice(["exclude", "include", "include"]))] if self.bots.random() < 0.5 else []
        return route, question

    def _body(self, interval):
        place = self.random.choice([self.log.zone, self.log.zone, self.random.choice(ZONES)])
        body = {**dict(self._range(place, interval)), "tz": place}
        if self.bots.random() < 0.5:
            body["bots"] = self.bots.choice(["exclude", "include", "include"])
        filters = {}
        for name, value in self._filters():
            if name.startswith("data."):
                filters.setdefault("data", {}).setdefault(name[5:], []).append(value)
            else:
                lists = {one: other for other, one in FILTER_LISTS.items()}
                filters.setdefault(lists[name], []).append(value)
        return {**body, **({"filters": filters} if filters else {})}

    def _pattern(self, fewest=1):
        pool = self.log.types * 3 + ["$identify"]
        pattern = {"types": self.random.sample(pool, self.random.choice([fewest, 1, 2, 4]))}
        if self.random.random() < 0.1:
            pattern["sources"] = self.random.sample(self.log.sources, 2)
        if self.random.random() < 0.15:
            path, values = self.random.choice([
                ("page", ["view", "order"]), ("flag", True), ("flag", [False, 0, None]), ("tags", ["a", "b", "c"]), ("deep.a.b", [1, 2, 3])])
            pattern["data"] = {path: values}
        return pattern

    def _funnel(self):
        body = {**self._body("day"), "steps": [self._pattern() for _ in range(self.random.choice([2, 2, 3, 4]))]}
        order = self.random.choice([None, "ordered", "ordered", "strict", "any"])
        body.update({"order": order} if order else {})
        if self.random.random() < 0.9:
            body["windowSeconds"] = self.random.choice([1, 60, 1_800, 1_801, 3_600, 86_400, 4 * 86_400, 400_000, 31_622_400])
        if order != "strict" and self.random.random() < 0.4:
            body["exclusions"] = [self._exclusion(len(body["steps"])) for _ in range(self.random.choice([1, 2]))]
        if self.random.random() < 0.5:
            body["groupBy"] = self._dimension()
            body.update({"limit": self.random.choice([1, 2, 5])} if self.random.random() < 0.7 else {})
        return body

    def _exclusion(self, steps):
        exclusion = self._pattern(fewest=0)
        if self.random.random() < 0.6:
            exclusion["afterStep"] = self.random.randrange(1, steps)
            if self.random.random() < 0.5:
                exclusion["beforeStep"] = self.random.randrange(exclusion["afterStep"] + 1, steps + 1)
        return exclusion

    def _retention(self):
        interval = self.random.choice(["day", "day", "day", "week", "month"])
        body = self._body(interval)
        if interval != "day" or self.random.random() < 0.5:
            body["interval"] = interval
        for name in ("first", "returning"):
            body.update({name: self._pattern(fewest=0)} if self.random.random() < 0.8 else {})
        body.update({"firstEver": self.random.random() < 0.7} if self.random.random() < 0.8 else {})
        body.update({"periods": self.random.choice([1, 2, 3, 8, 20])} if self.random.random() < 0.8 else {})
        body.update({"mode": self.random.choice(["on", "on_or_after", "unbounded"])} if self.random.random() < 0.8 else {})
        return body

    def _path(self):
        name = self.random.choice(["start", "start", "end"])
        question = [(name, type) for type in self.random.sample(self.log.types, self.random.choice([1, 1, 2, 4]))]
        if self.random.random() < 0.4:
            question.append(("windowSeconds", str(self.random.choice([1, 60, 1_800, 1_801, 86_400, 400_000]))))
        elif self.random.random() < 0.5:
            question.append(("gapMinutes", str(self.random.choice([1, 29, 30, 31, 60, 1440]))))
        if self.random.random() < 0.4:
            question.append(("groupBy", self._dimension()))
        question += [("steps", str(self.random.choice([1, 2, 5])))] if self.random.random() < 0.7 else []
        return question + ([("limit", str(self.random.choice([1, 2, 5])))] if self.random.random() < 0.7 else [])

    def _people(self):
        """Of a range that does not depend on the present."""
        while True:
            route = self.random.choice(["funnels", "retention", "lifecycle", "stickiness", "paths", "paths", "uniques"])
            inner = self._draw(route)[1]
            given = dict(inner) if isinstance(inner, list) else inner
            if {"from", "to", "tz"} <= given.keys():
                break
        body = {"question": route}
        if route in POSTED:
            body["body"] = inner
        else:
            body["parameters"] = {}
            for name, value in inner:
                body["parameters"].setdefault(name, []).append(value)
            body["parameters"] = {name: values if len(values) > 1 else values[0] for name, values in body["parameters"].items()}
        return {**body, **self._cell(route, given, Oracle([]).ask(route, inner, self.log.end))}

    def _cell(self, route, given, empty):
        if route == "funnels":
            step = self.random.randrange(1, len(given["steps"]) + 1)
            return {"step": step, **({"dropped": True} if step > 1 and self.random.random() < 0.5 else {})}
        if route == "retention":
            cell = {"cohort": self.random.choice(empty["cohorts"])["start"]}
            if self.random.random() < 0.7:
                cell["period"] = self.random.randrange(given.get("periods", 8))
                cell.update({"dropped": True} if self.random.random() < 0.4 else {})
            return cell
        if route == "lifecycle":
            return {"bucket": self.random.choice(empty["buckets"]), "state": self.random.choice(STATES)}
        if route == "stickiness":
            most = len(empty["values"])
            return {"intervals": self.random.randrange(1, min(most, 3) + 1), **({"atLeast": True} if self.random.random() < 0.5 else {})}
        if route == "paths":
            step = self.random.randrange(int(given.get("steps", 5)) // 2 + 1)
            keys = [*self.log.types, None] if given.get("groupBy", "type") == "type" else ["view", "order", 1, True, None, *self.log.sources]
            draw = self.random.random()
            if step and draw < 0.5:
                return {"step": step, "from": self.random.choice(keys), "to": self.random.choice(keys)}
            return {"step": step, **({"key": self.random.choice(keys)} if draw < 0.8 else {})}
        return {"bucket": self.random.choice(empty["buckets"])} if self.random.random() < 0.6 else {}

    def _visits(self):
        question = []
        if self.random.random() < 0.5:
            question.append(("gapMinutes", str(self.random.choice([1, 29, 30, 31, 60, 1440]))))
        if self.random.random() < 0.8:
            question.append(("page", self.random.choice([*PATHS[:3], "data.items.sku", *self.paths])))
        if self.random.random() < 0.5:
            question.append(("limit", str(self.random.choice([1, 2, 5]))))
        return question

    def _dimension(self):
        return self.random.choice(["type", "type", "source", "userId", "anonymousId", *PATHS, *self.paths])

    def _metric(self):
        draw = self.random.random()
        if self.metrics:
            return [("metric", self.random.choice(self.metrics))]
        if draw < 0.3:
            return []
        if draw < 0.6:
            return [("metric", self.random.choice(["events", "users", "users", "sessions", "sessions"]))]
        metric = f"{self.random.choice(['sum', 'sum', 'sum', 'avg', 'min', 'max', 'p50', 'p90', 'p99'])}({self.random.choice([*NUMERIC, *self.paths])})"
        assert MEASURE.fullmatch(metric)
        return [("metric", metric)]

    def _edge(self):
        draw = self.random.random()
        if draw < 0.4:
            return self.random.choice(self.log.hot) + self.random.choice([0, 0, 0, 1, -1])
        if draw < 0.7 and self.log.events:
            return moment(self.random.choice(self.log.events)["timestamp"]) + self.random.choice([0, 0, 1])
        return self.random.randrange(self.log.begin - 3 * DAY, self.log.end + 3 * DAY)

    def _range(self, place, interval):
        longest = {"minute": 4 * HOUR, "hour": 12 * DAY, "day": 40 * DAY}.get(interval, 200 * DAY)
        while True:
            begin, end = self._edge(), self._edge()
            if self.random.random() < 0.2:
                begin, end = self.log.begin - self.random.randrange(longest // 4 + 1), self.log.end + self.random.randrange(longest // 4 + 1)
            if interval == "minute":
                end = begin + self.random.randrange(1, longest)
            if begin < end <= begin + longest:
                break
        question = [("from", self._written(begin)), ("to", self._written(end))]
        draw = self.random.random()
        if draw < 0.05:
            return question[1:]
        is_long = interval in ("day", "week", "month")
        if self.now and draw < 0.1 and is_long and begin < self.now < begin + 800 * DAY:
            return question[:1]
        return [] if self.now and draw > 0.98 else question

    def _written(self, time):
        return zone(self.random.choice([self.log.zone, "UTC", *ZONES[:3]])).text(time)

    def _filters(self):
        found = []
        while self.random.random() < 0.25:
            name = self.random.choice([
                "type", "type", "type", "source", "userId", "userId", "anonymousId", "correlationId", "data.page", "data.tags", "data.items.sku",
                "data.amount"])
            pools = {"type": [*self.log.types, "$identify"], "source": self.log.sources, "anonymousId": [*self.log.devices, *self.log.claimed * 3]}
            pool = pools.get(name, self.log.ids)
            if name.startswith("data."):
                pool = ["view", "order", "é", "e\u0301", "a", "b", "1", "2", "10.5", "true", "null", "12"]
            found += [(name, self.random.choice(pool)) for _ in range(self.random.choice([1, 1, 2, 3]))]
        return found

    def _compare(self, place, interval):
        draw = self.random.random()
        if draw < 0.3:
            return [("compare", "previous")]
        if draw < 0.4:
            begin, end = sorted([self._edge(), self._edge()])
            end = max(end, begin + SECOND) if interval != "minute" else begin + HOUR
            return [("compareFrom", self._written(begin)), ("compareTo", self._written(end))]
        return []


def erasure(events, draw):
    """Conditions that some events fulfil, as pairs of name and text."""
    named = [event for event in events if event["type"] == "$identify" and "userId" in event]
    if named and draw.random() < 0.5:
        return [("userId", draw.choice(named)["userId"])]
    event = draw.choice(events)
    kinds = [["type"], ["source", "type"], ["userId"], ["userId"], ["userId"], ["userId", "type"], ["anonymousId"], ["correlationId"], ["type", "from"], ["data"]]
    names = [name for name in draw.choice(kinds) if name in event or name == "from"]
    conditions = [(name, event[name]) for name in names if name in event and name != "data"]
    if "from" in names:
        begin = moment(event["timestamp"])
        conditions += [("from", f"{zone('UTC').text(begin)[:-6]}Z"), ("to", f"{zone('UTC').text(begin + draw.choice([1, HOUR, DAY]))[:-6]}Z")]
    if "data" in names and isinstance(event["data"], dict):
        plain = [(key, value) for key, value in event["data"].items() if isinstance(value, str) and value and key and "." not in key and key[0] != "$"]
        conditions += [(f"data.{key}", value) for key, value in plain[:1]]
    return conditions or [("type", event["type"])]
