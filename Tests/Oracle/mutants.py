"""The oracle with one definition got wrong at a time. Each must give another answer somewhere, or nothing checks that definition."""

import collections
import datetime
import fractions
import unicodedata

from oracle import BOOLEAN, NULL, NUMBER, QUANTILES, STRING, Body, Oracle
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


class BotsTakeSteps(Oracle):
    """In funnels and retention."""

    def leaves_out_bots(self, question):
        return super().leaves_out_bots(question) and not isinstance(question, Body)


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


class AllBucketsAreWhole(Oracle):
    def parts(self, route, bounds, end):
        return bounds


class NoBucketIsWhole(Oracle):
    def parts(self, route, bounds, end):
        return [*bounds[:-1], end] if bounds else []


class LastBucketIsIncomplete(Oracle):
    def incomplete_from(self, place, bounds, end, now):
        return place.text(bounds[-2]) if bounds and bounds[-1] > now else None


class EventsAreInTheBucketThatTheyEnd(Oracle):
    def bucket(self, time, bounds):
        return super().bucket(max(time - 1, bounds[0]), bounds)


class DefaultRangeHasOneBucketMore(Oracle):
    def default_from(self, place, interval, end, count):
        return self.bounds(place, interval, super().default_from(place, interval, end, count) - 1, end)[0]


class DefaultRangeIsAbsolute(Oracle):
    def default_from(self, place, interval, end, count):
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


class SessionsKnowTheRangeAlone(Oracle):
    def made_of(self, question, begin, end):
        return [event for event in super().made_of(question, begin, end) if self.is_inside(event["timestamp"], begin, end)]


class SessionsForgetWhatWasBefore(Oracle):
    def made_of(self, question, begin, end):
        return [event for event in super().made_of(question, begin, end) if event["timestamp"] >= begin]


class SessionsLookBackAnHour(Oracle):
    def made_of(self, question, begin, end):
        return [event for event in super().made_of(question, begin, end) if event["timestamp"] >= begin - HOUR]


class SessionsEndWithTheRange(Oracle):
    def measured(self, visit, end):
        return [event for event in super().measured(visit, end) if event["timestamp"] < end]


class SessionsAreNeverTooLong(Oracle):
    def measured(self, visit, end):
        return visit


class SessionsAreMeasuredBelowADay(Oracle):
    def measured(self, visit, end):
        return [event for event in visit if event["timestamp"] - visit[0]["timestamp"] < DAY]


class AGapIsAtLeastItsLength(Oracle):
    def ends(self, visit, event, gap):
        return event["timestamp"] - visit[-1]["timestamp"] >= self.pause(event, gap)


class GapsFromTheStart(Oracle):
    def ends(self, visit, event, gap):
        return event["timestamp"] - visit[0]["timestamp"] > self.pause(event, gap)


class GapsAreOfHalfAnHour(Oracle):
    def gap(self, question):
        return 30 * MINUTE


class SessionIDsEndAfterTheGap(Oracle):
    def pause(self, event, gap):
        return gap


class SessionIDsNeverEnd(Oracle):
    def pause(self, event, gap):
        return gap if event.get("sessionId") is None else 10_000 * DAY


class SessionIDsAreNothing(Oracle):
    def chain(self, event):
        return self.actor(event)

    def pause(self, event, gap):
        return gap


class SessionIDsAreOfNobody(Oracle):
    def chain(self, event):
        return None if event.get("sessionId") else self.actor(event), event.get("sessionId")


class SessionIDsNormalise(Oracle):
    def chain(self, event):
        return self.actor(event), unicodedata.normalize("NFC", event.get("sessionId") or "")


class EventsWithoutASessionIDJoin(Oracle):
    """Those that lie within a session of a client's."""

    def made_of(self, question, begin, end):
        events = sorted(super().made_of(question, begin, end), key=lambda event: event["timestamp"])
        last, joined = {}, []
        for event in events:
            actor = self.actor(event)
            if event.get("sessionId"):
                last[actor] = event["timestamp"], event["sessionId"]
            elif actor in last and event["timestamp"] - last[actor][0] <= self.gap(question):
                event = {**event, "sessionId": last[actor][1]}
            joined.append(event)
        return joined


class EventsWithoutAUserHaveSessions(Oracle):
    def made_of(self, question, begin, end):
        return [event for event in self.events if self.is_asked_about(event, question)]


class FiltersSelectSessions(Oracle):
    def visits(self, question, begin, end, gap):
        filters, question.filters = question.filters, {}
        visits = super().visits(question, begin, end, gap)
        question.filters = filters
        return [visit for visit in visits if any(self.is_selected(event, filters) for event in visit)]


