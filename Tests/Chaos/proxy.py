"""TCP proxies between the processes: they place kills between two messages, and hold, delay, cut and refuse connections.

All run on one event loop in a thread of its own. Other threads arm triggers and set conditions; nothing else is shared."""

import asyncio
import os
import threading
import time

import wire

PROTOCOLS = {"mongo": wire.Mongo, "amqp": wire.AMQP, "http": wire.HTTP, "raw": wire.Raw}


class Trigger:
    """Runs `action` once, when the process `source` is at `step`.

    `when`: "before" the request reaches the server; "half", when half of its bytes have; "after" the server's answer, and before the
    process sees it. `action` gives True when the message is to be lost, or the seconds to hold it up before it is passed on. `hold`:
    seconds that the message is held before the action, while whatever else the process has sent arrives."""

    def __init__(self, source, step, when, action, hold=0.0):
        self.source, self.step, self.when, self.action, self.hold = source, step, when, action, hold
        self.fired = threading.Event()

    def matches(self, source, step, when):
        return self.step == step and self.when == when and self.source in (None, source)


class Condition:
    """What holds for the links from one process to another."""

    def __init__(self, kind, seconds=0.0):
        self.kind, self.seconds = kind, seconds


class HiddenCommits(Condition):
    """Once a message with `marker` has come from the server, it says nothing more of how far a majority has its writes: what it says
    beside that, votes and confirmations, still comes. For links between members of a replica set, uncompressed."""

    def __init__(self, marker):
        super().__init__("hide commits")
        self._marker, self._has_passed = marker, False

    def holds(self, data):
        if self._has_passed:
            return b"lastOpCommitted" in data
        self._has_passed = self._marker in data
        return False


class Link:
    """One proxied connection."""

    def __init__(self, source, target, protocol, client, server):
        self.source, self.target, self.protocol = source, target, protocol
        self.client, self.server = client, server
        self.last_message = {True: 0.0, False: 0.0}
        self.is_half_open = False

    def abort(self):
        for _, writer in (self.client, self.server):
            if writer:
                writer.transport.abort()


