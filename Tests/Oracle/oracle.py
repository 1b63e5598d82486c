"""The definitions of docs/queries.md a second time, written from that page alone: events and a question in, the answer out.

Slow and plain on purpose. Each definition is a method of its own, so that definitions_test.py can get one wrong at a time."""

import collections
import fractions
import json
import math
import re

from zone import DAY, HOUR, MINUTE, SECOND, date_of, day_of, moment, zone

ROUTES = ["timeseries", "topn", "uniques", "sessions", "funnels", "retention", "lifecycle", "stickiness", "paths", "people"]
# Those whose questions are JSON objects.
POSTED = ["funnels", "retention", "people"]
STATES = ["new", "returning", "resurrecting", "dormant"]
FILTER_LISTS = {"types": "type", "sources": "source", "userIds": "userId", "anonymousIds": "anonymousId", "correlationIds": "correlationId"}
FILTERS = ["type", "source", "userId", "anonymousId", "correlationId"]
PARAMETERS = [
    "from", "to", "tz", "interval", "bots", "metric", "groupBy", "limit", "dimension", "n", "compare", "compareFrom", "compareTo", "gapMinutes",
    "page", "start", "end", "steps", "windowSeconds"]
INTERVALS = {"minute": 60, "hour": 24, "day": 30, "week": 12, "month": 12}
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
MEASURE = re.compile(r"(sum|avg|min|max|p50|p90|p99)\(((?:data|context)\..+)\)")
NULL, BOOLEAN, NUMBER, STRING = range(4)


class Refused(Exception):
    """The page gives no answer to such a question."""


class Question:
    def __init__(self, parameters):
        """`parameters`: pairs of name and text, in the order of the query string."""
        self.filters = collections.defaultdict(list)
        self.origins = []
        given = {}
        for name, value in parameters:
            if name in FILTERS or name.startswith("data."):
                self.filters[name].append(value)
            elif name in PARAMETERS:
                given[name] = value
                if name in ("start", "end"):
                    self.origins.append(value)
            else:
                raise Refused(f"unknown parameter {name}")
        self.given = given
        self.interval = given.get("interval", "day")
        self.metric = given.get("metric", "events")

    def moment(self, name):
        return moment(self.given[name]) if name in self.given else None

    def number(self, name, usual=10):
        return int(self.given.get(name, usual))


class Body(Question):
    """The JSON object of a POST."""

    def __init__(self, body):
        super().__init__([(name, body[name]) for name in ("from", "to", "tz", "interval", "bots") if name in body])
        self.body, self.filters = body, filters_of(body.get("filters", {}))


def filters_of(lists):
    """Lists of values, as a query writes them."""
    filters = {FILTER_LISTS[name]: values for name, values in lists.items() if name != "data" and values}
    for path, values in lists.get("data", {}).items():
        values = values if isinstance(values, list) else [values]
        filters["data." + path] = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return filters


