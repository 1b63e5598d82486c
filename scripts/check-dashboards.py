#!/usr/bin/env python3
"""Runs every query of the Grafana dashboards against a Prometheus.

A dashboard that nobody has looked at since a metric was renamed looks exactly like one that has nothing to report. So this runs
what Grafana would run: the query of each variable first, then each panel's and annotation's queries with the values found. It fails when
a query is refused, and with --require-data when one has no series, unless its panel says what to show then (its "No value" text,
fieldConfig.defaults.noValue): such a panel may be empty.

Without an address only the files are checked: ids, places, descriptions, the data source.

    scripts/check-dashboards.py
    scripts/check-dashboards.py http://127.0.0.1:9090 --require-data
"""

import argparse
import json
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


class QueryError(Exception):
    """Prometheus refused a query, or did not answer."""


class Prometheus:
    def __init__(self, base, timeout):
        self.base = base.rstrip("/")
        self.timeout = timeout

    def query(self, expression):
        """The result of an instant query: a list of series, or one scalar as a series without labels."""
        body = urllib.parse.urlencode({"query": expression}).encode()
        request = urllib.request.Request(self.base + "/api/v1/query", data=body)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise QueryError(self.reason(error)) from None
        except OSError as error:
            raise QueryError(f"{self.base} does not answer: {error}") from None
        if data["resultType"] in ("scalar", "string"):
            return [{"metric": {}, "value": data["result"]}]
        return data["result"]

    @staticmethod
    def reason(error):
        text = error.read().decode(errors="replace")
        try:
            return json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            return f"HTTP {error.code}: {text[:200]}"


def interpolate(expression, values):
    """Replaces Grafana's variables; what is none of them (the ${1} of label_replace) stays, as it does in Grafana."""

    def replacement(match):
        name = next(group for group in match.groups() if group)
        return values.get(name, match.group(0))

    return VARIABLE.sub(replacement, expression)


def as_promql(definition):
    """Grafana's label_values(...) as a query, and the label that is asked for."""
    match = LABEL_VALUES.match(definition.strip())
    if not match:
        raise QueryError(f"not a label_values(...) query: {definition}")
    label = match["label"]
    series = match["series"] or '{__name__=~".+"}'
    return f'count by ({label}) ({series})', label


def all_panels(panels):
    """Panels in order, those inside collapsed rows too."""
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
    def __init__(self, prometheus, arguments, data_sources):
        self.prometheus = prometheus
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
        if self.prometheus:
            values = self.variables(path.name, dashboard)
            self.panels(path.name, dashboard, values)
            self.annotations(path.name, dashboard, values)
        return dashboard.get("uid")

    def structure(self, name, dashboard):
        """What a reader of the dashboard would stumble over, without asking Prometheus anything."""
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

    def data_source(self, where, holder):
        uid = (holder.get("datasource") or {}).get("uid")
        if uid not in self.data_sources:
            self.fail(where, f"names the data source {uid!r}, which is not provisioned")

    def variables(self, name, dashboard):
        """What $name stands for when "All" is chosen: every value, joined as Grafana joins them."""
        values = {
            "__rate_interval": self.arguments.rate_interval,
            "__interval": self.arguments.rate_interval,
            "__range": self.arguments.range,
        }
        for variable in dashboard.get("templating", {}).get("list", []):
            if variable.get("type") != "query":
                continue
            where = f'{name}: variable {variable["name"]}'
            found = []
            try:
                expression, label = as_promql(interpolate(variable["definition"], values))
                found = sorted({series["metric"].get(label, "") for series in self.run(expression)} - {""})
                if not found and self.arguments.require_data:
                    self.fail(where, "has no values", expression)
            except QueryError as error:
                self.fail(where, str(error), variable["definition"])
            # Twice: the value is first an expression and then a string literal in PromQL.
            quoted = [re.escape(value).replace("\\", "\\\\") for value in found]
            values[variable["name"]] = f'({"|".join(quoted)})' if quoted else ".*"
        return values

    def panels(self, name, dashboard, values):
        for panel in all_panels(dashboard.get("panels", [])):
            where = f'{name}: {panel.get("title")}'
            may_be_empty = "noValue" in panel.get("fieldConfig", {}).get("defaults", {})
            for target in panel.get("targets", []):
                series = self.checked(f'{where} ({target.get("refId")})', target["expr"], values, may_be_empty)
                self.legend(where, target, series)

    def annotations(self, name, dashboard, values):
        for annotation in dashboard.get("annotations", {}).get("list", []):
            if "expr" in annotation:
                self.checked(f'{name}: annotation {annotation["name"]}', annotation["expr"], values, may_be_empty=True)

    def checked(self, where, expression, values, may_be_empty):
        expression = interpolate(expression, values)
        try:
            series = self.run(expression)
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
        """A legend that names a label which the query does not give shows its own braces, or nothing."""
        for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat") or ""):
            if series and not any(label in one["metric"] for one in series):
                self.fail(where, f"the legend names the label {label}, which no series has", target["expr"])

    def run(self, expression):
        self.queries += 1
        return self.prometheus.query(expression)


def provisioned_data_sources():
    """The uids of the data sources that are provisioned. The files are plain enough to be read without a YAML library."""
    files = sorted((ROOT / "provisioning" / "datasources").glob("*.y*ml"))
    return {uid for file in files for uid in re.findall(r"^\s*uid:\s*[\"']?([\w-]+)", file.read_text(encoding="utf-8"), re.M)}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prometheus", nargs="?", help="base URL of a Prometheus; without it only the files are checked")
    parser.add_argument("--require-data", action="store_true", help="fail when a query has no series and its panel has no text for that")
    parser.add_argument("--rate-interval", default="1m", help="what $__rate_interval stands for (default: %(default)s)")
    parser.add_argument("--range", default="1h", help="what $__range stands for (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=10, help="seconds for one query (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print each query's number of series")
    arguments = parser.parse_args()
    if arguments.require_data and not arguments.prometheus:
        parser.error("--require-data needs the base URL of a Prometheus")
    return arguments


def main():
    arguments = parse_arguments()
    prometheus = Prometheus(arguments.prometheus, arguments.timeout) if arguments.prometheus else None
    check = Check(prometheus, arguments, provisioned_data_sources())
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
