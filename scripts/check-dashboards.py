#!/usr/bin/env python3
"""Runs every query of the Grafana dashboards against a Prometheus, and against the service itself through Graphite's API.

After a metric is renamed, a dashboard looks the same as one without data. This script runs the queries that Grafana would
run: first the query of each variable, then the queries of each panel and annotation with the values found. It fails if
a query is refused, and with --require-data also if a query has no series, unless its panel has a "No value" text
(fieldConfig.defaults.noValue): such a panel may be empty.

A query runs only if the address of its data source is given. ANALYTICS_KEY in the environment is sent to the service. Without addresses only the files are checked: ids, positions, descriptions and data sources.

    scripts/check-dashboards.py
    scripts/check-dashboards.py http://127.0.0.1:9090 --service http://127.0.0.1:4000 --require-data
"""

import argparse
import json
import os
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent / "grafana"
LABEL_VALUES = re.compile(r"^label_values\(\s*(?:(?P<series>.+?)\s*,\s*)?(?P<label>\w+)\s*\)$", re.S)
VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")
GRID_WIDTH = 24
# The key of the query in a target, by the type of its data source.
QUERY_KEYS = {"prometheus": "expr", "graphite": "target"}


class QueryError(Exception):
    """A data source refused a query, or did not answer."""


