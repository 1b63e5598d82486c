"""The oracle with one definition got wrong at a time. Each must give another answer somewhere, or nothing checks that definition."""

import collections
import datetime
import fractions
import unicodedata

from oracle import BOOLEAN, NULL, NUMBER, QUANTILES, STRING, Oracle
from zone import DAY, HOUR, MINUTE, date_of, zone


class ToIsInside(Oracle):
    def is_inside(self, time, begin, end):
        return begin <= time <= end


class FromIsOutside(Oracle):
    def is_inside(self, time, begin, end):
        return begin < time < end


class LastOfAnIDStands(Oracle):
    def stored(self, events):
        return list({event["id"]: event for event in events}.values())


class EverySendCounts(Oracle):
    def stored(self, events):
        return events


class NothingIsErased(Oracle):
    def erase(self, first, conditions):
        pass


class ErasedIsForEver(Oracle):
    """Also what is received later."""

    def stored(self, events):
        self.erasures = [(len(events), conditions) for _, conditions in self.erasures]
        return super().stored(events)


class ErasedIdsStayTaken(Oracle):
    def erase(self, first, conditions):
        before = dict(first)
        super().erase(first, conditions)
        for id in before.keys() - first.keys():
            first[id] = {**before[id], "timestamp": -(10**15)}


class DevicesOfTheErasedStay(Oracle):
    def is_of_users(self, event, users, owners):
        return event.get("userId") in users


class DevicesOfTheErasedGoWithEverybody(Oracle):
    """Also the events of other users on them."""

    def is_of_users(self, event, users, owners):
        return event.get("userId") in users or owners.get(event.get("anonymousId")) in users


class SharedDevicesAreOfTheErased(Oracle):
    """Those that the user was seen on, whoever they belong to."""

    def erase(self, first, conditions):
        users = [text for name, text in conditions if name == "userId"]
        named = {pair[0]: pair[1] for pair in map(self.identity, first.values()) if pair and pair[1] in users}
        for event in list(first.values()):
            if self.is_erased(event, conditions, named):
                del first[event["id"]]


class IdentitiesOfTheErasedStay(Oracle):
    def is_erased(self, event, conditions, owners):
        return event["type"] != "$identify" and super().is_erased(event, conditions, owners)


class ConditionsOfAnErasureAreAlternatives(Oracle):
    def is_erased(self, event, conditions, owners):
        return any(super(ConditionsOfAnErasureAreAlternatives, self).is_erased(event, [pair], owners) for pair in conditions)


class ZoneIsUTC(Oracle):
    def zone(self, question):
        return zone("UTC")


class ProjectZoneIsUTC(Oracle):
    def zone(self, question):
        return zone(question.given.get("tz", "UTC"))


class FiltersAreAlternatives(Oracle):
    def is_selected(self, event, filters):
        return not filters or any(self.holds(event, name, text) for name, texts in filters.items() for text in texts)


class RepeatedFiltersAllHold(Oracle):
    def is_selected(self, event, filters):
        return all(self.holds(event, name, text) for name, texts in filters.items() for text in texts)


class FiltersNormalise(Oracle):
    def holds(self, event, name, text):
        if "." in name or event.get(name) is None:
            return super().holds(event, name, text)
        return unicodedata.normalize("NFC", event[name]) == unicodedata.normalize("NFC", text)


class FiltersOfNumbersByText(Oracle):
    def is_written(self, value, text):
        return isinstance(value, str) and value == text


class BotsAreIncluded(Oracle):
    def leaves_out_bots(self, question):
        return question.given.get("bots") == "exclude"


class BotsAreNeverIncluded(Oracle):
    def leaves_out_bots(self, question):
        return True


class EveryContextIsABots(Oracle):
    def is_of_a_bot(self, event):
        return bool(event.get("context"))


class BotsIdentifyNobody(Oracle):
    def identifying(self, question, begin, end):
        return [event for event in self.events if not (self.leaves_out_bots(question) and self.is_of_a_bot(event))]


class BotsAreUsers(Oracle):
    def leaves_out_bots(self, question):
        return super().leaves_out_bots(question) and question.metric != "users"