class SessionsBelongToTheirEnd(Oracle):
    def placed(self, visit):
        return visit[-1]["timestamp"]


class StartsAreOneEvent(Oracle):
    def first_moment(self, visit):
        return visit[:1]


class StartsAreAllOfASession(Oracle):
    def first_moment(self, visit):
        return visit


class LengthsInSeconds(Oracle):
    def length(self, visit):
        return super().length(visit) // 1_000 * 1_000


class BouncesAreShort(Oracle):
    def is_bounce(self, visit):
        return self.length(visit) == 0


class SessionUsersAreSessions(Oracle):
    def users_of(self, visits):
        return len(visits)


class PagesOfTheFirstEventAlone(Oracle):
    def page(self, visit, path):
        return super().page(visit[:1], path)


class PagesTieByTheLargest(Oracle):
    def rank(self, key):
        kind, value = super().rank(key)
        return (-kind, value)

    def ranked(self, groups, metric):
        rank, self.rank = self.rank, super().rank
        try:
            return super().ranked(groups, metric)
        finally:
            self.rank = rank


class ExitPagesAreEntryPages(Oracle):
    def exit_page(self, visit, path):
        return self.page(visit, path)


class PageSharesOfSessionsWithAPage(Oracle):
    def page_share(self, count, counts, visits):
        return count / sum(counts.values())


class WindowsEndBefore(Oracle):
    def is_within(self, time, entry, window):
        return time - entry < window


class WindowsAreCutAfterwards(Oracle):
    def is_within(self, time, entry, window):
        return True

    def in_time(self, way, window):
        return [time for time in way if time - way[0] <= window]


class WindowsFromStepToStep(Oracle):
    def is_within(self, time, entry, window):
        return True

    def in_time(self, way, window):
        return way[:next((index for index in range(1, len(way)) if way[index] - way[index - 1] > window), len(way))]


class EntriesAreAnywhere(Oracle):
    def enters(self, entry, begin, end):
        return True


class WaysEndWithTheRange(Oracle):
    def seen(self, events, body, end):
        return [event for event in events if event["timestamp"] < end]


class TheFirstEntryCounts(Oracle):
    def best(self, ways):
        return ways[0] if ways else None


class TheLastOfTheBestCounts(Oracle):
    def best(self, ways):
        return super().best(ways[::-1])


class TheFastestOfTheBestCounts(Oracle):
    def best(self, ways):
        return max(ways, key=lambda way: (len(way[0]), way[0][:1], way[0][0] - way[0][-1]), default=None)


class EventsServeSeveralSteps(Oracle):
    def may_follow(self, events, index, time, used):
        return events[index]["timestamp"] >= time


class StepsAreLater(Oracle):
    def may_follow(self, events, index, time, used):
        return events[index]["timestamp"] > time


class StepsInTheOrderOfArrival(Oracle):
    def may_follow(self, events, index, time, used):
        return super().may_follow(events, index, time, used) and index > max(used)


class StrictIsOrdered(Oracle):
    way_strict = Oracle.way_ordered


class StrictIgnoresWhatIsNoStep(Oracle):
    def way_strict(self, events, fits, count, entry):
        kept = [index for index, own in enumerate(fits) if any(own)]
        return super().way_strict([events[index] for index in kept], [fits[index] for index in kept], count, entry)


class StrictIsLaterAtEachStep(Oracle):
    def way_strict(self, events, fits, count, entry):
        times = super().way_strict(events, fits, count, entry)
        return [time for index, time in enumerate(times) if time not in times[:index]]


class AnyIsOrdered(Oracle):
    def way_any(self, events, fits, count, entry):
        return self.way_ordered(events, fits, count, entry)


class AnyEventsServeAllTheirSteps(Oracle):
    def way_any(self, events, fits, count, entry):
        times, served = [], set()
        for event, own in zip(events, fits):
            if event["timestamp"] >= entry:
                more = {step for step in range(count) if own[step]} - served
                served |= more
                times += [event["timestamp"]] * len(more)
        return times


class AnyEntersWithTheFirstStep(Oracle):
    def is_entry(self, fits, order):
        return fits[0]


class AnyEventsServeTheirFirstFreeStep(Oracle):
    def way_any(self, events, fits, count, entry):
        times, served = [], set()
        for event, own in zip(events, fits):
            free = [step for step in range(count) if own[step] and step not in served]
            if event["timestamp"] >= entry and free:
                served.add(free[0])
                times.append(event["timestamp"])
        return times


