"""A time zone as a list of stretches with one offset, from the system's zone data as `zoneinfo` reads it. Moments are milliseconds since 1970."""

import datetime
import functools
import zoneinfo

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
EPOCH = datetime.datetime(1970, 1, 1)
# No zone has ever been further from UTC than this.
FURTHEST = 36 * HOUR
BLOCK = 64 * DAY


def date_of(day):
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=day)


def day_of(date):
    return (date - datetime.date(1970, 1, 1)).days


class Zone:
    def __init__(self, name):
        self.name = name
        self._zone = zoneinfo.ZoneInfo(name)
        self._changes = {}

    def offset(self, moment):
        """Milliseconds that the zone's clocks are ahead of UTC."""
        offset = datetime.datetime.fromtimestamp(moment // SECOND, self._zone).utcoffset()
        return (offset.days * 86_400 + offset.seconds) * SECOND

    def clock(self, moment):
        """What the zone's clocks show, as milliseconds of a calendar without zones."""
        return moment + self.offset(moment)

    def day(self, moment):
        return self.clock(moment) // DAY

    def changes(self, begin, end):
        """The moments in [begin, end) at which the offset changes. Two changes within an hour would be missed; no zone has had them."""
        found = []
        for block in range(begin // BLOCK, (end - 1) // BLOCK + 1):
            if block not in self._changes:
                self._changes[block] = list(self._find(block * BLOCK, (block + 1) * BLOCK))
            found += [moment for moment in self._changes[block] if begin <= moment < end]
        return found

    def _find(self, begin, end):
        before = begin - HOUR
        offset = self.offset(before)
        for moment in range(begin, end + HOUR, HOUR):
            after = self.offset(moment)
            if after != offset:
                low, high = before, moment
                while high - low > SECOND:
                    middle = (low + high) // 2 // SECOND * SECOND
                    low, high = (middle, high) if self.offset(middle) == offset else (low, middle)
                if begin <= high < end:
                    yield high
            before, offset = moment, after

    def stretches(self, begin, end):
        """[begin, end) cut at the changes of the offset: (begin, end, offset)."""
        cuts = [begin, *[moment for moment in self.changes(begin, end) if moment > begin], end]
        return [(low, high, self.offset(low)) for low, high in zip(cuts, cuts[1:])]

    @functools.lru_cache(maxsize=100_000)
    def first_moment(self, clock):
        """The first moment at which the zone's clocks show `clock`, or more if they leave it out."""
        for begin, end, offset in self.stretches(clock - FURTHEST, clock + FURTHEST):
            moment = max(begin, clock - offset)
            if moment < end:
                return moment
        raise ValueError(f"{self.name} never shows {clock}")

    def clock_starts(self, begin, end, step):
        """The moments in [begin, end) at which the clocks show a full `step`, or the offset changes."""
        changes = set(self.changes(begin, end))
        for low, high, offset in self.stretches(begin, end):
            first = -(-(low + offset) // step) * step - offset
            if low in changes and low < first:
                yield low
            yield from range(first, high, step)

    @functools.lru_cache(maxsize=100_000)
    def text(self, moment):
        """RFC 3339 with the offset of that moment, to the second; to the millisecond only where it is not whole."""
        offset = self.offset(moment) // MINUTE
        shown = EPOCH + datetime.timedelta(milliseconds=self.clock(moment))
        sign = "-" if offset < 0 else "+"
        spec = "milliseconds" if moment % SECOND else "seconds"
        return f"{shown.isoformat(timespec=spec)}{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"


@functools.lru_cache(maxsize=None)
def zone(name):
    return Zone(name)


def moment(value):
    """RFC 3339 with any offset, or milliseconds."""
    if isinstance(value, int):
        return value
    time = datetime.datetime.fromisoformat(value.upper().replace("Z", "+00:00"))
    return round((time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(milliseconds=1))
