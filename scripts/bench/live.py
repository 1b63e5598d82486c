#!/usr/bin/env python3
"""Opens many readers of live events while a service takes events in, and prints their cost: the service's share of a core without
readers, with one and with all. Fails if a reader did not receive each second exactly once, or if the readers take more than the bound."""
import argparse
import asyncio
import http.client
import json
import os
import sys
import threading
import time


def cpu(pid):
    """Processor time of the process in seconds."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """Resident memory of the process in MB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


class Feed(threading.Thread):
    """Sends events at a rate until it is stopped, in at most 20 requests per second."""

    def __init__(self, port, rate):
        super().__init__(daemon=True)
        self.port, self.rate, self.sent, self.stopped = port, rate, 0, threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        start = time.time()
        while not self.stopped.wait(0.05):
            due = int((time.time() - start) * self.rate) - self.sent
            if due <= 0:
                continue
            events = [
                {"type": f"type-{number % 60}", "source": "bench", "userId": f"user-{number % 5000}", "data": {"n": number}}
                for number in range(self.sent, self.sent + due)
            ]
            connection.request("POST", "/api/v1/events/batch", json.dumps(events), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 202:
                sys.exit(f"events: {answer.status} {body[:300]}")
            self.sent += due


class Reader:
    """One connection: counts bytes and keeps the ids of the seconds."""

    def __init__(self):
        self.ids, self.bytes, self.ended, self.rest = [], 0, False, b""

    async def run(self, port):
        stream, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(b"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        while data := await stream.read(1 << 16):
            self.bytes += len(data)
            self.rest += data
            *lines, self.rest = self.rest.split(b"\n")
            self.ids += [int(line[4:]) for line in lines if line.startswith(b"id: ")]
        self.ended = True

    def holes(self):
        """The number of seconds between the first and the last that are missing or duplicate."""
        return len(set(range(self.ids[0], self.ids[-1] + 1)) ^ set(self.ids)) + len(self.ids) - len(set(self.ids)) if self.ids else 1


async def share(pid, seconds):
    """The share of a core that the process takes, over some seconds, in percent."""
    begin, start = cpu(pid), time.time()
    await asyncio.sleep(seconds)
    return (cpu(pid) - begin) / (time.time() - start) * 100


async def measure(arguments):
    readers, tasks, rows = [], [], []
    for count in (0, 1, arguments.readers):
        while len(readers) < count:
            some = [Reader() for _ in range(min(50, count - len(readers)))]
            readers += some
            tasks += [asyncio.ensure_future(reader.run(arguments.port)) for reader in some]
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        before = sum(reader.bytes for reader in readers)
        taken = await share(arguments.pid, arguments.seconds)
        rows.append((count, taken, (sum(reader.bytes for reader in readers) - before) / arguments.seconds / 1e6, memory(arguments.pid)))
    for task in tasks:
        task.cancel()
    return rows, readers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="of the service")
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=500, help="events per second that arrive")
    parser.add_argument("--seconds", type=int, default=20, help="for each number of readers")
    parser.add_argument("--bound", type=float, default=10, help="percent of a core that the further readers may take in addition to the first; 0: no bound")
    arguments = parser.parse_args()
    feed = Feed(arguments.port, arguments.rate)
    feed.start()
    rows, readers = asyncio.run(measure(arguments))
    feed.stopped.set()
    print(f"{'live events, ' + str(arguments.rate) + ' events/s arriving':<44} {'core %':>9} {'MB/s out':>9} {'MB':>9}")
    for count, taken, rate, used in rows:
        print(f"{str(count) + ' readers':<44} {taken:>9.1f} {rate:>9.1f} {used:>9}")
    extra = rows[2][1] - rows[1][1]
    print(f"{arguments.readers - 1} more readers take {extra:.1f} % of a core")
    broken = sum(reader.ended or reader.holes() > 0 for reader in readers)
    if broken:
        sys.exit(f"{broken} of {len(readers)} readers were disconnected, missed a second, or received one twice")
    if arguments.bound and extra > arguments.bound:
        sys.exit(f"more than {arguments.bound} %")


main()