class ExclusionsExcludeNothing(Oracle):
    def excludes(self, exclusion, step, last):
        return False


class ExclusionsAreBetweenAllSteps(Oracle):
    def excludes(self, exclusion, step, last):
        return True


class ExclusionsGoOneStepFurther(Oracle):
    def excludes(self, exclusion, step, last):
        return exclusion.get("afterStep", 1) <= step <= exclusion.get("beforeStep", last)


class ExclusionsHoldAtTheMomentsOfSteps(Oracle):
    def is_between(self, time, before, after):
        return before <= time <= after


class ExclusionsExcludeTheWay(Oracle):
    def included(self, way, body, events):
        return way if super().included(way, body, events) == way else way[:1]


class SharesOfPreviousAreOfTheFirst(Oracle):
    def previous(self, step):
        return 0


class StepTimesFromTheEntry(Oracle):
    def step_time(self, times, step):
        return times[step] - times[0]


class GroupsOfTheFirstEventAlone(Oracle):
    def grouped_by(self, way):
        return way[1][:1]


class PatternsIgnoreData(Oracle):
    def fits(self, event, pattern):
        return super().fits(event, {name: value for name, value in pattern.items() if name != "data"})


class PatternsIgnoreSources(Oracle):
    def fits(self, event, pattern):
        return super().fits(event, {name: value for name, value in pattern.items() if name != "sources"})


class FunnelsWithoutFilters(Oracle):
    def histories(self, question):
        question.filters = {}
        return super().histories(question)


class FirstEverIsFirstInTheRange(Oracle):
    def cohorts_of(self, question, events, edges, begin, end):
        return super().cohorts_of(question, [event for event in events if self.is_inside(event["timestamp"], begin, end)], edges, begin, end)


class FirstsAreAlwaysTheFirst(Oracle):
    def firsts(self, question, events):
        return super().firsts(question, events)[:1]


class FirstsAreNeverTheFirst(Oracle):
    def firsts(self, question, events):
        return [event["timestamp"] for event in events if self.fits(event, question.body.get("first", {}))]


class CohortsAreWholeBuckets(Oracle):
    def cohorts_of(self, question, events, edges, begin, end):
        bounds = [edge for edge in edges if edge >= end]
        return super().cohorts_of(question, events, edges, edges[0], bounds[0])


class ReturnsAreLater(Oracle):
    def returns(self, question, events, edges, begin, end):
        first = min(self.firsts(question, events), default=0)
        return super().returns(question, [event for event in events if event["timestamp"] > first], edges, begin, end)


class ReturnsBeginWithTheRange(Oracle):
    def returns(self, question, events, edges, begin, end):
        return super().returns(question, [event for event in events if event["timestamp"] >= begin], edges, begin, end)


class ReturnsEndWithTheRange(Oracle):
    def returns(self, question, events, edges, begin, end):
        return super().returns(question, [event for event in events if event["timestamp"] < end], edges, begin, end)


class PeriodsAreDaysOf24Hours(Oracle):
    def edges(self, place, interval, bounds, periods):
        edges = super().edges(place, interval, bounds, periods)
        return edges if interval != "day" else [edges[0] + index * DAY for index in range(len(edges))]


class OnIsOnOrAfter(Oracle):
    def is_back(self, returns, cohort, period, periods, mode):
        return super().is_back(returns, cohort, period, periods, "on_or_after" if mode == "on" else mode)


class OnOrAfterIsUnbounded(Oracle):
    def is_back(self, returns, cohort, period, periods, mode):
        return super().is_back(returns, cohort, period, periods, "unbounded" if mode == "on_or_after" else mode)


class UnboundedEndsWithThePeriods(Oracle):
    def is_back(self, returns, cohort, period, periods, mode):
        return super().is_back(returns, cohort, period, periods, "on_or_after" if mode == "unbounded" else mode)


class UnboundedEndsWithTheLastPeriodOfAll(Oracle):
    def returns(self, question, events, edges, begin, end):
        return super().returns(question, [event for event in events if event["timestamp"] < edges[-1]], edges, begin, end)


class PeriodsBeginAfterTheCohort(Oracle):
    def is_back(self, returns, cohort, period, periods, mode):
        return super().is_back(returns, cohort + 1, period, periods, mode)


class CohortsWithoutFromAsMany(Oracle):
    def usual_count(self, question):
        return {"minute": 60, "hour": 24, "day": 30, "week": 12, "month": 12}[question.interval]