class Oracle:
    def __init__(self, events, project_zone="UTC", erasures=()):
        """`events`: as they were sent, in the order in which they were accepted. `erasures`: how many of them were received before the request,
        and its conditions as pairs of name and text."""
        self.project_zone = project_zone
        self.erasures = erasures
        self.belongs_to = {}
        self.events = self.stored([{**event, "timestamp": moment(event["timestamp"])} for event in events])

    def ask(self, route, parameters, now):
        """The answer of `/api/v1/analytics/<route>`; `now` is its `asOf`. Of a POST the parameters are its body."""
        if route not in ROUTES:
            raise Refused(f"unknown route {route}")
        if route == "people":
            return self.people(parameters, now)
        question = Body(parameters) if route in POSTED else Question(parameters)
        place = self.zone(question)
        begin, end = self.range(question, place, now)
        self.belongs_to = self.owners(self.identifying(question, begin, end))
        self.behind = {}
        bounds = [] if route in ("topn", "funnels", "paths") else self.bounds(place, question.interval, begin, end)
        common = {
            "from": place.text(begin), "to": place.text(end), "tz": place.name, "asOf": zone("UTC").text(now),
            "incompleteFrom": self.incomplete_from(place, self.parts(route, bounds, end), end, now)}
        answer = {**common, **getattr(self, route)(question, place, begin, end, bounds)}
        if route == "retention":
            answer["incompleteFrom"] = self.incomplete_from(place, answer.pop("edges"), end, now)
        return answer

    # ---- Stored events

    def stored(self, events):
        """The same id again changes nothing, unless what had it was erased."""
        first = {}
        erasures = sorted(self.erasures, key=lambda erasure: erasure[0])
        for number, event in enumerate(events):
            while erasures and erasures[0][0] <= number:
                self.erase(first, erasures.pop(0)[1])
            first.setdefault(event["id"], event)
        for _, conditions in erasures:
            self.erase(first, conditions)
        return list(first.values())

    # ---- Erasures

    def erase(self, first, conditions):
        """Of the stored events, by their ids, those for which all conditions hold."""
        owners = self.owners(list(first.values()))
        for event in list(first.values()):
            if self.is_erased(event, conditions, owners):
                del first[event["id"]]

    def is_erased(self, event, conditions, owners):
        texts = collections.defaultdict(list)
        for name, text in conditions:
            texts[name].append(text)
        begin, end = (moment(texts.pop(name)[0]) if name in texts else bound for name, bound in [("from", -math.inf), ("to", math.inf)])
        if not self.is_inside(event["timestamp"], begin, end):
            return False
        users = texts.pop("userId", None)
        return (users is None or self.is_of_users(event, users, owners)) and self.is_selected(event, texts)

    def is_of_users(self, event, users, owners):
        """An event without a user id is of the user that its anonymous id belongs to."""
        user = event.get("userId")
        return user in users if user is not None else owners.get(event.get("anonymousId")) in users

    # ---- Range, zone and filters

    def zone(self, question):
        return zone(question.given.get("tz", self.project_zone))

    def range(self, question, place, now):
        begin, end = question.moment("from"), question.moment("to")
        if end is None:
            end = self.bounds(place, question.interval, now, now + 1)[-1]
        if begin is None:
            begin = self.default_from(place, question.interval, end, self.usual_count(question))
        if begin >= end:
            raise Refused("from is not before to")
        return begin, end

    def usual_count(self, question):
        """Buckets of a range without `from`: cohorts are as many as their periods."""
        is_retention = isinstance(question, Body) and "steps" not in question.body
        return question.body.get("periods", 8) if is_retention else INTERVALS[question.interval]

    def default_from(self, place, interval, end, count):
        """So many buckets, the one that `end` ends or cuts being the last."""
        step = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 31 * DAY}[interval]
        return self.bounds(place, interval, end - (count + 3) * step, end)[:-1][-count]

    def is_inside(self, time, begin, end):
        return begin <= time < end

    def selected(self, question, begin, end):
        return [
            event for event in self.events if self.is_inside(event["timestamp"], begin, end) and self.is_asked_about(event, question)]

    def is_asked_about(self, event, question):
        return self.is_selected(event, question.filters) and not (self.leaves_out_bots(question) and self.is_of_a_bot(event))

    def leaves_out_bots(self, question):
        return question.given.get("bots", "exclude") == "exclude"

    def is_of_a_bot(self, event):
        return isinstance(event.get("context"), dict) and event["context"].get("bot") is True

    def is_selected(self, event, filters):
        return all(any(self.holds(event, name, text) for text in texts) for name, texts in filters.items())

    def holds(self, event, name, text):
        if name in FILTERS:
            return event.get(name) == text
        return any(self.is_written(value, text) for value in self.at(event, name))

    def is_written(self, value, text):
        """The string of that text, or the number, boolean or null that is written so (the listing's rule)."""
        if isinstance(value, str):
            return value == text
        if value is None or isinstance(value, bool):
            return text == {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, (int, float)):
            return re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text) is not None and value == self.number(text)
        return False

    def number(self, text):
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)

    def at(self, event, path):
        """What lies at a path: scalars, objects, and arrays that were within arrays."""
        root, *keys = path.split(".")
        nodes = [event.get(root)]
        for key in keys:
            nodes = [element[key] for node in nodes for element in self.elements(node) if isinstance(element, dict) and key in element]
        return [element for node in nodes for element in self.elements(node)]

    def elements(self, node):
        return node if isinstance(node, list) else [node]

    # ---- Buckets

    def bounds(self, place, interval, begin, end):
        """The starts of the buckets that [begin, end) touches, and the end of the last."""
        if interval in ("minute", "hour"):
            starts = self.clock_starts(place, MINUTE if interval == "minute" else HOUR, begin, end)
        elif interval in ("day", "week", "month"):
            starts = self.date_starts(place, interval, begin, end)
        else:
            raise Refused(f"unknown interval {interval}")
        first = max(start for start in starts if start <= begin)
        last = min(start for start in starts if start >= end)
        return [start for start in starts if first <= start <= last]

    def clock_starts(self, place, step, begin, end):
        return list(place.clock_starts(begin - step, end + step + 1, step))

    def date_starts(self, place, interval, begin, end):
        starts = []
        day = self.first_day(place.day(begin) - 3, interval)
        while not starts or starts[-1] < end:
            following = self.next_day(day, interval)
            start = self.date_start(place, day, following)
            if start is not None:
                starts.append(start)
            day = following
        return starts

    def date_start(self, place, day, following):
        """The first moment at which the zone's date is in [day, following); None where the zone left them all out."""
        start = place.first_moment(day * DAY)
        return start if place.day(start) < following else None

    def first_day(self, day, interval):
        """Of the day, week or month before the one that the day is in."""
        if interval == "week":
            return self.monday(day) - 7
        if interval == "month":
            return day_of(date_of(day_of(date_of(day).replace(day=1)) - 1).replace(day=1))
        return day - 1

    def next_day(self, day, interval):
        if interval == "month":
            return day_of(date_of(day + 31).replace(day=1))
        return day + (7 if interval == "week" else 1)

    def monday(self, day):
        return day - date_of(day).weekday()

    def named(self, place, bounds, begin):
        return [place.text(start) for start in bounds[:-1]]

    def parts(self, route, bounds, end):
        """What is asked about of each bucket: of the last one what the range has of it, but all where buckets are whole."""
        return bounds if route == "lifecycle" or not bounds else [*bounds[:-1], end]

    def incomplete_from(self, place, bounds, end, now):
        for start, over in zip(bounds, bounds[1:]):
            if over > now:
                return place.text(start)
        return None

    def split(self, events, bounds):
        parts = [[] for _ in bounds[1:]]
        for event in events:
            parts[self.bucket(event["timestamp"], bounds)].append(event)
        return parts

    def bucket(self, time, bounds):
        low, high = 0, len(bounds) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if bounds[middle] <= time else (low, middle)
        return low

    # ---- Users

    def actor(self, event):
        user, anonymous = event.get("userId"), event.get("anonymousId")
        if user is None:
            user = self.belongs_to.get(anonymous)
        if user is not None:
            return ("user", user)
        if anonymous is not None:
            return ("anonymous", anonymous)
        visitor = self.visitor(event)
        return None if visitor is None else ("visitor", visitor)

    def visitor(self, event):
        """As the service has made it."""
        return event.get("visitorId")

    def identifying(self, question, begin, end):
        """The events whose identities count: all, whatever is asked."""
        return self.events

    def identity(self, event):
        """(anonymous id, user id) that the event says are one, or None."""
        pair = event.get("anonymousId"), event.get("userId")
        return pair if event["type"] == "$identify" and None not in pair else None

    def owners(self, events):
        """The user id that each anonymous id belongs to."""
        claims = collections.defaultdict(list)
        for event in events:
            pair = self.identity(event)
            if pair:
                claims[pair[0]].append((event["timestamp"], pair[1]))
        return {anonymous: self.owner(own) for anonymous, own in claims.items()}

    def owner(self, claims):
        """Of (time, user id), in the order of arrival."""
        return min(claims, key=lambda claim: (claim[0], claim[1].encode()))[1]

    def counted(self, events, metric):
        """An event without a user is in no question about users."""
        return [event for event in events if self.actor(event)] if metric == "users" else events

    def asked(self, question, begin, end):
        """What the metric counts: events, or one for each session, at its start."""
        if question.metric != "sessions":
            return self.counted(self.selected(question, begin, end), question.metric)
        visits = self.visits(question, begin, end, self.gap(question))
        return [{"timestamp": self.placed(visit), "start": self.first_moment(visit)} for visit in visits]

    # ---- Sessions

    def gap(self, question):
        return question.number("gapMinutes", 30) * MINUTE

    def visits(self, question, begin, end, gap):
        """The events of each session that starts in the range, as it is measured."""
        chains = collections.defaultdict(list)
        for event in self.made_of(question, begin, end):
            chains[self.chain(event)].append(event)
        found = [visit for chain in chains.values() for visit in self.cut(sorted(chain, key=lambda event: event["timestamp"]), gap)]
        return [self.measured(visit, end) for visit in found if self.is_inside(visit[0]["timestamp"], begin, end)]

    def made_of(self, question, begin, end):
        """Selected events of users, also outside of the range."""
        return [event for event in self.events if self.actor(event) and self.is_asked_about(event, question)]

    def chain(self, event):
        """What events of one session have in common."""
        return self.actor(event), event.get("sessionId")

    def cut(self, events, gap):
        visits = []
        for event in events:
            if visits and not self.ends(visits[-1], event, gap):
                visits[-1].append(event)
            else:
                visits.append([event])
        return visits

    def ends(self, visit, event, gap):
        return event["timestamp"] - visit[-1]["timestamp"] > self.pause(event, gap)

    def pause(self, event, gap):
        return gap if event.get("sessionId") is None else DAY

    def measured(self, visit, end):
        return [event for event in visit if event["timestamp"] - visit[0]["timestamp"] <= DAY]

    def placed(self, visit):
        """The moment whose bucket a session belongs to."""
        return visit[0]["timestamp"]

    def first_moment(self, visit):
        return [event for event in visit if event["timestamp"] == visit[0]["timestamp"]]

    def length(self, visit):
        return visit[-1]["timestamp"] - visit[0]["timestamp"]

    def is_bounce(self, visit):
        return len(visit) == 1

    def figures(self, visits):
        lengths = sorted(self.length(visit) for visit in visits)
        count = len(visits)
        return {
            "users": self.users_of(visits),
            "medianSeconds": self.quantile(lengths, 0.5) / SECOND if count else None,
            "p90Seconds": self.quantile(lengths, 0.9) / SECOND if count else None,
            "eventsPerSession": sum(map(len, visits)) / count if count else None,
            "bounceRate": sum(map(self.is_bounce, visits)) / count if count else None}

    def users_of(self, visits):
        return len({self.actor(visit[0]) for visit in visits})

    def page(self, visit, path):
        """The smallest key of the first moment at which there is one; None without."""
        with_keys = [(event["timestamp"], self.real_keys(event, path)) for event in visit]
        with_keys = [(time, keys) for time, keys in with_keys if keys]
        return min((key for time, keys in with_keys if time == with_keys[0][0] for key in keys), key=self.rank) if with_keys else None

    def real_keys(self, event, path):
        return [key for key in self.keys(event, path) if key[0] != NULL]

    def exit_page(self, visit, path):
        return self.page(visit[::-1], path)

    def pages(self, pages, visits, limit):
        counts = collections.Counter(page for page in pages if page)
        listed = sorted(counts.items(), key=lambda item: (-item[1], self.rank(item[0])))[:limit]
        return [{"page": self.shown(key), "sessions": count, "share": self.page_share(count, counts, visits)} for key, count in listed]

    def page_share(self, count, counts, visits):
        return count / len(visits)

    # ---- Funnels

    def histories(self, question):
        """Of each user the selected events, also outside of the range, in the order of time."""
        found = collections.defaultdict(list)
        for event in sorted(self.events, key=lambda event: event["timestamp"]):
            if self.actor(event) and self.is_asked_about(event, question):
                found[self.actor(event)].append(event)
        return list(found.values())

    def fits(self, event, pattern):
        return self.is_selected(event, filters_of({name: pattern[name] for name in ("types", "sources", "data") if name in pattern}))

    def best_way(self, body, events, begin, end):
        """(moments of the steps, events at the entry) of the entry that counts; None without one."""
        steps, order = body["steps"], body.get("order", "ordered")
        events = self.seen(events, body, end)
        fits = [[self.fits(event, step) for step in steps] for event in events]
        found = []
        for entry in sorted({event["timestamp"] for event in events}):
            first = [event for event, own in zip(events, fits) if event["timestamp"] == entry and self.is_entry(own, order)]
            if first and self.enters(entry, begin, end):
                window = body.get("windowSeconds", 604_800) * SECOND
                near = [index for index, event in enumerate(events) if self.is_within(event["timestamp"], entry, window)]
                way = getattr(self, "way_" + order)([events[index] for index in near], [fits[index] for index in near], len(steps), entry)
                way = self.in_time(way, window)
                found.append((self.included(way, body, events), first))
        return self.best(found)

    def seen(self, events, body, end):
        return events

    def is_entry(self, fits, order):
        return any(fits) if order == "any" else fits[0]

    def enters(self, entry, begin, end):
        return self.is_inside(entry, begin, end)

    def is_within(self, time, entry, window):
        """Nothing that is later counts from this entry."""
        return time - entry <= window

    def in_time(self, way, window):
        return way

    def best(self, ways):
        """Most steps, then the earliest entry."""
        return max(ways, key=lambda way: len(way[0]), default=None)

    def way_ordered(self, events, fits, count, entry):
        """The earliest moment of each step, of all ways to serve the steps before."""
        states = {(entry, frozenset([index])) for index, event in enumerate(events) if event["timestamp"] == entry and fits[index][0]}
        times = []
        while states:
            times.append(min(time for time, _ in states))
            if len(times) == count:
                break
            states = {
                (event["timestamp"], (used if event["timestamp"] == time else frozenset()) | {index})
                for time, used in states for index, event in enumerate(events)
                if fits[index][len(times)] and self.may_follow(events, index, time, used)}
        return times

    def may_follow(self, events, index, time, used):
        return events[index]["timestamp"] >= time and index not in used

    def way_strict(self, events, fits, count, entry):
        """All ways in which no event lies between; the longest, then the earliest."""
        moments = collections.defaultdict(list)
        for index, event in enumerate(events):
            moments[event["timestamp"]].append(index)
        order, found = sorted(moments), []

        def go(place, used, times):
            found.append(times)
            if len(times) == count:
                return
            for index in moments[order[place]]:
                if index not in used and fits[index][len(times)]:
                    go(place, used | {index}, [*times, order[place]])
            if place + 1 < len(order) and times and (order[place] == entry or len(used) == len(moments[order[place]])):
                for index in moments[order[place + 1]]:
                    if fits[index][len(times)]:
                        go(place + 1, {index}, [*times, order[place + 1]])

        go(order.index(entry), set(), [])
        return min(found, key=lambda times: (-len(times), times))

    def way_any(self, events, fits, count, entry):
        """When how many steps can be served."""
        served, times = {frozenset()}, []
        for index, event in enumerate(events):
            if event["timestamp"] >= entry:
                served |= {steps | {step} for steps in served for step in range(count) if fits[index][step] and step not in steps}
                times += [event["timestamp"]] * (max(map(len, served)) - len(times))
        return times

    def included(self, way, body, events):
        for step in range(1, len(way)):
            if any(self.excludes(exclusion, step, len(body["steps"])) and any(
                self.fits(event, exclusion) and self.is_between(event["timestamp"], way[step - 1], way[step]) for event in events)
                for exclusion in body.get("exclusions", [])):
                return way[:step]
        return way

    def excludes(self, exclusion, step, last):
        return exclusion.get("afterStep", 1) <= step < exclusion.get("beforeStep", last)

    def is_between(self, time, before, after):
        return before < time < after

    def steps_of(self, ways, count):
        users = [sum(len(times) > step for times, _ in ways) for step in range(count)]
        answer = []
        for step in range(count):
            lengths = sorted(self.step_time(times, step) for times, _ in ways if len(times) > step > 0)
            answer.append({
                "users": users[step], "shareOfFirst": self.share(users[step], users[0]),
                "shareOfPrevious": self.share(users[step], users[self.previous(step)]),
                "medianSeconds": self.quantile(lengths, 0.5) / SECOND if lengths else None,
                "p90Seconds": self.quantile(lengths, 0.9) / SECOND if lengths else None})
        return answer

    def previous(self, step):
        return max(0, step - 1)

    def step_time(self, times, step):
        return times[step] - times[step - 1]

    def funnels(self, question, place, begin, end, bounds):
        body, count = question.body, len(question.body["steps"])
        ways = []
        for events in self.histories(question):
            way = self.best_way(body, events, begin, end)
            if way:
                ways.append(way)
                for step in range(len(way[0])):
                    self.tell(("funnels", step + 1), events[0])
        answer = {"order": body.get("order", "ordered"), "windowSeconds": body.get("windowSeconds", 604_800), "steps": self.steps_of(ways, count)}
        if "groupBy" not in body:
            return answer
        keys = [set(self.keys({"start": self.grouped_by(way)}, body["groupBy"])) for way in ways]
        counts = collections.Counter(key for own in keys for key in own)
        listed = sorted(counts, key=lambda key: (-counts[key], self.rank(key)))[: body.get("limit", 10)]
        others = [way for way, own in zip(ways, keys) if not own <= set(listed)]
        groups = [(key, [way for way, own in zip(ways, keys) if key in own]) for key in listed]
        return {
            **answer, "groups": [{"key": self.shown(key), "steps": self.steps_of(group, count)} for key, group in groups],
            "other": {"steps": self.steps_of(others, count)} if others else None}

    def grouped_by(self, way):
        return way[1]

    # ---- Retention

    def retention(self, question, place, begin, end, bounds):
        body = question.body
        periods, mode = body.get("periods", 8), body.get("mode", "on")
        cohorts = len(bounds) - 1
        edges = self.edges(place, question.interval, bounds, periods)
        sizes, values = [0] * cohorts, [[0] * periods for _ in range(cohorts)]
        for events in self.histories(question):
            returns = self.returns(question, events, edges, begin, end)
            for cohort in self.cohorts_of(question, events, edges, begin, end):
                sizes[cohort] += 1
                self.tell(("retention", cohort), events[0])
                for period in range(periods):
                    if self.is_back(returns, cohort, period, periods, mode):
                        values[cohort][period] += 1
                        self.tell(("retention", cohort, period), events[0])
        return {
            "interval": question.interval, "mode": mode, "incompleteFrom": None, "edges": edges,
            "cohorts": [{"start": place.text(bounds[index]), "size": sizes[index], "values": values[index]} for index in range(cohorts)]}

    def edges(self, place, interval, bounds, periods):
        """The starts of all periods, and the end of the last."""
        edges = list(bounds)
        while len(edges) < len(bounds) + periods - 1:
            edges.append(self.bounds(place, interval, edges[-1], edges[-1] + 1)[-1])
        return edges

    def firsts(self, question, events):
        first = [event["timestamp"] for event in events if self.fits(event, question.body.get("first", {}))]
        return first[:1] if question.body.get("firstEver") else first

    def cohorts_of(self, question, events, edges, begin, end):
        return {self.period(time, edges) for time in self.firsts(question, events) if self.is_inside(time, begin, end)}

    def returns(self, question, events, edges, begin, end):
        """Numbers of periods from the first cohort's, and of those behind the last one."""
        times = [event["timestamp"] for event in events if self.fits(event, question.body.get("returning", {}))]
        return {self.period(time, edges) for time in times if time >= edges[0]}

    def period(self, time, edges):
        return len(edges) - 1 if time >= edges[-1] else self.bucket(time, edges)

    def is_back(self, returns, cohort, period, periods, mode):
        if mode == "on":
            return cohort + period in returns
        last = cohort + periods if mode == "on_or_after" else math.inf
        return any(cohort + period <= one < last for one in returns)

    # ---- Metrics

    def value(self, metric, events):
        if metric in ("events", "sessions"):
            return len(events)
        if metric == "users":
            return len({self.actor(event) for event in events})
        name, path = self.measure(metric)
        values = [value for event in events for value in self.values(event, path)]
        if name == "sum":
            return self.sum(values)
        if not values:
            return None
        if name == "avg":
            return self.average(values, events)
        if name in QUANTILES:
            return self.quantile(sorted(values), QUANTILES[name])
        return min(values) if name == "min" else max(values)

    def measure(self, metric):
        match = MEASURE.fullmatch(metric)
        if not match:
            raise Refused(f"unknown metric {metric}")
        return match.groups()

    def values(self, event, path):
        return [float(value) for value in self.at(event, path) if self.is_number(value)]

    def is_number(self, value):
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def sum(self, values):
        try:
            return math.fsum(values)
        except OverflowError:
            # On the way; the sum itself may be a double.
            return float(sum(map(fractions.Fraction, values)))

    def average(self, values, events):
        return self.sum(values) / len(values)

    def quantile(self, values, q):
        h = (len(values) - 1) * q
        low = math.floor(h)
        if low + 1 == len(values):
            return values[low]
        part, difference = h - low, values[low + 1] - values[low]
        return values[low] + difference * part if part < 0.5 else values[low + 1] - difference * (1 - part)

    # ---- Keys

    def keys(self, event, dimension):
        """(kind, value), each once. A kind keeps true from being 1, and text is its bytes."""
        found = [value for one in event.get("start", [event]) for value in self.found(one, dimension)]
        keys = [key for key in map(self.key, found) if key]
        return list(dict.fromkeys(keys)) or [(NULL, None)]

    def found(self, event, dimension):
        return [event.get(dimension)] if dimension in FILTERS else self.at(event, dimension)

    def key(self, value):
        if isinstance(value, bool):
            return (BOOLEAN, value)
        if isinstance(value, (int, float)):
            return (NUMBER, value)
        return (STRING, value.encode()) if isinstance(value, str) else None

    def rank(self, key):
        """Null before booleans, false first, before numbers before strings by their bytes."""
        return (key[0], 0 if key[0] == NULL else key[1])

    def shown(self, key):
        return key[1].decode() if key[0] == STRING else key[1]

    def groups(self, events, dimension):
        groups = collections.defaultdict(list)
        for event in events:
            for key in self.keys(event, dimension):
                groups[key].append(event)
        return groups

    def ranked(self, groups, metric):
        """(key, value), the largest first. With a measure, keys without a value are left out."""
        found = [(key, self.value(metric, events)) for key, events in groups.items() if self.has_value(events, metric)]
        return sorted(found, key=lambda item: (-item[1], self.rank(item[0])))

    def has_value(self, events, metric):
        if metric in ("events", "users", "sessions"):
            return True
        return any(self.values(event, self.measure(metric)[1]) for event in events)

    def unlisted(self, events, dimension, listed, metric):
        """The events that have a key which is not listed, each once."""
        return [event for event in events if not self.keys_set(event, dimension) <= listed]

    def keys_set(self, event, dimension):
        return set(self.keys(event, dimension))

    # ---- The routes

    def timeseries(self, question, place, begin, end, bounds):
        metric, dimension = question.metric, question.given.get("groupBy")
        events = self.asked(question, begin, end)
        names = None
        if dimension:
            names = [key for key, _ in self.ranked(self.groups(events, dimension), metric)][: question.number("limit")]
        answer = {"interval": question.interval, "metric": metric, **self.lines(question, place, begin, bounds, events, names)}
        earlier = self.earlier(question, place, begin, end, bounds)
        if earlier:
            begin, end = earlier
            bounds = self.bounds(place, question.interval, begin, end)
            events = self.asked(question, begin, end)
            names = self.compared_names(names, events, question)
            answer["compare"] = {
                "from": place.text(begin), "to": place.text(end), **self.lines(question, place, begin, bounds, events, names)}
        return answer

    def compared_names(self, names, events, question):
        """The earlier range's groups are those of the answer."""
        return names

    def lines(self, question, place, begin, bounds, events, names):
        metric, dimension = question.metric, question.given.get("groupBy")
        if names is None:
            series, other = [{"name": "all", **self.line(events, metric, bounds)}], None
        else:
            groups = self.groups(events, dimension)
            series = [{"name": self.shown(key), **self.line(groups.get(key, []), metric, bounds)} for key in names]
            other = self.other_line(groups, events, dimension, names, metric, bounds)
        return {"buckets": self.named(place, bounds, begin), "series": series, "other": other, "total": self.value(metric, events)}

    def other_line(self, groups, events, dimension, names, metric, bounds):
        if all(key in names or not self.has_value(group, metric) for key, group in groups.items()):
            return None
        return self.line(self.unlisted(events, dimension, set(names), metric), metric, bounds)

    def line(self, events, metric, bounds):
        values = [self.value(metric, part) for part in self.split(events, bounds)]
        return {"values": values, "total": self.total(events, metric, values)}

    def total(self, events, metric, values):
        return self.value(metric, events)

    def earlier(self, question, place, begin, end, bounds):
        if "compareFrom" in question.given:
            return question.moment("compareFrom"), question.moment("compareTo")
        if question.given.get("compare") != "previous":
            return None
        if question.interval == "month":
            months = len(bounds) - 1
            begin, end = (self.months_earlier(place, time, months) for time in (begin, end))
        else:
            weeks = self.weeks(place.clock(end) - place.clock(begin))
            begin, end = (self.weeks_earlier(place, time, weeks) for time in (begin, end))
        return begin, max(begin, end)

    def weeks(self, length):
        """The whole weeks that hold the range, at least one."""
        return max(1, -(-length // (7 * DAY)))

    def weeks_earlier(self, place, time, weeks):
        return place.first_moment(place.clock(time) - weeks * 7 * DAY)

    def months_earlier(self, place, time, months):
        """The same day of the month, or its last where it has none such."""
        day, rest = divmod(place.clock(time), DAY)
        date = date_of(day)
        year, month = divmod(date.year * 12 + date.month - 1 - months, 12)
        first = date.replace(year=year, month=month + 1, day=1)
        last = self.next_day(day_of(first), "month") - 1
        return place.first_moment(min(day_of(first) + date.day - 1, last) * DAY + rest)

    def topn(self, question, place, begin, end, bounds):
        metric, dimension = question.metric, question.given.get("dimension")
        if not dimension:
            raise Refused("dimension is missing")
        events = self.asked(question, begin, end)
        total = self.value(metric, events)
        items = self.ranked(self.groups(events, dimension), metric)[: question.number("n")]
        listed = {key for key, _ in items}
        return {
            "items": [{"key": self.shown(key), "value": value, "share": self.share(value, total)} for key, value in items],
            "total": total,
            "other": self.top_other(self.unlisted(events, dimension, listed, metric), metric, total, items)}

    def share(self, value, total):
        return value / total if total else None

    def top_other(self, unlisted, metric, total, items):
        return self.value(metric, unlisted)

    def uniques(self, question, place, begin, end, bounds):
        events = self.counted(self.selected(question, begin, end), "users")
        line = self.line(events, "users", bounds)
        return {"interval": question.interval, "total": line["total"], "buckets": self.named(place, bounds, begin), "values": line["values"]}

    def sessions(self, question, place, begin, end, bounds):
        visits = self.visits(question, begin, end, self.gap(question))
        parts = [[] for _ in bounds[1:]]
        for visit in visits:
            parts[self.bucket(self.placed(visit), bounds)].append(visit)
        path, limit = question.given.get("page", "context.page.path"), question.number("limit")
        total, series = self.figures(visits), [self.figures(part) for part in parts]
        return {
            "interval": question.interval, "sessions": len(visits), **total, "buckets": self.named(place, bounds, begin),
            "values": [len(part) for part in parts], "series": {name: [figures[name] for figures in series] for name in total},
            "entryPages": self.pages([self.page(visit, path) for visit in visits], visits, limit),
            "exitPages": self.pages([self.exit_page(visit, path) for visit in visits], visits, limit)}

    # ---- Lifecycle

    def lifecycle(self, question, place, begin, end, bounds):
        edges = [self.before_first(place, question.interval, bounds), *bounds]
        series = {state: [0] * (len(bounds) - 1) for state in STATES}
        for events in self.histories(question):
            times = [event["timestamp"] for event in events]
            there = {self.period(time, edges) for time in self.counted_times(times, begin, end) if time >= edges[0]}
            first = self.first_of_all(times, edges, begin)
            for bucket in range(1, len(edges) - 1):
                state = self.state(bucket, there, self.period(first, edges) if edges[0] <= first < edges[-1] else None)
                if state:
                    series[state][bucket - 1] += 1
                    self.tell(("lifecycle", bucket - 1, state), events[0])
        return {"interval": question.interval, "buckets": self.named(place, bounds, begin), "series": series}

    def before_first(self, place, interval, bounds):
        return self.bounds(place, interval, bounds[0] - 1, bounds[0])[0]

    def counted_times(self, times, begin, end):
        """Buckets are whole."""
        return times

    def first_of_all(self, times, edges, begin):
        return times[0]

    def state(self, bucket, there, first):
        if bucket not in there:
            return "dormant" if self.was_there_before(bucket, there) else None
        if bucket == first:
            return "new"
        return "returning" if self.was_there_before(bucket, there) else "resurrecting"

    def was_there_before(self, bucket, there):
        return bucket - 1 in there

    # ---- Stickiness

    def stickiness(self, question, place, begin, end, bounds):
        days = collections.defaultdict(set)
        for event in self.counted(self.within(question, begin, end, bounds), "users"):
            days[self.actor(event)].add(self.bucket(event["timestamp"], bounds))
        counts = [self.buckets_of(own) for own in days.values()]
        for actor, own in days.items():
            self.tell_actor(("stickiness", self.buckets_of(own)), actor)
        values = [
            {"intervals": number, "users": counts.count(number), "atLeast": self.at_least(counts, number)} for number in range(1, len(bounds))]
        return {"interval": question.interval, "users": len(counts), "values": values}

    def within(self, question, begin, end, bounds):
        return self.selected(question, begin, end)

    def buckets_of(self, buckets):
        return len(buckets)

    def at_least(self, counts, number):
        return sum(count >= number for count in counts)

    # ---- Paths

    def paths(self, question, place, begin, end, bounds):
        is_back = "end" in question.given
        count, limit = question.number("steps", 5), question.number("limit")
        found = []
        for events in self.path_parts(question, begin, end):
            keys = self.path(events, question, is_back, count)
            if keys:
                found.append((self.actor(events[0]), keys))
        steps = []
        for step in range(count + 1):
            own = [(actor, keys) for actor, keys in found if len(keys) > step]
            nodes, edges = collections.defaultdict(list), collections.defaultdict(list)
            for actor, keys in own:
                nodes[keys[step]].append(actor)
                if step:
                    edges[self.edge(keys[step - 1], keys[step], is_back)].append(actor)
                self.tell_actor(("paths", step), actor)
                self.tell_actor(("paths", step, self.named_key(keys[step])), actor)
                if step:
                    pair = self.edge(keys[step - 1], keys[step], is_back)
                    self.tell_actor(("paths", step, self.named_key(pair[0]), self.named_key(pair[1])), actor)
            top = sorted(nodes, key=lambda key: (-len(nodes[key]), self.rank(key)))
            between = sorted(edges, key=lambda pair: (-len(edges[pair]), self.rank(pair[0]), self.rank(pair[1])))
            steps.append({
                "step": step, "paths": len(own), "users": self.path_users([actor for actor, _ in own]),
                "nodes": [{"key": self.shown(key), "paths": len(nodes[key]), "users": self.path_users(nodes[key])} for key in top[:limit]],
                "otherNodes": sum(len(nodes[key]) for key in top[limit:]),
                "edges": [
                    {"from": self.shown(pair[0]), "to": self.shown(pair[1]), "paths": len(edges[pair]), "users": self.path_users(edges[pair])}
                    for pair in between[:limit]],
                "otherEdges": sum(len(edges[pair]) for pair in between[limit:])})
        return {"steps": steps}

    def path_users(self, actors):
        return len(set(actors))

    def edge(self, near, far, is_back):
        return (far, near) if is_back else (near, far)

    def named_key(self, key):
        """As JSON has it; numbers by their value."""
        shown = self.shown(key)
        if isinstance(shown, float) and shown.is_integer():
            shown = int(shown)
        return json.dumps(shown)

    def path_parts(self, question, begin, end):
        """Events in the order of time of which each can have one path, cut to where it may begin and end."""
        if "windowSeconds" not in question.given:
            return self.visits(question, begin, end, self.gap(question))
        window, is_back = question.number("windowSeconds") * SECOND, "end" in question.given
        parts = []
        for events in self.histories(question):
            origins = [event["timestamp"] for event in events if event["type"] in question.origins and self.is_inside(event["timestamp"], begin, end)]
            if origins:
                first = self.origin(origins, is_back)
                low, high = (first - window, first) if is_back else (first, first + window)
                parts.append([event for event in events if self.is_in_window(event["timestamp"], low, high, end)])
        return parts

    def is_in_window(self, time, low, high, end):
        return low <= time <= high

    def origin(self, times, is_back):
        return times[-1] if is_back else times[0]

    def path(self, events, question, is_back, count):
        """The keys of its steps."""
        origins = [event["timestamp"] for event in events if event["type"] in question.origins]
        if not origins:
            return []
        begin = self.origin(origins, is_back)
        step_key = lambda event: self.step_key(event, question)  # noqa: E731
        ahead = [event for event in events if (event["timestamp"] <= begin if is_back else event["timestamp"] >= begin)]
        ordered = sorted(ahead, key=lambda event: (event["timestamp"], self.moment_rank(step_key(event), event)))
        if is_back:
            ordered.reverse()
        first = next(event for event in ordered if event["timestamp"] == begin and event["type"] in question.origins)
        rest = [event for event in ordered if event is not first and self.may_be_step(event, first, ordered)]
        return [step_key(first), *[step_key(event) for event in rest if self.is_step(step_key(event))]][: count + 1]

    def step_key(self, event, question):
        return min(self.keys(event, question.given.get("groupBy", "type")), key=self.rank)

    def moment_rank(self, key, event):
        return self.rank(key)

    def may_be_step(self, event, first, ordered):
        """Also what shares the first moment."""
        return True

    def is_step(self, key):
        return key[0] != NULL

    # ---- People

    def tell(self, name, event):
        self.tell_actor(name, self.actor(event))

    def tell_actor(self, name, actor):
        self.behind.setdefault(name, set()).add(actor)

    def people(self, body, now):
        route = body["question"]
        parameters = body["body"] if route in POSTED else [
            (name, str(one)) for name, value in body.get("parameters", {}).items() for one in (value if isinstance(value, list) else [value])]
        answer = self.ask(route, parameters, now)
        question = Body(parameters) if route in POSTED else Question(parameters)
        begin, end = moment(answer["from"]), moment(answer["to"])
        actors = self.chosen(route, body, question, answer, begin, end)
        times_of = collections.defaultdict(list)
        for event in self.selected(question, begin, end):
            times_of[self.actor(event)].append(event["timestamp"])
        told = []
        for kind, id in actors:
            times = times_of[kind, id]
            shown = [self.zone(question).text(time) for time in (min(times), max(times))] if times else [None, None]
            told.append({self.member(kind): id, "first": shown[0], "last": shown[1], "events": len(times)})
        common = {name: answer[name] for name in ("from", "to", "tz", "asOf")}
        # In an order that only the service can tell.
        return {**common, "incompleteFrom": None, "total": len(told), "people": sorted(told, key=lambda person: json.dumps(person, sort_keys=True))}

    def member(self, kind):
        return {"user": "userId", "anonymous": "anonymousId", "visitor": "visitorId"}[kind]

    def chosen(self, route, body, question, answer, begin, end):
        behind = lambda *name: self.behind.get(name, set())  # noqa: E731
        if route == "funnels":
            step = body["step"]
            return behind(route, step - 1) - behind(route, step) if body.get("dropped") else behind(route, step)
        if route == "retention":
            cohort = self.number_of(body["cohort"], [one["start"] for one in answer["cohorts"]])
            if "period" not in body:
                return behind(route, cohort)
            back = behind(route, cohort, body["period"])
            return behind(route, cohort) - back if body.get("dropped") else back
        if route == "lifecycle":
            return behind(route, self.number_of(body["bucket"], answer["buckets"]), body["state"])
        if route == "stickiness":
            most = body["intervals"] if not body.get("atLeast") else len(answer["values"])
            return set().union(*[behind(route, count) for count in range(body["intervals"], most + 1)])
        if route == "paths":
            names = [json.dumps(body[name]) for name in ("key", "from", "to") if name in body]
            return behind(route, body["step"], *names)
        bounds = self.bounds(self.zone(question), question.interval, begin, end)
        parts = self.split(self.counted(self.selected(question, begin, end), "users"), bounds)
        if "bucket" in body:
            parts = [parts[self.number_of(body["bucket"], answer["buckets"])]]
        return {self.actor(event) for part in parts for event in part}

    def number_of(self, start, starts):
        return starts.index(start) if start in starts else -1