class Source:
    headers = {}

    def __init__(self, base, timeout):
        self.base = base.rstrip("/")
        self.timeout = timeout

    def post(self, path, body):
        request = urllib.request.Request(self.base + path, data=body.encode(), headers=self.headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise QueryError(self.reason(error)) from None
        except OSError as error:
            raise QueryError(f"{self.base} does not answer: {error}") from None

    def reason(self, error):
        text = error.read().decode(errors="replace")
        try:
            return json.loads(text)[self.error_key]
        except (ValueError, KeyError, TypeError):
            return f"HTTP {error.code}: {text[:200]}"


class Prometheus(Source):
    error_key = "error"

    def query(self, expression):
        """The result of an instant query: a list of series, or one scalar as a series without labels."""
        data = self.post("/api/v1/query", urllib.parse.urlencode({"query": expression}))["data"]
        if data["resultType"] in ("scalar", "string"):
            return [{"metric": {}, "value": data["result"]}]
        return data["result"]


class Graphite(Source):
    """The service, called with the requests of Grafana's Graphite data source."""

    error_key = "message"

    def __init__(self, base, timeout, length):
        super().__init__(base.rstrip("/") + "/graphite", timeout)
        self.length = length
        key = os.environ.get("ANALYTICS_KEY")
        self.headers = {"X-API-Key": key} if key else {}

    def query(self, target):
        # Grafana appends the query's letter to the names, and removes it again.
        target = re.sub(r"'(\d+)m'", r"'\1min'", target)
        form = {
            "target": f'aliasSub({target}, "(^.*$)", "\\1 A")', "from": f"-{self.length}", "until": "now", "format": "json",
            "maxDataPoints": "300",
        }
        return self.post("/render", urllib.parse.urlencode(form))

    def find(self, query):
        # Grafana does not encode the query.
        return [node["text"] for node in self.post(f"/metrics/find?from=-{self.length}&until=now", f"query={query}")]


def interpolate(expression, values):
    """Replaces Grafana's variables. Other expressions (the ${1} of label_replace) stay, as in Grafana."""

    def replacement(match):
        name = next(group for group in match.groups() if group)
        return values.get(name, match.group(0))

    return VARIABLE.sub(replacement, expression)


def as_promql(definition):
    """Grafana's label_values(...) as a query, and the requested label."""
    match = LABEL_VALUES.match(definition.strip())
    if not match:
        raise QueryError(f"not a label_values(...) query: {definition}")
    label = match["label"]
    series = match["series"] or '{__name__=~".+"}'
    return f'count by ({label}) ({series})', label


def all_panels(panels):
    """Panels in order, including those in collapsed rows."""
    for panel in panels:
        yield panel
        yield from all_panels(panel.get("panels", []))


def overlaps(one, other):
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


class Check:
    def __init__(self, sources, arguments, data_sources):
        # By type. Sources without an address are not queried.
        self.sources = sources
        self.arguments = arguments
        self.data_sources = data_sources
        self.failures = []
        self.queries = 0
        self.empty = 0

    def fail(self, where, message, expression=None):
        self.failures.append(f"{where}: {message}" + (f"\n    {expression}" if expression else ""))

    def dashboard(self, path):
        try:
            dashboard = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            self.fail(path.name, f"not JSON: {error}")
            return None
        self.structure(path.name, dashboard)
        values = self.variables(path.name, dashboard)
        self.panels(path.name, dashboard, values)
        self.annotations(path.name, dashboard, values)
        return dashboard.get("uid")

    def structure(self, name, dashboard):
        """Checks the files alone, without queries."""
        for key in ("uid", "title", "schemaVersion"):
            if not dashboard.get(key):
                self.fail(name, f"has no {key}")
        panels = list(all_panels(dashboard.get("panels", [])))
        ids = [panel.get("id") for panel in panels]
        for repeated in sorted({identifier for identifier in ids if ids.count(identifier) > 1}, key=str):
            self.fail(name, f"panel id {repeated} is used more than once")
        for panel in panels:
            if panel["type"] != "row":
                self.panel_structure(f'{name}: {panel.get("title")}', panel)
        for index, one in enumerate(panels):
            for other in panels[index + 1 :]:
                if overlaps(one["gridPos"], other["gridPos"]):
                    self.fail(name, f'panels "{one.get("title")}" and "{other.get("title")}" overlap')
        for variable in dashboard.get("templating", {}).get("list", []):
            if variable.get("type") == "query":
                self.data_source(f'{name}: variable {variable["name"]}', variable)

    def panel_structure(self, where, panel):
        if not panel.get("title"):
            self.fail(where, "has no title")
        if not panel.get("description"):
            self.fail(where, "has no description")
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > GRID_WIDTH:
            self.fail(where, "is wider than the dashboard")
        if not panel.get("targets"):
            self.fail(where, "has no query")
        for holder in [panel, *panel.get("targets", [])]:
            self.data_source(where, holder)
        for target in panel.get("targets", []):
            key = QUERY_KEYS.get(self.type_of(target))
            if key and not target.get(key):
                self.fail(where, f'query {target.get("refId")} has no {key}')

    def data_source(self, where, holder):
        named = holder.get("datasource") or {}
        uid = named.get("uid")
        if uid not in self.data_sources:
            self.fail(where, f"names the data source {uid!r}, which is not provisioned")
        elif named.get("type") != self.data_sources[uid]:
            self.fail(where, f'says that the data source {uid!r} is of the type {named.get("type")!r}; it is {self.data_sources[uid]!r}')

    def type_of(self, holder):
        return self.data_sources.get((holder.get("datasource") or {}).get("uid"))

    def variables(self, name, dashboard):
        """The value of $name when "All" is chosen: all values, joined as in Grafana."""
        values = {
            "__rate_interval": self.arguments.rate_interval,
            "__interval": self.arguments.rate_interval,
            "__range": self.arguments.range,
        }
        for variable in dashboard.get("templating", {}).get("list", []):
            if variable.get("type") == "custom":
                values[variable["name"]] = variable["current"]["value"]
            elif variable.get("type") == "query":
                values[variable["name"]] = self.variable(f'{name}: variable {variable["name"]}', variable, values)
        return values

    def variable(self, where, variable, values):
        kind = self.type_of(variable)
        definition = interpolate(variable["definition"], values)
        found = []
        if kind in self.sources:
            self.queries += 1
            try:
                found = self.sources[kind].find(definition) if kind == "graphite" else self.label_values(definition)
                if not found and self.arguments.require_data:
                    self.fail(where, "has no values", definition)
            except QueryError as error:
                self.fail(where, str(error), definition)
        if kind == "graphite":
            if not variable.get("multi"):
                return found[0] if found else "*"
            return variable.get("allValue") or "{%s}" % ",".join(found)
        # Escaped twice: the value is a regular expression inside a PromQL string literal.
        quoted = [re.escape(value).replace("\\", "\\\\") for value in found]
        return f'({"|".join(quoted)})' if quoted else ".*"

    def label_values(self, definition):
        expression, label = as_promql(definition)
        return sorted({series["metric"].get(label, "") for series in self.sources["prometheus"].query(expression)} - {""})

    def panels(self, name, dashboard, values):
        for panel in all_panels(dashboard.get("panels", [])):
            where = f'{name}: {panel.get("title")}'
            may_be_empty = "noValue" in panel.get("fieldConfig", {}).get("defaults", {})
            for target in panel.get("targets", []):
                kind = self.type_of(target)
                if kind not in self.sources:
                    continue
                series = self.checked(f'{where} ({target.get("refId")})', kind, target[QUERY_KEYS[kind]], values, may_be_empty)
                if kind == "prometheus":
                    self.legend(where, target, series)

    def annotations(self, name, dashboard, values):
        for annotation in dashboard.get("annotations", {}).get("list", []):
            if "expr" in annotation and "prometheus" in self.sources:
                self.checked(f'{name}: annotation {annotation["name"]}', "prometheus", annotation["expr"], values, may_be_empty=True)

    def checked(self, where, kind, expression, values, may_be_empty):
        expression = interpolate(expression, values)
        self.queries += 1
        try:
            series = self.sources[kind].query(expression)
        except QueryError as error:
            self.fail(where, str(error), expression)
            return []
        if not series:
            self.empty += 1
            if self.arguments.require_data and not may_be_empty:
                self.fail(where, "has no series", expression)
        if self.arguments.verbose:
            print(f"{len(series):4} series  {where}")
        return series

    def legend(self, where, target, series):
        """A legend with a label that the query does not return shows its braces, or nothing."""
        for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat") or ""):
            if series and not any(label in one["metric"] for one in series):
                self.fail(where, f"the legend names the label {label}, which no series has", target["expr"])


def provisioned_data_sources():
    """The types of the provisioned data sources, by uid. The files are simple enough to be read without a YAML library."""
    sources = {}
    for file in sorted((ROOT / "provisioning" / "datasources").glob("*.y*ml")):
        for entry in re.split(r"^\s*- ", file.read_text(encoding="utf-8"), flags=re.M)[1:]:
            found = dict(re.findall(r"^\s*(uid|type):\s*[\"']?([\w-]+)", entry, re.M))
            sources[found["uid"]] = found["type"]
    return sources


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prometheus", nargs="?", help="base URL of a Prometheus, for its queries")
    parser.add_argument("--service", help="base URL of the service, for queries to its Graphite API")
    parser.add_argument("--require-data", action="store_true", help="fail if a query has no series and its panel has no \"No value\" text")
    parser.add_argument("--rate-interval", default="1m", help="value of $__rate_interval (default: %(default)s)")
    parser.add_argument("--range", default="1h", help="value of $__range, and length of the range of Graphite queries (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=10, help="seconds for one query (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print the number of series of each query")
    arguments = parser.parse_args()
    if arguments.require_data and not (arguments.prometheus or arguments.service):
        parser.error("--require-data needs the base URL of a Prometheus or of the service")
    return arguments


def main():
    arguments = parse_arguments()
    sources = {}
    if arguments.prometheus:
        sources["prometheus"] = Prometheus(arguments.prometheus, arguments.timeout)
    if arguments.service:
        sources["graphite"] = Graphite(arguments.service, arguments.timeout, arguments.range)
    check = Check(sources, arguments, provisioned_data_sources())
    files = sorted((ROOT / "dashboards").glob("*.json"))
    if not files:
        sys.exit(f"no dashboards in {ROOT / 'dashboards'}")
    uids = [check.dashboard(path) for path in files]
    if len(set(uids)) != len(uids):
        check.fail("dashboards", "two have the same uid")
    for failure in check.failures:
        print(failure, file=sys.stderr)
    print(f"{len(files)} dashboards, {check.queries} queries, {check.empty} without series, {len(check.failures)} failures")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
