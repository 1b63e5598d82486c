#!/usr/bin/env python3
"""How costs grow: fills a service in steps of some million events, all in the same month. After each step it asks the questions of
questions.py, checks the answers, and adds a line to a CSV. After a kill it continues where it was: its state is in a file, and
an event that is sent twice is stored once. Prints the lines as a table for docs/performance.md."""
import argparse
import csv
import fcntl
import json
import os
import pathlib
import sys
import time

from floors import DuckDB, MongoDB, measure
from log import BATCH, Log
from questions import QUESTIONS, Asker, disk, fill, first_answers, percentile, print_table, settle
from ranges import DAY, Service

# Events between two writes of the state.
CHUNK = 100 * BATCH


class State:
    """The progress, in a file that is replaced atomically."""

    def __init__(self, path, step):
        self.path = path
        if path.exists():
            self.values = json.loads(path.read_text())
        else:
            self.values = {"start": int(time.time() * 1000) // DAY * DAY - 30 * DAY, "step": step, "sent": 0, "rates": [], "measured": 0}
        if self.values["step"] != step:
            sys.exit(f"this run has steps of {self.values['step']} events; remove {path.parent} to start another")

    def __getitem__(self, name):
        return self.values[name]

    def set(self, **values):
        self.values |= values
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.values))
        os.replace(part, self.path)


def reset_peak(pid):
    """Resets the peak memory of the process. https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html"""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def measured(options, service, log, duck, events):
    """A line of the CSV."""
    asker = Asker(service, log)
    expected = {question: duck.expected(question, log) for question in QUESTIONS}
    first = first_answers(asker, expected)
    times = asker.rounds(options.seconds, options.least, expected)
    if asker.wrong:
        sys.exit("some answers are wrong")
    line = {}
    for question in QUESTIONS:
        line[f"{question.name}: first ms"] = f"{first[question]:.1f}"
        line[f"{question.name}: p50 ms"] = f"{percentile(times[question], 0.5):.1f}"
        line[f"{question.name}: p99 ms"] = f"{percentile(times[question], 0.99):.1f}"
        line[f"{question.name}: DuckDB ms"] = f"{measure(duck, question, log, 1)[0] * 1000:.0f}"
    size = MongoDB(options.mongodb).size() if options.mongodb else disk(options.folder)
    return line | {"bytes per event": f"{size / events:.0f}", "peak MB": service.peak()}


def add_line(path, line):
    """Adds a line, below the names if it is the first one."""
    is_new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, line.keys())
        if is_new:
            writer.writeheader()
        writer.writerow(line)


def print_lines(path):
    with open(path, newline="") as file:
        # If a step was killed before the state was written, its line exists twice.
        lines = list({line["events"]: line for line in csv.DictReader(file)}.values())
    names = ["events/s in", *(f"{question.name}: p50 ms" for question in QUESTIONS), "peak MB", "bytes per event"]
    print_table([["events", *(f"{int(line['events']):,}" for line in lines)]] + [[name, *(line[name] for line in lines)] for name in names])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="where the state, growth.csv and Parquet files are")
    parser.add_argument("--folder", required=True, help="where the service keeps its data")
    parser.add_argument("--mongodb", help="address of the MongoDB of the service")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--step", type=int, default=5_000_000, help="events of a step, a multiple of 5,000")
    parser.add_argument("--seconds", type=float, default=60, help="how long to ask after each step")
    parser.add_argument("--least", type=int, default=5, help="minimum number of rounds")
    parser.add_argument("--quiet", type=float, default=20, help="seconds without new rows after which segments are built")
    options = parser.parse_args()
    if options.step % BATCH:
        parser.error(f"--step is no multiple of {BATCH}")
    lock = open(options.work / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another run uses this folder")
    service, state = Service(options.port, options.pid), State(options.work / "state.json", options.step)
    log, duck = Log("growth", state["start"], options.step), DuckDB(options.work / "parquet")
    for step in range(state["measured"], options.steps):
        end = (step + 1) * options.step
        for first in range(step * options.step, end, CHUNK):
            duck.add(f"{first:012}", log.batched(range(first, min(first + CHUNK, end))))
        reset_peak(options.pid)
        while state["sent"] < end:
            chunk = range(state["sent"], min(state["sent"] + CHUNK, end))
            state.set(rates=state["rates"] + [fill(service, log, chunk)], sent=chunk.stop)
        settle(service, options.quiet)
        rates = state["rates"]
        rate = len(rates) / sum(1 / rate for rate in rates)
        add_line(options.work / "growth.csv", {"events": end, "events/s in": f"{rate:.0f}"} | measured(options, service, log, duck, end))
        state.set(measured=step + 1, rates=[])
        print(f"step {step + 1} of {options.steps} is measured", flush=True)
    print_lines(options.work / "growth.csv")


if __name__ == "__main__":
    main()
