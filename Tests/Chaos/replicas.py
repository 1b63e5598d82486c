#!/usr/bin/env python3
"""A replica set of three, whose members reach each other through proxies that can delay replication; for a test that reads commands from
it line by line: each is answered by a line, "ok" or what went wrong. It ends with its standard input.

usage: replicas.py FOLDER MONGOD

First it prints the set's address. Member 0 is the primary then.

  hold                 nothing is replicated from member 0
  present COLLECTION   waits until member 0 has a document in it that no majority has
  release PROJECT      replicates to member 1, up to the mark of this project's minute; that a majority has it then, member 1 does not learn
  elect                member 1 becomes the primary, from which nothing is replicated
  asked SECONDS        waits until member 1 works on an aggregation, as long as this
  heal                 ends all delays
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import mongo  # noqa: E402
from cluster import DATABASE, MONGODS, Cluster, wait  # noqa: E402
from proxy import Condition, HiddenCommits  # noqa: E402

# No election but the one that is asked for, and no member that waits for others' writes before it takes its own.
SETTINGS = {"electionTimeoutMillis": 60_000, "heartbeatIntervalMillis": 500, "catchUpTimeoutMillis": 0}


class Replicas:
    def __init__(self, folder, mongod):
        self._cluster = Cluster(folder, None, mongod)
        self._cluster.start_replica_set(SETTINGS)
        wait(self._step_up_first, 30, "member 0 is the primary")
        wait(self._all_replicate, 60, "all members replicate")
        members = ",".join(f"127.0.0.1:{port}" for port in self._cluster.mongo_proxies)
        self.address = f"mongodb://{members}/{DATABASE}?replicaSet=chaos&heartbeatFrequencyMS=500"

    def shutdown(self):
        self._cluster.shutdown()

    def hold(self):
        self._hold((1, 0), (2, 0))

    def present(self, collection):
        query = {"find": collection, "filter": {}, "limit": 1}
        wait(lambda: self._command(0, DATABASE, query)["cursor"]["firstBatch"], 20, f"a document in {collection}")

    def release(self, project):
        marker = project.encode() + b"\0\x09minute\0"
        self._cluster.hub.set_condition(MONGODS[1], MONGODS[0], HiddenCommits(marker))

    def elect(self):
        self._hold((0, 1), (2, 1))
        self._command(1, "admin", {"replSetStepUp": 1})
        wait(lambda: self._command(1, "admin", {"hello": 1}).get("isWritablePrimary"), 20, "member 1 is the primary")

    def asked(self, seconds):
        deadline = time.monotonic() + float(seconds)
        while time.monotonic() < deadline:
            operations = self._command(1, "admin", {"currentOp": 1, "ns": f"{DATABASE}.events"})["inprog"]
            if any("aggregate" in operation.get("command", {}) for operation in operations):
                return
            time.sleep(0.05)

    def heal(self):
        self._cluster.hub.clear()

    def _hold(self, *links):
        for source, target in links:
            self._cluster.hub.set_condition(MONGODS[source], MONGODS[target], Condition("hold"))

    def _command(self, member, database, command):
        connection = mongo.Connection(self._cluster.mongo_ports[member])
        try:
            return connection.command(database, command)
        finally:
            connection.close()

    def _step_up_first(self):
        try:
            return self._command(0, "admin", {"replSetStepUp": 1})
        except (OSError, mongo.MongoError):
            return False

    def _all_replicate(self):
        try:
            states = [member["state"] for member in self._command(0, "admin", {"replSetGetStatus": 1})["members"]]
        except (OSError, mongo.MongoError):
            return False
        return states == [1, 2, 2]


def main():
    replicas = Replicas(sys.argv[1], sys.argv[2])
    try:
        print(replicas.address, flush=True)
        for line in sys.stdin:
            name, *arguments = line.split()
            try:
                getattr(replicas, name)(*arguments)
                print("ok", flush=True)
            except Exception as error:
                print(f"{name}: {error!r}", flush=True)
    finally:
        replicas.shutdown()


if __name__ == "__main__":
    main()