class PeriodsAreIncompleteByTheirCohort(Oracle):
    def incomplete_from(self, place, bounds, end, now):
        return super().incomplete_from(place, [bound for bound in bounds if bound < end] + [end], end, now)


class NewIsFirstInTheRange(Oracle):
    def first_of_all(self, times, edges, begin):
        return min((time for time in times if time >= edges[1]), default=times[0])


class NewIsFirstFromTheBucketBefore(Oracle):
    def first_of_all(self, times, edges, begin):
        return min((time for time in times if time >= edges[0]), default=times[0])


class LifecycleCountsTheRangeAlone(Oracle):
    def counted_times(self, times, begin, end):
        return [time for time in times if time < end and not (begin > time >= begin - DAY)]


class LifecycleWithoutTheBucketBefore(Oracle):
    def was_there_before(self, bucket, there):
        return bucket > 1 and super().was_there_before(bucket, there)


class ReturningIsEver(Oracle):
    def state(self, bucket, there, first):
        state = super().state(bucket, there, first)
        return "returning" if state == "resurrecting" else state


class DormantStaysDormant(Oracle):
    def state(self, bucket, there, first):
        return super().state(bucket, there, first) or ("dormant" if any(one < bucket for one in there) else None)


class NewReturnsInItsBucket(Oracle):
    def state(self, bucket, there, first):
        state = super().state(bucket, there, first)
        return "resurrecting" if state == "new" else state


class BucketsBeforeAreDaysOf24Hours(Oracle):
    def before_first(self, place, interval, bounds):
        return bounds[0] - DAY


class StickinessOfWholeBuckets(Oracle):
    def within(self, question, begin, end, bounds):
        return self.selected(question, bounds[0], bounds[-1])


class StickinessIsASpan(Oracle):
    def buckets_of(self, buckets):
        return max(buckets) - min(buckets) + 1


class AtLeastIsMore(Oracle):
    def at_least(self, counts, number):
        return sum(count > number for count in counts)


class PathsBeginAtTheLast(Oracle):
    def origin(self, times, is_back):
        return times[0] if is_back else times[-1]


class PathsTakeTheirMomentInOrder(Oracle):
    """Also at the first one: what comes before the first event is no step."""

    def may_be_step(self, event, first, ordered):
        return ordered.index(event) > ordered.index(first)


class PathsLeaveTheirMoment(Oracle):
    def may_be_step(self, event, first, ordered):
        return event["timestamp"] != first["timestamp"]


class PathsInTheOrderOfArrival(Oracle):
    def moment_rank(self, key, event):
        return 0


class PathsByTheLargestKey(Oracle):
    def step_key(self, event, question):
        return max(self.keys(event, question.given.get("groupBy", "type")), key=self.rank)


class PathsHaveStepsWithoutAKey(Oracle):
    def is_step(self, key):
        return True


class EdgesPointAwayFromTheFirst(Oracle):
    def edge(self, near, far, is_back):
        return near, far


class PathUsersArePaths(Oracle):
    def path_users(self, actors):
        return len(actors)


class PathWindowsEndBefore(Oracle):
    def is_in_window(self, time, low, high, end):
        return low < time < high or time in (low, high)[:1] and low == high


class PathWindowsEndWithTheRange(Oracle):
    def is_in_window(self, time, low, high, end):
        return super().is_in_window(time, low, high, end) and time < end


class DroppedAreAllWhoDoNotReach(Oracle):
    def chosen(self, route, body, question, answer, begin, end):
        chosen = super().chosen(route, body, question, answer, begin, end)
        if route == "funnels" and body.get("dropped"):
            return self.behind.get((route, 1), set()) - self.behind.get((route, body["step"]), set())
        return chosen


class DroppedReturn(Oracle):
    def chosen(self, route, body, question, answer, begin, end):
        return super().chosen(route, body if route == "funnels" else {**body, "dropped": False}, question, answer, begin, end)


class PeopleAreNotMerged(Oracle):
    def people(self, body, now):
        self.owners = lambda events: {}
        return super().people(body, now)


class PeopleHaveAllTheirEvents(Oracle):
    def people(self, body, now):
        answer = super().people(body, now)
        counts = {}
        for event in self.events:
            counts[self.actor(event)] = counts.get(self.actor(event), 0) + 1
        kinds = {"userId": "user", "anonymousId": "anonymous", "visitorId": "visitor"}
        for person in answer["people"]:
            name = next(name for name in kinds if name in person)
            person["events"] = counts[kinds[name], person[name]]
        return answer


class VisitorsAreAnonymous(Oracle):
    def member(self, kind):
        return "userId" if kind == "user" else "anonymousId"


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
