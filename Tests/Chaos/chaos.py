#!/usr/bin/env python3
"""An independent test of the whole pipeline under faults: it shares no code with the service and believes nothing that it says.

usage: chaos.py [--short | --storm] [--binary PATH] [--mongod PATH] [--keep]

  --short    each kind of fault once, in about a minute; otherwise 20 kills at each step, in about CHAOS_SECONDS (600)
  --storm    processors are killed again before they have done anything, so that what waits is delivered dozens of times
  --keep     keep the logs and the ledger although all is well

CHAOS_SEED (else drawn, and printed) decides what the clients send and which faults come in which order. Exit status 1 when an
acknowledged event is lost, duplicated or unexpected, a rollup differs from the events, or an answer was wrong."""

import argparse
import dataclasses
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import check  # noqa: E402
import cluster  # noqa: E402
import faults  # noqa: E402
import ledger  # noqa: E402
import report  # noqa: E402
import workload  # noqa: E402

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclasses.dataclass
class Quotas:
    """How much of each kind; seconds."""

    kills: int = 20
    late: int = 6
    primary_kills: int = 1
    rabbitmq_kills: int = 3
    stops: int = 4
    wide: int = 3
    stop_seconds: float = 5
    lateness: float = 6
    pause: tuple = (0.2, 1.0)
    wide_pause: tuple = (3.0, 14.0)
    clients: int = 6
    client_pause: float = 0.15
    queries: int = 200
    rest: int = 120


SHORT = Quotas(
    kills=1, late=1, primary_kills=0, rabbitmq_kills=1, stops=1, wide=1, stop_seconds=1.5, lateness=5, pause=(0.0, 0.1), wide_pause=(0.2, 0.8), queries=40,
    rest=40)

STORM = Quotas(pause=(0.0, 0.5), wide_pause=(1.0, 5.0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--storm", action="store_true")
    parser.add_argument("--binary", default=None)
    parser.add_argument("--mongod", default=None)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("error: chaos has not come to its end in time"))
    seed = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(1_000_000))
    seconds = float(os.environ.get("CHAOS_SECONDS") or (30 if options.short else 600))
    print(f"chaos: seed {seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="analytics-chaos-")
    quotas = SHORT if options.short else STORM if options.storm else Quotas()
    binary, mongod = (os.path.abspath(path) for path in (options.binary or find_binary(), options.mongod or find_mongod()))
    run = Run(folder, binary, mongod, seed, seconds, quotas)
    is_well = False
    signal.alarm(int(4 * seconds) + 300)
    try:
        is_well = run()
    finally:
        signal.alarm(0)
        run.close()
        if not is_well or options.keep:
            kept = os.path.join(PROJECT, ".stack", "chaos", seed)
            shutil.rmtree(kept, ignore_errors=True)
            shutil.move(folder, kept)
            mode = " --short" if options.short else " --storm" if options.storm else ""
            print(f"logs and ledger: {kept}\nagain: CHAOS_SEED={seed} CHAOS_SECONDS={seconds:g} Tests/Chaos/chaos.py{mode}")
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_well else 1


def find_binary():
    for build in ("release", "debug"):
        path = os.path.join(PROJECT, ".build", build, "analytics")
        if os.path.exists(path):
            return path
    sys.exit("error: there is no .build/release/analytics and no .build/debug/analytics; build one, or name one with --binary")


def find_mongod():
    cache = os.environ.get("STACK_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "analytics-stack")
    path = os.environ.get("MONGOD") or shutil.which("mongod") or os.path.join(cache, "mongod-6.0.5")
    if not os.path.exists(path):
        sys.exit("error: there is no mongod; scripts/stack.sh install brings one")
    return path


class Run:
    def __init__(self, folder, binary, mongod, seed, seconds, quotas):
        self.folder, self.seed, self.seconds, self.quotas = folder, seed, seconds, quotas
        self.cluster = cluster.Cluster(folder, binary, mongod)
        self.ledger = ledger.Ledger(os.path.join(folder, "ledger.ndjson"))
        self.ended = None
        self.began = time.monotonic()

    def _say(self, text):
        print(f"chaos: {time.monotonic() - self.began:.0f} s: {text}", flush=True)

    def __call__(self):
        self.cluster.start()
        self._say("everything runs")
        pause = random.Random(f"{self.seed}/restarts")
        self.cluster.restart_pause = lambda: pause.uniform(0, 0.4)
        clients = self._clients()
        # RabbitMQ 3.10 writes the name of a new quorum queue to disk up to three seconds late.
        time.sleep(4)
        nemesis = faults.Nemesis(self.cluster, self.seed, self.quotas, self._is_too_late(2.5 * self.seconds))
        start = time.monotonic()
        nemesis.start()
        looks = 0
        while not nemesis.is_done or time.monotonic() < start + self.seconds:
            time.sleep(0.1)
            if time.monotonic() > start + 5 * looks:
                looks += 1
                nemesis.note(f"queue: {check.left(self.cluster)}")
        nemesis.end()
        self._say("no more faults")
        time.sleep(2)
        self.ended = time.monotonic()
        for client in clients:
            client.join(40)
        self._say("the clients have ended")
        left = check.at_rest(self.cluster, self.quotas.rest)
        self._say(f"not at rest: {left}" if left else "at rest")
        asking = workload.Client(0, self.seed, self.cluster.api_proxy, self.ledger, self._is_over, 1)
        findings = check.Check(self.cluster, self.ledger, self.seed, asking, self.quotas.queries).run()
        return report.show(self, nemesis, findings, left, time.monotonic() - self.began)

    def _clients(self):
        def client(kind, number):
            return kind(number, self.seed, self.cluster.api_proxy, self.ledger, self._is_over, self.quotas.client_pause)

        clients = [client(workload.Client, number) for number in range(1, self.quotas.clients + 1)]
        clients.append(client(workload.Reader, self.quotas.clients + 1))
        for thread in clients:
            thread.start()
        return clients

    def _is_over(self, grace=False):
        """`grace`: for clients that have an answer still to come."""
        return self.ended is not None and time.monotonic() > self.ended + (20 if grace else 0)

    @staticmethod
    def _is_too_late(seconds):
        deadline = time.monotonic() + seconds
        return lambda: time.monotonic() > deadline

    def close(self):
        self.cluster.shutdown()
        self.ledger.close()


if __name__ == "__main__":
    sys.exit(main())