class PathsIgnoreArraysOnTheWay(Oracle):
    def at(self, event, path):
        root, *keys = path.split(".")
        node = event.get(root)
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        return self.elements(node)


class ArraysInArraysAreOpened(Oracle):
    def elements(self, node):
        return [inner for element in node for inner in self.elements(element)] if isinstance(node, list) else [node]


class ArraysStandForTheirFirst(Oracle):
    def elements(self, node):
        return node[:1] if isinstance(node, list) else [node]


class ArraysAtTheEndAreOne(Oracle):
    def at(self, event, path):
        return [node for node in super().at(event, path)][:1]


class WeeksFromSunday(Oracle):
    def monday(self, day):
        return day - (date_of(day).weekday() + 1) % 7


class WeeksFromThursday1970(Oracle):
    def monday(self, day):
        return day - day % 7


class HoursOfUTC(Oracle):
    def clock_starts(self, place, step, begin, end):
        return list(range((begin - step) // step * step, end + 2 * step, step))


class OffsetChangesBeginNoHour(Oracle):
    def clock_starts(self, place, step, begin, end):
        starts = super().clock_starts(place, step, begin - DAY, end + DAY)
        return [start for start in starts if place.clock(start) % step == 0]


class RepeatedHoursAreMerged(Oracle):
    def clock_starts(self, place, step, begin, end):
        starts, shown = [], set()
        for start in super().clock_starts(place, step, begin - DAY, end + DAY):
            if place.clock(start) // step not in shown:
                starts.append(start)
            shown.add(place.clock(start) // step)
        return starts


class DaysHave24Hours(Oracle):
    def date_start(self, place, day, following):
        start = super().date_start(place, day, following)
        before = super().date_start(place, day - 1, day)
        return start if start is None or before is None or following != day + 1 else before + DAY


class MidnightsByTheOffsetBefore(Oracle):
    def date_start(self, place, day, following):
        start = super().date_start(place, day, following)
        return None if start is None else day * DAY - place.offset(start - HOUR)


class SecondMidnightBeginsTheDay(Oracle):
    def date_start(self, place, day, following):
        start = super().date_start(place, day, following)
        return None if start is None else max(start, day * DAY - place.offset(start + 3 * HOUR))


class LeftOutDatesAreBuckets(Oracle):
    def date_start(self, place, day, following):
        return place.first_moment(day * DAY)


class MonthsHave30Days(Oracle):
    def next_day(self, day, interval):
        return day + 30 if interval == "month" else super().next_day(day, interval)


class FirstBucketBeginsAtFrom(Oracle):
    def named(self, place, bounds, begin):
        return [place.text(begin), *[place.text(start) for start in bounds[1:-1]]]


class OffsetIsThatOfFrom(Oracle):
    def named(self, place, bounds, begin):
        fixed = datetime.timezone(datetime.timedelta(milliseconds=place.offset(begin)))
        return [datetime.datetime.fromtimestamp(start / 1_000, fixed).isoformat(timespec="seconds") for start in bounds[:-1]]


class BucketsAreNamedInUTC(Oracle):
    def named(self, place, bounds, begin):
        return [zone("UTC").text(start) for start in bounds[:-1]]


class EndOfBucketIsIncomplete(Oracle):
    def incomplete_from(self, place, bounds, end, now):
        return super().incomplete_from(place, bounds, end, now - 1)


class BucketsEndWithTheRange(Oracle):
    def incomplete_from(self, place, bounds, end, now):
        return super().incomplete_from(place, [*bounds[:-1], end] if bounds else [], end, now)


class LastBucketIsIncomplete(Oracle):
    def incomplete_from(self, place, bounds, end, now):
        return place.text(bounds[-2]) if bounds and bounds[-1] > now else None


class EventsAreInTheBucketThatTheyEnd(Oracle):
    def bucket(self, time, bounds):
        return super().bucket(max(time - 1, bounds[0]), bounds)


class DefaultRangeHasOneBucketMore(Oracle):
    def default_from(self, place, interval, end):
        return self.bounds(place, interval, super().default_from(place, interval, end) - 1, end)[0]


class DefaultRangeIsAbsolute(Oracle):
    def default_from(self, place, interval, end):
        return end - {"minute": HOUR, "hour": DAY, "day": 30 * DAY, "week": 84 * DAY, "month": 365 * DAY}[interval]


class OneUserOfOneText(Oracle):
    def actor(self, event):
        actor = super().actor(event)
        return actor and actor[1]


class AnonymousFirst(Oracle):
    def actor(self, event):
        return super().actor({key: value for key, value in event.items() if key != "userId" or not event.get("anonymousId")})


class VisitorsAreNoUsers(Oracle):
    def visitor(self, event):
        return None


class VisitorsAreAnonymousIDs(Oracle):
    def actor(self, event):
        return super().actor({**event, "anonymousId": event.get("anonymousId") or event.get("visitorId")})


class OneVisitorEachTime(Oracle):
    def visitor(self, event):
        return event.get("visitorId") and event["id"]


class OnlyKnownUsers(Oracle):
    def actor(self, event):
        return super().actor({**event, "anonymousId": None})


class UsersNormalise(Oracle):
    def actor(self, event):
        actor = super().actor(event)
        return actor and (actor[0], unicodedata.normalize("NFC", actor[1]))


class NobodyIsAUser(Oracle):
    def counted(self, events, metric):
        return events


class NobodysEventsMakeGroups(Oracle):
    def counted(self, events, metric):
        return events

    def value(self, metric, events):
        return super().value(metric, super().counted(events, metric))


class NobodyIsIdentified(Oracle):
    def identity(self, event):
        return None


class EveryEventIdentifies(Oracle):
    def identity(self, event):
        return super().identity({**event, "type": "$identify"})


class IdentifyWithoutAUserIDCounts(Oracle):
    def identity(self, event):
        return super().identity({"userId": "", **event})


class IdentifyWithoutAnAnonymousIDCounts(Oracle):
    def identity(self, event):
        return super().identity({"anonymousId": "", **event})

    def actor(self, event):
        return super().actor(event) or (super().actor({"anonymousId": ""}) if "" in self.belongs_to else None)


class DoubledIdentifyCounts(Oracle):
    def stored(self, events):
        self.sent = events
        return super().stored(events)

    def identifying(self, question, begin, end):
        return self.sent


class IdentifyCountsInTheRange(Oracle):
    def identifying(self, question, begin, end):
        return [event for event in self.events if self.is_inside(event["timestamp"], begin, end)]


class IdentifyCountsUpToTheRange(Oracle):
    def identifying(self, question, begin, end):
        return [event for event in self.events if event["timestamp"] < end]


class IdentifyCountsFromTheRangeOn(Oracle):
    def identifying(self, question, begin, end):
        return [event for event in self.events if begin <= event["timestamp"]]


class IdentifyCountsIfSelected(Oracle):
    def identifying(self, question, begin, end):
        return [event for event in self.events if self.is_selected(event, question.filters)]


class IdentifyJoinsLaterEvents(Oracle):
    def owners(self, events):
        owners, self.since = super().owners(events), {}
        for event in sorted(events, key=lambda event: event["timestamp"]):
            pair = self.identity(event)
            if pair and owners[pair[0]] == pair[1]:
                self.since.setdefault(pair[0], event["timestamp"])
        return owners

    def actor(self, event):
        anonymous = event.get("anonymousId")
        if event.get("userId") is None and event["timestamp"] < self.since.get(anonymous, 0):
            return ("anonymous", anonymous)
        return super().actor(event)


class LatestIdentifyDecides(Oracle):
    def owner(self, claims):
        last = max(time for time, _ in claims)
        return super().owner([claim for claim in claims if claim[0] == last])


class FirstIdentifyToArriveDecides(Oracle):
    def owner(self, claims):
        return claims[0][1]


class LastIdentifyToArriveDecides(Oracle):
    def owner(self, claims):
        return claims[-1][1]


class EarliestIdentifyByTheMinute(Oracle):
    def owner(self, claims):
        return super().owner([(time // MINUTE, user) for time, user in claims])


class IdentifyTiesByLargest(Oracle):
    def owner(self, claims):
        first = min(claims)[0]
        return max((user for time, user in claims if time == first), key=str.encode)


class IdentifyTiesByArrival(Oracle):
    def owner(self, claims):
        return min(claims, key=lambda claim: claim[0])[1]


class IdentifyTiesByUTF16(Oracle):
    def owner(self, claims):
        return min(claims, key=lambda claim: (claim[0], claim[1].encode("utf-16-be")))[1]


class IdentifyTiesNormalise(Oracle):
    def owner(self, claims):
        return min(claims, key=lambda claim: (claim[0], unicodedata.normalize("NFC", claim[1]).encode()))[1]


class IdentifiedIDsNormalise(Oracle):
    def identity(self, event):
        pair = super().identity(event)
        return pair and (unicodedata.normalize("NFC", pair[0]), pair[1])

    def actor(self, event):
        actor = super().actor(event)
        owner = self.belongs_to.get(unicodedata.normalize("NFC", actor[1])) if actor and actor[0] == "anonymous" else None
        return actor if owner is None else ("user", owner)


class AnonymousIDsBelongToSeveral(Oracle):
    """All user ids that one anonymous id is named with are one user."""

    def owners(self, events):
        self.together = collections.defaultdict(set)
        for anonymous, user in filter(None, map(self.identity, events)):
            self.together[anonymous].add(user)
        return super().owners(events)

    def actor(self, event):
        actor = super().actor(event)
        if not actor or actor[0] == "anonymous":
            return actor
        return ("user", min([actor[1], *[min(users) for users in self.together.values() if actor[1] in users]]))


class OwnersBeforeUserIDs(Oracle):
    def actor(self, event):
        return super().actor({"anonymousId": event["anonymousId"]} if event.get("anonymousId") in self.belongs_to else event)


class IdentitiesAreAChain(Oracle):
    def actor(self, event):
        actor, seen = super().actor(event), set()
        while actor and actor[1] in self.belongs_to and actor not in seen:
            seen.add(actor)
            actor = ("user", self.belongs_to[actor[1]])
        return actor


class IdentifyEventsAreNoEvents(Oracle):
    def selected(self, question, begin, end):
        return [event for event in super().selected(question, begin, end) if not self.identity(event)]


class IdentifyEventsHaveNoUser(Oracle):
    def actor(self, event):
        return None if event["type"] == "$identify" else super().actor(event)


class FiltersOfUserIDsMerge(Oracle):
    def holds(self, event, name, text):
        return self.actor(event) == ("user", text) if name == "userId" else super().holds(event, name, text)


class FiltersOfAnonymousIDsMerge(Oracle):
    def holds(self, event, name, text):
        if name == "anonymousId" and text in self.belongs_to and self.actor(event) == ("user", self.belongs_to[text]):
            return True
        return super().holds(event, name, text)


class UserIDsAsADimensionMerge(Oracle):
    def keys(self, event, dimension):
        actor = self.actor(event)
        return [self.key(actor[1])] if dimension == "userId" and actor and actor[0] == "user" else super().keys(event, dimension)


class AnonymousIDsAsADimensionMerge(Oracle):
    def keys(self, event, dimension):
        return [(NULL, None)] if dimension == "anonymousId" and event.get(dimension) in self.belongs_to else super().keys(event, dimension)


class SumsRoundAtEachStep(Oracle):
    def sum(self, values):
        total = 0.0
        for value in values:
            total += value
        return total


class SumsOfIntegersAreExact(Oracle):
    def values(self, event, path):
        return [value for value in self.at(event, path) if self.is_number(value)]

    def sum(self, values):
        return float(sum(map(fractions.Fraction, values)))


class TextIsANumber(Oracle):
    def values(self, event, path):
        values = [value for value in self.at(event, path) if isinstance(value, (int, float, str)) and not isinstance(value, bool)]
        return [float(value) for value in values if not isinstance(value, str) or value.isdecimal()]


class TrueIsOne(Oracle):
    def is_number(self, value):
        return isinstance(value, (int, float))


class ArraysHaveNoValues(Oracle):
    def values(self, event, path):
        values = super().values(event, path)
        return values if len(values) == 1 else []


class SumOfNothingIsNull(Oracle):
    def sum(self, values):
        return super().sum(values) if values else None


class AverageByEvents(Oracle):
    def average(self, values, events):
        return self.sum(values) / len(events)


class AverageOfNothingIsZero(Oracle):
    def value(self, metric, events):
        value = super().value(metric, events)
        return 0 if value is None else value


class QuantilesAreValues(Oracle):
    def quantile(self, values, q):
        return values[round((len(values) - 1) * q)]


class QuantilesByCount(Oracle):
    def quantile(self, values, q):
        h = max(0, len(values) * q - 1)
        return values[int(h)] + (h - int(h)) * (values[min(int(h) + 1, len(values) - 1)] - values[int(h)])


class QuantilesOfDifferentValues(Oracle):
    def quantile(self, values, q):
        return super().quantile(sorted(set(values)), q)


class P90IsP99(Oracle):
    def quantile(self, values, q):
        return super().quantile(values, QUANTILES["p99"] if q == QUANTILES["p90"] else q)


class ElementsCountEachTime(Oracle):
    def groups(self, events, dimension):
        groups = super().groups(events, dimension)
        if "." in dimension:
            for key, own in groups.items():
                groups[key] = [event for event in own for _ in range(max(1, [self.key(found) for found in self.at(event, dimension)].count(key)))]
        return groups


class MissingKeysAreNone(Oracle):
    def keys(self, event, dimension):
        return [key for key in super().keys(event, dimension) if key[0] != NULL]


class NullsInArraysAreKeys(Oracle):
    def keys(self, event, dimension):
        keys = super().keys(event, dimension)
        return keys if "." not in dimension or (NULL, None) in keys or None not in self.at(event, dimension) else [*keys, (NULL, None)]


class KeysAreTexts(Oracle):
    def key(self, value):
        key = super().key(value)
        return key and (STRING, str(value).encode())


class BooleansAreNumbers(Oracle):
    def key(self, value):
        key = super().key(value)
        return key and ((NUMBER, int(value)) if key[0] == BOOLEAN else key)


class BooleansAreNoKeys(Oracle):
    def key(self, value):
        return None if isinstance(value, bool) else super().key(value)


class IntegersAreNotDoubles(Oracle):
    def key(self, value):
        key = super().key(value)
        return (NUMBER, value + 0.25) if key and key[0] == NUMBER and isinstance(value, float) and value.is_integer() and abs(value) < 1e9 else key


class KeysAreNearestDoubles(Oracle):
    def key(self, value):
        key = super().key(value)
        return (NUMBER, float(value)) if key and key[0] == NUMBER else key


class KeysNormalise(Oracle):
    def key(self, value):
        return super().key(unicodedata.normalize("NFC", value) if isinstance(value, str) else value)


class KeysLoseAByteOrderMark(Oracle):
    def key(self, value):
        return super().key(value.lstrip("\ufeff") if isinstance(value, str) else value)


class TiesByUTF16(Oracle):
    def rank(self, key):
        return (key[0], key[1].decode().encode("utf-16-be")) if key[0] == STRING else super().rank(key)


class TiesOfNumbersByText(Oracle):
    def rank(self, key):
        return (key[0], str(key[1])) if key[0] == NUMBER else super().rank(key)


class TiesNullLast(Oracle):
    def rank(self, key):
        return (9, 0) if key[0] == NULL else super().rank(key)


class TiesStringsBeforeNumbers(Oracle):
    def rank(self, key):
        return ({STRING: 1.5}.get(key[0], key[0]), super().rank(key)[1])


class TiesTrueFirst(Oracle):
    def rank(self, key):
        return (key[0], not key[1]) if key[0] == BOOLEAN else super().rank(key)


class TiesReversed(Oracle):
    def ranked(self, groups, metric):
        return sorted(super().ranked(groups, metric)[::-1], key=lambda item: -item[1])


class SmallestFirstWithMin(Oracle):
    def ranked(self, groups, metric):
        ranked = super().ranked(groups, metric)
        return sorted(ranked, key=lambda item: item[1]) if metric.startswith("min") else ranked


class RankedByEvents(Oracle):
    def ranked(self, groups, metric):
        return sorted(super().ranked(groups, metric), key=lambda item: (-len(groups[item[0]]), self.rank(item[0])))


class KeysWithoutAValueStay(Oracle):
    def ranked(self, groups, metric):
        found = [(key, self.value(metric, events)) for key, events in groups.items()]
        return sorted(found, key=lambda item: (item[1] is None, -(item[1] or 0), self.rank(item[0])))

    def share(self, value, total):
        return None if value is None else super().share(value, total)


class ShareOfNothingIsZero(Oracle):
    def share(self, value, total):
        return value / total if total else 0


class ShareInPercent(Oracle):
    def share(self, value, total):
        return 100 * value / total if total else None


class OtherIsWhatTheListedLeave(Oracle):
    def top_other(self, unlisted, metric, total, items):
        return total - sum(value for _, value in items) if metric in ("events", "users") else super().top_other(unlisted, metric, total, items)


class OtherHasNoListedKey(Oracle):
    def unlisted(self, events, dimension, listed, metric):
        return [event for event in events if not set(self.keys(event, dimension)) & listed]


class OtherIsAllEvents(Oracle):
    def unlisted(self, events, dimension, listed, metric):
        return events


class OtherAddsItsGroups(Oracle):
    def other_line(self, groups, events, dimension, names, metric, bounds):
        line = super().other_line(groups, events, dimension, names, metric, bounds)
        if not line or metric not in ("events", "users"):
            return line
        lines = [self.line(own, metric, bounds) for key, own in groups.items() if key not in names]
        return {"values": [sum(values) for values in zip(*[each["values"] for each in lines])], "total": sum(each["total"] for each in lines)}


class OtherIsNeverNull(Oracle):
    def other_line(self, groups, events, dimension, names, metric, bounds):
        return super().other_line(groups, events, dimension, names, metric, bounds) or self.line([], metric, bounds)


class TotalsAddBuckets(Oracle):
    def total(self, events, metric, values):
        return sum(values) if metric == "users" else super().total(events, metric, values)


class TotalsAddRoundedBuckets(Oracle):
    def total(self, events, metric, values):
        return sum(values) if metric.startswith("sum") else super().total(events, metric, values)


class EmptyBucketsAreLeftOut(Oracle):
    def lines(self, question, place, begin, bounds, events, names):
        used = {self.bucket(event["timestamp"], bounds) for event in events}
        kept = [bounds[index] for index in range(len(bounds) - 1) if index in used] or bounds[:1]
        return super().lines(question, place, begin, [*kept, bounds[-1]], events, names)


class ComparesSecondsEarlier(Oracle):
    def weeks_earlier(self, place, time, weeks):
        return time - weeks * 7 * DAY


class ComparesWeeksBelow(Oracle):
    def weeks(self, length):
        return max(1, length // (7 * DAY))


class ComparesOneWeek(Oracle):
    def weeks(self, length):
        return 1


class ComparesTheRangeBefore(Oracle):
    def earlier(self, question, place, begin, end, bounds):
        earlier = super().earlier(question, place, begin, end, bounds)
        return (begin - (end - begin), begin) if question.given.get("compare") else earlier


class ComparesMonthsByWeeks(Oracle):
    def months_earlier(self, place, time, months):
        return self.weeks_earlier(place, time, months * 4)


class ComparesOneMonth(Oracle):
    def months_earlier(self, place, time, months):
        return super().months_earlier(place, time, 1)


class ComparesItsOwnGroups(Oracle):
    def compared_names(self, names, events, question):
        if names is None:
            return None
        own = self.ranked(self.groups(events, question.given["groupBy"]), question.metric)
        return [key for key, _ in own][: question.number("limit")]


MUTANTS = [mutant for mutant in list(globals().values()) if isinstance(mutant, type) and issubclass(mutant, Oracle) and mutant is not Oracle]
