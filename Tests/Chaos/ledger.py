"""What was sent, and what the service said of it. Jepsen's words: acknowledged, indeterminate, rejected; lost, duplicated, unexpected,
recovered. An event is known by its token, which is unique to its content and lies in its `data`."""

import collections
import json
import threading


class Event:
    """`timestamp`: milliseconds, or None for the time of receipt. `id`: None where the service is to make one."""

    __slots__ = (
        "token", "id", "type", "source", "timestamp", "data", "form", "user", "acknowledged", "indeterminate", "rejected", "countable",
        "is_valid", "has_rival")

    def __init__(self, token, id, type, source, timestamp, data, form="native", user=None, is_valid=True):
        self.token, self.id, self.type, self.source, self.timestamp = token, id, type, source, timestamp
        self.data, self.form, self.user, self.is_valid = data, form, user, is_valid
        self.acknowledged = self.indeterminate = self.rejected = self.countable = self.has_rival = False

    def body(self):
        if self.form == "cloud":
            event = {"specversion": "1.0", "id": self.id, "type": self.type, "source": self.source, "data": self.data}
            if self.timestamp is not None:
                event["time"] = rfc3339(self.timestamp)
            return event
        event = {"type": self.type, "source": self.source, "data": self.data}
        if self.id is not None:
            event["id"] = self.id
        if self.timestamp is not None:
            # Both spellings of a time, by the token so that a repetition has the same bytes.
            event["timestamp"] = self.timestamp if len(self.token) % 2 else rfc3339(self.timestamp)
        if self.user:
            event["userId"] = self.user
        if not self.is_valid:
            del event["type"]
        return event


def rfc3339(milliseconds):
    days, rest = divmod(milliseconds, 86_400_000)
    # Civil from days: no library's range of years, no time zone.
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    date = day - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    year += era * 400 + (month <= 2)
    second, millisecond = divmod(rest, 1000)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{millisecond:03}Z"
    return f"{year:04}-{month:02}-{date:02}T{clock}"


class Ledger:
    def __init__(self, path):
        self.lock = threading.Lock()
        self.events = {}
        self.by_type = collections.defaultdict(list)
        self.violations = []
        self.answers = collections.Counter()
        self._file = open(path, "w")

    def sent(self, events):
        with self.lock:
            for event in events:
                if event.token not in self.events:
                    self.events[event.token] = event
                    self.by_type[event.type].append(event)

    def acknowledge(self, events, is_countable=False):
        with self.lock:
            for event in events:
                event.acknowledged = True
                event.countable = event.countable or is_countable
            self._write("acknowledged", events)

    def leave_open(self, events):
        """No answer, or one that says that nothing is known."""
        with self.lock:
            for event in events:
                event.indeterminate = True
            self._write("indeterminate", events)

    def reject(self, events, why):
        with self.lock:
            for event in events:
                event.rejected = True
                if event.is_valid:
                    self.violations.append(f"a valid event was rejected: {event.token} {event.id!r}: {why}")
            self._write("rejected", events)

    def violate(self, text):
        with self.lock:
            self.violations.append(text)
            self._file.write(json.dumps({"violation": text}) + "\n")

    def close(self):
        self._file.close()

    def totals(self):
        """Of each event one word; what was acknowledged once is acknowledged."""
        with self.lock:
            words = collections.Counter()
            for event in self.events.values():
                words["acknowledged" if event.acknowledged else "indeterminate" if event.indeterminate else "rejected"] += 1
            return words

    def _write(self, word, events):
        for event in events:
            line = {word: event.token, "id": event.id, "type": event.type, "source": event.source, "timestamp": event.timestamp}
            self._file.write(json.dumps(line) + "\n")