class Hub(threading.Thread):
    def __init__(self, owners):
        """`owners` gives name → process id of everything that may connect."""
        super().__init__(name="proxies", daemon=True)
        self._owners = owners
        self._loop = asyncio.new_event_loop()
        self._triggers = []
        self._lock = threading.Lock()
        self._conditions = {}
        self._links = set()
        self.start()

    def run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def stop(self):
        async def end():
            # What a connection says that is cancelled before it has begun.
            self._loop.set_exception_handler(lambda *_: None)
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop)
        self.join(5)

    def listen(self, port, target, target_port, kind, source=None):
        """`source`: who connects there; None: looked up by the connection's port."""

        async def accept(reader, writer):
            try:
                await self._serve(reader, writer, source or self._owner(writer), target, target_port, kind)
            except (OSError, asyncio.CancelledError):
                writer.transport.abort()

        listening = asyncio.start_server(accept, "127.0.0.1", port, limit=1 << 20, backlog=512)
        asyncio.run_coroutine_threadsafe(listening, self._loop).result(5)

    # ---- faults, from other threads

    def arm(self, trigger):
        with self._lock:
            self._triggers.append(trigger)

    def disarm(self, trigger):
        with self._lock:
            if trigger in self._triggers:
                self._triggers.remove(trigger)

    def set_condition(self, source, target, condition):
        """`condition`: a Condition of kind "hold", "delay" or "refuse", or None. It holds for links that are there, and for new ones."""
        if condition:
            self._conditions[source, target] = condition
        else:
            self._conditions.pop((source, target), None)

    def clear(self):
        with self._lock:
            self._triggers.clear()
        self._conditions.clear()
        self._loop.call_soon_threadsafe(lambda: [link.abort() for link in self._links if link.is_half_open])

    def drop(self, source=None, target=None, half_open=False):
        """Cuts links; `half_open`: the server's end alone, and the client hears nothing of it."""

        def cut():
            for link in list(self._links):
                if source in (None, link.source) and target in (None, link.target):
                    if half_open:
                        link.is_half_open = True
                        if link.server[1]:
                            link.server[1].transport.abort()
                        self._loop.call_later(40, link.abort)
                    else:
                        link.abort()

        self._loop.call_soon_threadsafe(cut)

    # ---- a connection

    def _owner(self, writer):
        """Who connects: the process that holds the socket whose inode /proc/net/tcp names for the port."""
        local = ":%04X " % writer.get_extra_info("peername")[1]
        remote = ":%04X " % writer.get_extra_info("sockname")[1]
        inode = None
        with open("/proc/net/tcp") as table:
            for line in table:
                fields = line.split()
                if (fields[1] + " ").endswith(local) and (fields[2] + " ").endswith(remote):
                    inode = fields[9]
        if not inode:
            return None
        for name, pid in self._owners().items():
            try:
                for number in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{number}") == f"socket:[{inode}]":
                        return name
            except OSError:
                continue
        return None

    async def _serve(self, reader, writer, source, target, target_port, kind):
        link = Link(source, target, PROTOCOLS[kind](), (reader, writer), (None, None))
        self._links.add(link)
        try:
            await self._gate(link, True)
            link.server = await asyncio.open_connection("127.0.0.1", target_port, limit=1 << 20)
            pumps = [asyncio.ensure_future(self._pump(link, direction)) for direction in (True, False)]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if link.is_half_open:
                await self._until_client_leaves(reader)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps)
        finally:
            self._links.discard(link)
            link.abort()

    @staticmethod
    async def _until_client_leaves(reader):
        while not (reader.at_eof() or reader.exception()):
            await asyncio.sleep(0.1)

    async def _pump(self, link, from_client):
        """Ends when either side does."""
        try:
            await self._carry(link, from_client)
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            return

    async def _carry(self, link, from_client):
        reader = (link.client if from_client else link.server)[0]
        writer = (link.server if from_client else link.client)[1]
        while True:
            data = await link.protocol.message(reader, from_client)
            if not data:
                return
            await self._gate(link, from_client)
            if from_client:
                step = link.protocol.request(data)
                if step and await self._is_lost(link, step, "before"):
                    return
                if step and await self._is_lost(link, step, "half", lambda: writer.write(data[: len(data) // 2])):
                    return
            else:
                await self._hide(link, data)
                for step in link.protocol.response(data):
                    if await self._is_lost(link, step, "after"):
                        return
            writer.write(data)
            await writer.drain()
            if from_client and step == "ack" and await self._is_lost(link, step, "after", lambda: None):
                return

    async def _is_lost(self, link, step, when, first=None):
        """Fires what is armed for this step. `first`: something to send, that arrives before the action is carried out."""
        trigger = None
        with self._lock:
            for candidate in self._triggers:
                if candidate.matches(link.source, step, when):
                    trigger = candidate
                    self._triggers.remove(candidate)
                    break
        if not trigger:
            return False
        if first:
            first()
            await asyncio.sleep(0.02)
        if trigger.hold:
            await asyncio.sleep(trigger.hold)
        result = trigger.action()
        trigger.fired.set()
        if isinstance(result, float):
            await asyncio.sleep(result)
            return False
        if result:
            link.abort()
        return bool(result)

    async def _hide(self, link, data):
        condition = self._conditions.get((link.source, link.target))
        if isinstance(condition, HiddenCommits) and condition.holds(data):
            while self._conditions.get((link.source, link.target)) is condition:
                await asyncio.sleep(0.02)

    async def _gate(self, link, from_client):
        while True:
            condition = self._conditions.get((link.source, link.target))
            if condition is None or condition.kind != "hold":
                break
            await asyncio.sleep(0.02)
        if condition is None:
            return
        if condition.kind == "refuse":
            raise ConnectionRefusedError
        # What comes in a burst is late together: a slow link, not a narrow one.
        if time.monotonic() - link.last_message[from_client] > 0.005:
            await asyncio.sleep(condition.seconds)
        link.last_message[from_client] = time.monotonic()
