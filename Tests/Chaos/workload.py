"""The clients: threads that send events, retry what was not accepted with the same ids, and ask for counts meanwhile."""

import http.client
import json
import random
import threading
import time
import urllib.parse

from ledger import Event, rfc3339

HOUR = 3_600_000
# Valid text that is read wrongly by whoever compares characters, folds case, normalises or interprets it.
ODD = [
    "page_view", "sign.up", "é", "e\u0301", "\u0301begins", "ends\u0600", "👩\u200d👩\u200d👧", "\u202eرب", "$inc", "$a.b", "日本語", "ﬁ",
    "x" * 200, "a b", "İı", "\U0001f1e9\U0001f1ea", "__other__x", "\\\"'"]
# A minute some days ago that every client writes to.
HOT = (int(time.time() * 1000) // (24 * HOUR) - 3) * 24 * HOUR + 12 * HOUR + 34 * 60_000


class Unanswered(Exception):
    pass


class Client(threading.Thread):
    """One thread with one connection. Draws what it does from its own seed."""

    def __init__(self, number, seed, port, ledger, is_over, pause):
        super().__init__(name=f"client-{number}", daemon=True)
        self.number, self.random = number, random.Random(f"{seed}/client/{number}")
        self.port, self.ledger, self.is_over, self.pause = port, ledger, is_over, pause
        self._connection = None
        self._made = 0
        self._own = []
        self._set = None

    def run(self):
        actions = [
            (self._single, 20), (self._batch, 22), (self._keyed, 10), (self._anonymous, 5), (self._awaited, 22), (self._rival, 10),
            (self._again, 6), (self._broken, 3), (self._large, 2)]
        names, weights = zip(*actions)
        while not self.is_over():
            try:
                self.random.choices(names, weights)[0]()
            except Exception as error:  # noqa: BLE001 - a client that ends silently shows nothing
                self.ledger.violate(f"{self.name} failed: {error!r}")
            time.sleep(self.pause * self.random.uniform(0.3, 1.7))

    # ---- events

    def _event(self, **fixed):
        self._made += 1
        token = f"c{self.number}-{self._made}"
        fields = {
            "token": token, "id": self._id(token), "type": self.random.choice(ODD), "source": self.random.choice(ODD[:8]),
            "timestamp": self._timestamp(), "data": self._data(token), "user": self.random.choice([None, "u1", "u\u0301"])}
        return Event(**{**fields, **fixed})

    def _id(self, token):
        return self.random.choice(["", "", "", "\u0301", "é ", "$", "a.b/", "👩\u200d👩 "]) + token

    def _timestamp(self):
        now = int(time.time() * 1000)
        draw = self.random.random()
        if draw < 0.3:
            return None
        if draw < 0.5:
            return now - self.random.randrange(3_000)
        if draw < 0.65:
            return HOT + self.random.randrange(60_000)
        if draw < 0.8:
            return now - self.random.randrange(48 * HOUR)
        if draw < 0.98:
            return HOT + self.random.randrange(-5 * 24 * HOUR, 0)
        # The ends of a leap day and of a year.
        return self.random.choice([1_709_251_199_999, 1_709_251_200_000, 1_735_689_599_999])

    def _data(self, token):
        extra = self.random.choice([
            {}, {"n": self.random.randrange(-(2**62), 2**62)}, {"$set": {"a.b": 1.5, "": [True, None]}}, {"text": "\u0000\u001f\u2028é"},
            {"deep": [[[[{"x": [0.1, 1e300, -0.5]}]]]]}])
        return {"t": token, **extra}

    # ---- what a client does

    def _single(self):
        is_cloud = self.random.random() < 0.3
        event = self._event(form="cloud" if is_cloud else "native")
        self._post("/api/v1/events", [event], single=True)

    def _batch(self):
        count = self.random.choice([2, 5, 20, 20, 60, 250])
        events = [self._event() for _ in range(count)]
        if self.random.random() < 0.2:
            # The same event twice in one batch.
            events.insert(self.random.randrange(count), self.random.choice(events))
        self._post("/api/v1/events/batch", events)

    def _keyed(self):
        """No ids: the key makes them, from the position."""
        self._made += 1
        key = f"key-{self.number}-{self._made}"
        events = [self._event(id=None) for _ in range(self.random.choice([1, 3, 12]))]
        self._post("/api/v1/events/batch", events, key=key)

    def _anonymous(self):
        """Neither ids nor a key: not to be sent again, for that would be another event."""
        self._post("/api/v1/events", [self._event(id=None)], single=True, retry=False)

    def _awaited(self):
        """A set of events with a type of its own: what was answered 200 must be counted at once."""
        if self._set is None or self.random.random() < 0.05:
            self._made += 1
            self._set = f"set{self.random.choice(ODD[2:8])}-{self.number}-{self._made}"
        is_single = self.random.random() < 0.5
        events = [self._event(type=self._set) for _ in range(1 if is_single else self.random.choice([2, 10, 120]))]
        path = "/api/v1/events" if is_single else "/api/v1/events/batch"
        if self._post(path + "?wait=stored&timeout=10", events, single=is_single, awaited=True):
            check_set(self, self._set)

    def _rival(self):
        """An id that is taken, with other content."""
        if not self._own:
            return
        first = self.random.choice(self._own)
        rival = self._event(id=first.id)
        first.has_rival = rival.has_rival = True
        self._post("/api/v1/events/batch", [rival, self._event()])

    def _again(self):
        if self._own:
            self._post("/api/v1/events/batch", self.random.sample(self._own, min(5, len(self._own))))

    def _broken(self):
        events = [self._event(is_valid=self.random.random() < 0.5) for _ in range(4)]
        self._post("/api/v1/events/batch", events)

    def _large(self):
        event = self._event()
        event.data["large"] = self.random.choice(["x", "é", "\u0001"]) * self.random.randrange(1_000, 35_000)
        self._post("/api/v1/events", [event], single=True)

    # ---- HTTP

    def _post(self, path, events, single=False, key=None, retry=True, awaited=False):
        """Sends until an answer settles every event. Returns whether all were answered to be stored, 200."""
        self.ledger.sent(events)
        headers = {"Content-Type": "application/json"}
        if single and events[0].form == "cloud":
            headers["Content-Type"] = "application/cloudevents+json"
        if key:
            headers["Idempotency-Key"] = key
        bodies = [event.body() for event in events]
        if not single and self.random.random() < 0.4:
            headers["Content-Type"] = "application/x-ndjson"
            body = "\n".join(json.dumps(item, ensure_ascii=False) for item in bodies)
        else:
            body = json.dumps(bodies[0] if single else bodies, ensure_ascii=self.random.random() < 0.5)
        agent = self.random.choice(["python", "\u0301x", "ends\u0600", "Mozilla/5.0 (X11; Linux x86_64)"])
        headers["User-Agent"] = agent.encode()
        deadline = time.monotonic() + 60
        while True:
            try:
                status, answer = self.request("POST", path, body.encode(), headers)
                settled = self._settle(events, single, status, answer)
            except Unanswered:
                self.ledger.answers["POST no answer"] += 1
                self.ledger.leave_open(events)
                settled = None
            if settled is not None or not retry or time.monotonic() > deadline or self.is_over(grace=True):
                return bool(settled) and awaited and status == 200
            time.sleep(self.random.uniform(0.05, 0.6))

    def _settle(self, events, single, status, answer):
        """Writes the answer down. None: to be sent again."""
        self.ledger.answers[f"POST {status}"] += 1
        if status in (200, 202):
            rejected = {item["index"] for item in answer.get("rejected", [])}
            good = [event for index, event in enumerate(events) if index not in rejected]
            is_countable = status == 200 and not answer.get("deadLettered")
            if single and events[0].id is None:
                events[0].id = answer["id"]
            if not single and answer["accepted"] != len(good):
                self.ledger.violate(f"{answer['accepted']} accepted and {len(rejected)} rejected of {len(events)}")
            self.ledger.acknowledge(good, is_countable)
            self.ledger.reject([events[index] for index in rejected], answer.get("rejected"))
            self._own += [event for event in good if event.id and event.form == "native"][:3]
            del self._own[:-100]
            return True
        if status in (400, 413, 415, 422):
            self.ledger.reject(events, answer)
            return False
        if "retry" in answer:
            open_ = {item["index"] for item in answer["retry"]} | {item["index"] for item in answer["rejected"]}
            self.ledger.acknowledge([event for index, event in enumerate(events) if index not in open_])
        self.ledger.leave_open([event for event in events if not event.acknowledged])
        return None

    def request(self, method, path, body=None, headers=None):
        """Status and JSON. Unanswered: it may have been carried out or not."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=25)
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._connection:
                self._connection.close()
            self._connection = None
            raise Unanswered from error

    def total(self, query):
        """A count, or None when there is no answer now."""
        try:
            status, answer = self.request("GET", "/api/v1/events/counts?" + urllib.parse.urlencode(query))
        except Unanswered:
            self.ledger.answers["GET no answer"] += 1
            return None
        self.ledger.answers[f"GET {status}"] += 1
        return answer["total"] if status == 200 else None


def check_set(client, name, between=None):
    """A count must not be below what was said to be stored before it was asked, nor above what was sent when it was answered."""
    ledger = client.ledger

    def inside(event):
        return between is None or (event.timestamp is not None and between[0] <= event.timestamp < between[1])

    with ledger.lock:
        low = sum(event.countable and inside(event) for event in ledger.by_type[name])
    query = [("type", name)] + ([("from", rfc3339(between[0])), ("to", rfc3339(between[1]))] if between else [])
    for _ in range(20):
        total = client.total(query)
        if total is not None:
            break
        time.sleep(0.25)
    else:
        return
    with ledger.lock:
        high = sum(inside(event) or event.timestamp is None for event in ledger.by_type[name])
    ledger.answers["sets counted"] += 1
    if not low <= total <= high:
        ledger.violate(f"a count of {name!r} {between or ''} said {total}; {low} were stored before it, {high} were sent")


class Reader(Client):
    """Asks for older sets again and again: with ranges, and while nobody writes to them any more."""

    def run(self):
        while not self.is_over():
            with self.ledger.lock:
                names = [name for name in self.ledger.by_type if name.startswith("set")]
                name = self.random.choice(names) if names else None
                times = [e.timestamp for e in self.ledger.by_type[name] if e.timestamp is not None] if name else []
            if name:
                between = None
                if times and self.random.random() < 0.6:
                    between = (min(self.random.choice(times), self.random.choice(times)), max(times) + 1)
                check_set(self, name, between)
            time.sleep(self.pause)
