#!/usr/bin/env python3
"""Asks a running service over gRPC, with Python's grpcio and messages made from protos/ here, and compares with what it answers over HTTP.

    check.py --http http://127.0.0.1:4000 --grpc 127.0.0.1:4001

The service must be empty. Exit status 0 when all is as it should be; else what is not is printed.
"""

import argparse
import json
import pathlib
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PROTOS = pathlib.Path(__file__).resolve().parents[2] / "protos"
sys.path.insert(0, str(PROTOS))

import grpc  # noqa: E402

# protos/grpc has the package's name.
grpc.__path__.append(str(PROTOS / "grpc"))

messages, services = grpc.protos_and_services("analytics.proto")
health_messages, health_services = grpc.protos_and_services("grpc/health/v1/health.proto")
reflection_messages, reflection_services = grpc.protos_and_services("grpc/reflection/v1/reflection.proto")

FROM, TO = "2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z"


class Check:
    def __init__(self, http, address):
        self.http = http
        self.address = address
        self.channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self.query = services.AnalyticsQueryStub(self.channel)
        self.ingest = services.IngestStub(self.channel)
        self.failures = []

    def same(self, what, found, expected):
        if found != expected:
            self.failures.append(f"{what}:\n  found    {found!r}\n  expected {expected!r}")

    def ask(self, path, parameters=None, body=None):
        """(status, answer) over HTTP."""
        query = urllib.parse.urlencode(parameters or [], doseq=True)
        request = urllib.request.Request(
            f"{self.http}{path}{'?' if query else ''}{query}",
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json"} if body is not None else {},
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def failure(self, call, *arguments, **options):
        """(status, text, code) of a call that fails."""
        try:
            answer = call(*arguments, timeout=60, **options)
            return None, str(answer)[:200], None
        except grpc.RpcError as error:
            return error.code().name, error.details(), dict(error.trailing_metadata() or []).get("problem-code")

    # ---- Events

    def events(self):
        event = messages.Event
        answer = self.ingest.Send(
            messages.SendRequest(
                events=[
                    event(id="one", type="view", source="web", timestamp="2026-03-02T10:00:00Z", user_id="ann",
                          data_json='{"n": 1234567890123456789, "t": "é"}', metadata_json='{"k":[1]}', session_id="s"),
                    event(id="two", type="", source="web"),
                    event(id="three", type="view", source="web", data_json='1,"userId":"mallory"'),
                    event(id="four", type="view", source="web", data_json="{"),
                ]
            ),
            timeout=30,
        )
        self.same("results", [(r.index, r.status, r.code) for r in answer.results],
                  [(0, 1, ""), (1, 2, "missing_field"), (2, 2, "invalid_json"), (3, 2, "invalid_json")])
        self.same("accepted", answer.accepted, 1)

        def batches():
            for batch in range(20):
                yield messages.SendRequest(
                    events=[
                        event(id=f"e{batch}-{i}", type=["view", "order", "signup"][i % 3], source=f"s{i % 2}", user_id=f"u{(batch * 7 + i) % 23}",
                              timestamp=f"2026-03-{1 + (batch + i) % 12:02}T{i % 24:02}:30:00Z",
                              data_json=json.dumps({"amount": i * 1.5, "plan": ["free", "pro", None, 7, True][i % 5]}))
                        for i in range(50)
                    ]
                )

        answer = self.ingest.SendStream(batches(), timeout=60)
        self.same("stream", (answer.received, answer.accepted, answer.rejected, answer.unconfirmed, len(answer.results)), (1000, 1000, 0, 0, 0))
        again = self.ingest.Send(messages.SendRequest(events=[event(type="view", source="web")], idempotency_key="key"), timeout=30)
        third = self.ingest.Send(messages.SendRequest(events=[event(type="view", source="web")], idempotency_key="key"), timeout=30)
        self.same("ids of an idempotency key", again.results[0].id, third.results[0].id)
        deadline = time.monotonic() + 30
        while self.ask("/api/v1/events/counts", {"to": "2026-04-01T00:00:00Z"})[1]["total"] < 1001:
            if time.monotonic() > deadline:
                self.failures.append("the events are not stored")
                return
            time.sleep(0.05)
        status, stored = self.ask("/api/v1/events/one")
        self.same("a stored event", (status, stored["userId"], stored["data"], stored["metadata"], stored["sessionId"]),
                  (200, "ann", {"n": 1234567890123456789, "t": "é"}, {"k": [1]}, "s"))
        self.same("what a comma would have begun", self.ask("/api/v1/events", {"userId": "mallory"})[1]["events"], [])

    # ---- Questions

    def optional(self, message, name):
        return getattr(message, name) if message.HasField(name) else None

    def key(self, key):
        return {None: None, True: "true", False: "false"}[key] if key is None or isinstance(key, bool) else str(key)

    def selection(self, parameters):
        names = {"from": "from", "to": "to", "tz": "time_zone"}
        selection = messages.Selection(**{names[n]: v for n, v in parameters.items() if n in names})
        for name, field in [("type", "types"), ("source", "sources"), ("userId", "user_ids")]:
            getattr(selection, field).extend(parameters.get(name, []))
        for name, values in parameters.items():
            if name.startswith("data."):
                selection.data.add(path=name[5:], values=values)
        selection.include_bots = parameters.get("bots") == "include"
        if "maxAge" in parameters:
            selection.max_age_seconds = parameters["maxAge"]
        return selection

    def range(self, what, found, expected):
        for name, member in [("from", "from"), ("to", "to"), ("time_zone", "tz")]:
            self.same(f"{what} {member}", getattr(found, name), expected[member])

    SELECTIONS = [
        {},
        {"tz": "Europe/Berlin", "type": ["view", "order"]},
        {"data.plan": ["pro", "7"], "bots": "include"},
        {"source": ["s1"], "userId": ["u1", "u2", "nobody"], "maxAge": 0},
    ]

    def timeseries(self):
        for selection in self.SELECTIONS:
            for metric in ["", "users", "sum(data.amount)", "avg(data.amount)", "sessions"]:
                for extra in [{}, {"interval": "hour"}, {"groupBy": "data.plan", "limit": 2}]:
                    parameters = {"from": FROM, "to": TO, **selection}
                    what = f"timeseries {metric} {parameters} {extra}"
                    status, expected = self.ask("/api/v1/analytics/timeseries", {**parameters, **extra, **({"metric": metric} if metric else {})})
                    request = messages.TimeseriesRequest(
                        metric=metric, selection=self.selection(parameters), interval=extra.get("interval", ""), group_by=extra.get("groupBy", "")
                    )
                    if "limit" in extra:
                        request.limit = extra["limit"]
                    if status != 200:
                        self.same(what, self.failure(self.query.GetTimeseries, request)[1:], (expected["detail"], expected["code"]))
                        continue
                    answer = self.query.GetTimeseries(request, timeout=60)
                    self.range(what, answer.range, expected)
                    self.same(f"{what} total", self.optional(answer, "total"), expected["total"])

                    def values(series):
                        return [(p.time, self.optional(p, "value")) for p in series]

                    def wanted(series):
                        return list(zip(expected["buckets"], series["values"]))

                    if extra.get("groupBy"):
                        self.same(what, [(self.optional(s, "key"), values(s.points), self.optional(s, "total")) for s in answer.series],
                                  [(self.key(s["name"]), wanted(s), s["total"]) for s in expected["series"]])
                        self.same(f"{what} other", values(answer.other.points) if answer.HasField("other") else None,
                                  wanted(expected["other"]) if expected["other"] else None)
                    else:
                        self.same(what, values(answer.points), wanted(expected["series"][0]))
                        self.same(f"{what} series", len(answer.series), 0)

    def top(self):
        for selection in self.SELECTIONS:
            for dimension in ["", "data.plan", "userId"]:
                for n in [0, 1, 3]:
                    parameters = {"from": FROM, "to": TO, **selection}
                    what = f"topn {dimension} {n} {parameters}"
                    _, expected = self.ask("/api/v1/analytics/topn", {**parameters, "dimension": dimension or "type", **({"n": n} if n else {})})
                    answer = self.query.GetTopN(messages.TopNRequest(n=n, dimension=dimension, selection=self.selection(parameters)), timeout=60)
                    self.same(what, [(self.optional(i, "key"), i.value, self.optional(i, "share")) for i in answer.items],
                              [(self.key(i["key"]), i["value"], i["share"]) for i in expected["items"]])
                    self.same(f"{what} sums", (self.optional(answer, "total"), self.optional(answer, "other")), (expected["total"], expected["other"]))

    def steps(self, steps):
        names = ["share_of_first", "share_of_previous", "median_seconds", "p90_seconds"]
        return [(s.users, *[self.optional(s, n) for n in names]) for s in steps]

    def wanted_steps(self, steps):
        names = ["users", "shareOfFirst", "shareOfPrevious", "medianSeconds", "p90Seconds"]
        return [tuple(s[n] for n in names) for s in steps]

    def funnel(self):
        pattern = messages.EventPattern
        body = {"from": FROM, "to": TO, "steps": [{"types": ["view"]}, {"types": ["order"], "data": {"plan": ["pro", "7"]}}, {"types": ["signup"]}],
                "order": "any", "windowSeconds": 400000, "groupBy": "data.plan", "limit": 2, "filters": {"sources": ["s0", "s1"]},
                "exclusions": [{"types": ["nothing"], "afterStep": 1, "beforeStep": 2}]}
        _, expected = self.ask("/api/v1/analytics/funnels", body=body)
        request = messages.FunnelRequest(
            steps=[pattern(types=["view"]), pattern(types=["order"], data=[messages.DataFilter(path="plan", values=["pro", "7"])]),
                   pattern(types=["signup"])],
            order="any", window_seconds=400000, group_by="data.plan", limit=2,
            selection=self.selection({"from": FROM, "to": TO, "source": ["s0", "s1"]}),
            exclusions=[messages.FunnelExclusion(events=pattern(types=["nothing"]), after_step=1, before_step=2)],
        )
        answer = self.query.GetFunnel(request, timeout=60)
        self.same("funnel", self.steps(answer.steps), self.wanted_steps(expected["steps"]))
        self.same("funnel groups", [(self.optional(g, "key"), self.steps(g.steps)) for g in answer.groups],
                  [(self.key(g["key"]), self.wanted_steps(g["steps"])) for g in expected["groups"]])
        self.same("funnel other", self.steps(answer.other.steps), self.wanted_steps(expected["other"]["steps"]) if expected["other"] else [])

    def retention(self):
        body = {"from": FROM, "to": TO, "first": {"types": ["view"]}, "firstEver": True, "returning": {}, "interval": "week", "periods": 3, "mode": "on_or_after"}
        _, expected = self.ask("/api/v1/analytics/retention", body=body)
        answer = self.query.GetRetention(
            messages.RetentionRequest(first=messages.EventPattern(types=["view"]), first_ever=True, interval="week", periods=3, mode="on_or_after",
                                      selection=self.selection({"from": FROM, "to": TO})), timeout=60)
        self.same("retention", [(c.start, c.size, list(c.values)) for c in answer.cohorts],
                  [(c["start"], c["size"], c["values"]) for c in expected["cohorts"]])

    # ---- What goes wrong

    def errors(self):
        selection = messages.Selection
        for request, parameters in [
            (messages.TimeseriesRequest(metric="nothing"), {"metric": "nothing"}),
            (messages.TimeseriesRequest(interval="year"), {"interval": "year"}),
            (messages.TimeseriesRequest(limit=3), {"limit": 3}),
            (messages.TimeseriesRequest(selection=selection(time_zone="Mars/Olympus")), {"tz": "Mars/Olympus"}),
            (messages.TimeseriesRequest(selection=selection(**{"from": TO, "to": FROM})), {"from": TO, "to": FROM}),
            (messages.TimeseriesRequest(selection=selection(types=["a\0b"])), {"type": "a\0b"}),
            (messages.TimeseriesRequest(selection=selection(max_age_seconds=-1)), {"maxAge": -1}),
        ]:
            status, expected = self.ask("/api/v1/analytics/timeseries", parameters)
            self.same(f"the error of {parameters}", (status, *self.failure(self.query.GetTimeseries, request)),
                      (400, "INVALID_ARGUMENT", expected["detail"], expected["code"]))
        _, expected = self.ask("/api/v1/analytics/topn", {"dimension": "type", "n": -1})
        self.same("a negative n", self.failure(self.query.GetTopN, messages.TopNRequest(n=-1)), ("INVALID_ARGUMENT", expected["detail"], expected["code"]))
        _, expected = self.ask("/api/v1/analytics/funnels", body={"steps": [{"types": ["a"]}]})
        self.same("a funnel of one step", self.failure(self.query.GetFunnel, messages.FunnelRequest(steps=[messages.EventPattern(types=["a"])])),
                  ("INVALID_ARGUMENT", expected["detail"], expected["code"]))
        self.same("another tenant", self.failure(self.query.GetTopN, messages.TopNRequest(tenant_id="other"))[0], "PERMISSION_DENIED")
        self.same("this tenant", self.failure(self.query.GetTopN, messages.TopNRequest(tenant_id="default"))[0], None)
        self.same("no event", self.failure(self.ingest.Send, messages.SendRequest())[::2], ("INVALID_ARGUMENT", "empty_batch"))
        large = messages.SendRequest(events=[messages.Event(type="a", source="s", data_json='"' + "x" * 5_000_000 + '"')])
        # The transport ends the call without a word.
        self.same("a large message", self.failure(self.ingest.Send, large)[0] in ["CANCELLED", "RESOURCE_EXHAUSTED"], True)
        self.same("a compressed message", self.failure(self.query.GetTopN, messages.TopNRequest(), compression=grpc.Compression.Gzip)[0], "UNIMPLEMENTED")
        self.same("still there", self.failure(self.query.GetTopN, messages.TopNRequest())[0], None)

    # ---- What tools ask

    def health(self):
        health = health_services.HealthStub(self.channel)
        request = health_messages.HealthCheckRequest
        for service in ["", "analytics.AnalyticsQuery", "analytics.Ingest"]:
            self.same(f"health of {service!r}", health.Check(request(service=service), timeout=10).status, 1)
        self.same("health of nothing", self.failure(health.Check, request(service="nothing"))[0], "NOT_FOUND")
        watch = health.Watch(request(service="nothing"), timeout=10)
        self.same("watched nothing", next(watch).status, 3)
        watch.cancel()

    def reflection(self):
        stub = reflection_services.ServerReflectionStub(self.channel)
        request = reflection_messages.ServerReflectionRequest
        answers = list(stub.ServerReflectionInfo(iter([request(list_services=""), request(file_containing_symbol="analytics.Ingest"), request(file_by_filename="x")]), timeout=10))
        self.same("services", sorted(s.name for s in answers[0].list_services_response.service),
                  ["analytics.AnalyticsQuery", "analytics.Ingest", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"])
        from google.protobuf import descriptor_pb2

        file = descriptor_pb2.FileDescriptorProto.FromString(answers[1].file_descriptor_response.file_descriptor_proto[0])
        self.same("descriptor", [s.name for s in file.service], ["AnalyticsQuery", "Ingest"])
        self.same("an unknown file", answers[2].error_response.error_code, 5)

    def many(self):
        """More calls than a connection has at a time."""
        found, lock = [], threading.Lock()

        def ask():
            total = self.query.GetTimeseries(messages.TimeseriesRequest(selection=self.selection({"from": FROM, "to": TO})), timeout=60).total
            with lock:
                found.append(total)

        threads = [threading.Thread(target=ask) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.same("100 at a time", found, [found[0]] * 100 if found else None)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--http", required=True)
    arguments.add_argument("--grpc", required=True)
    options = arguments.parse_args()
    check = Check(options.http, options.grpc)
    for part in [check.events, check.timeseries, check.top, check.funnel, check.retention, check.errors, check.health, check.reflection, check.many]:
        part()
    for failure in check.failures[:20]:
        print(failure)
    print("all is as it should be" if not check.failures else f"{len(check.failures)} failures")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
