"""What goes wrong, and when. Lanes of faults run beside one another, each through a list that the seed has shuffled."""

import collections
import os
import random
import threading
import time

import mongo
from cluster import MONGODS, PROCESSORS, SERVICES
from proxy import Condition, Trigger

# Where a processor is killed: at each step of a flush, in their order, and at those of a roll.
FLUSH = [
    ("deliver", "after"), ("insert", "before"), ("insert", "half"), ("insert", "after"), ("mark minutes", "before"),
    ("mark minutes", "after"), ("mark hours", "before"), ("mark hours", "after"), ("mark days", "before"), ("mark days", "after"),
    ("publish dead letter", "before"), ("publish dead letter", "after"), ("ack", "before"), ("ack", "after"), ("report", "before"),
    ("report", "after")]
ROLL = [("roll minutes", "before"), ("roll minutes", "after"), ("roll hours", "before"), ("roll hours", "after"), ("roll days", "before"), ("roll days", "after")]
API = [("publish", "before"), ("publish", "half"), ("publish", "after"), ("answer", "after")]
WRITES = ["insert", "mark minutes", "mark hours", "mark days", "roll minutes", "roll hours", "roll days"]


class Lane(threading.Thread):
    """One fault after another. `faults`: functions that give whether they took place; those that did not are tried again later."""

    def __init__(self, name, nemesis, faults, pause):
        super().__init__(name=name, daemon=True)
        self.nemesis, self.faults, self.pause = nemesis, collections.deque(faults), pause
        self.random = random.Random(f"{nemesis.seed}/{name}")
        self.missed = []
        self.seconds = 0.0

    def run(self):
        tries, began = collections.Counter(), time.monotonic()
        while self.faults and not self.nemesis.is_over():
            name, fault = self.faults.popleft()
            self.nemesis.note(f"{self.name}: {name}")
            try:
                took_place = fault()
            except (OSError, mongo.MongoError, ValueError):
                took_place = False
            self.nemesis.note(f"{self.name}: {name}: {'done' if took_place else 'did not take place'}")
            if took_place:
                self.nemesis.count(name)
            else:
                tries[name] += 1
                (self.faults if tries[name] <= 5 else self.missed).append((name, fault))
            time.sleep(self.random.uniform(*self.pause))
        self.missed += self.faults
        self.seconds = time.monotonic() - began


class Nemesis:
    def __init__(self, cluster, seed, quotas, is_over):
        self.cluster, self.seed, self.quotas, self.is_over = cluster, seed, quotas, is_over
        self.counts = collections.Counter()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._log = open(os.path.join(cluster.logs, "faults.log"), "w")
        draw = random.Random(f"{seed}/plan")
        self.random = random.Random(f"{seed}/nemesis")
        self.lanes = [
            *[Lane(name, self, shuffled(draw, self._at_processor(name, index)), quotas.pause) for index, name in enumerate(PROCESSORS)],
            Lane("api", self, shuffled(draw, self._at_api()), quotas.pause),
            Lane("mongod", self, shuffled(draw, self._at_mongod()), quotas.wide_pause),
            Lane("rest", self, shuffled(draw, self._at_the_rest()), quotas.wide_pause)]

    def count(self, name):
        with self._lock:
            self.counts[name] += 1

    def note(self, text):
        """For whoever reads the logs: what went wrong when, by the clock that they have."""
        with self._lock:
            self._log.write(f"{time.strftime('%H:%M:%S')} {time.monotonic() - self._began:8.3f} {text}\n")
            self._log.flush()

    def start(self):
        for lane in self.lanes:
            lane.start()

    @property
    def is_done(self):
        return not any(lane.is_alive() for lane in self.lanes)

    def missed(self):
        """Planned and not carried out."""
        return collections.Counter(name for lane in self.lanes for name, _ in lane.missed)

    def end(self):
        """Everything runs again, and every link is whole."""
        for lane in self.lanes:
            lane.join(60)
        self.cluster.hub.clear()
        for process in self.cluster.processes.values():
            process.resume()

    # ---- the lists

    def _at_processor(self, name, index):
        faults = []
        for number, (step, when) in enumerate(FLUSH + ROLL):
            # Half of each for either processor; what is left over in turn.
            share = self.quotas.kills // 2 + (self.quotas.kills % 2 and (number + index) % 2)
            fault = self._kill_at(name, step, when)
            faults += [(f"kill processor: {step}, {when}", fault)] * share
        for number, step in enumerate(WRITES):
            share = self.quotas.late // 2 + (self.quotas.late % 2 and (number + index) % 2)
            faults += [(f"write {self.quotas.lateness:g} s late: {step}", self._late(name, step))] * share
            faults += [(f"stop processor: {step}", self._stop_at(name, step))] * share
        return faults + [("stop processor", self._stop(name))] * self.quotas.stops

    def _at_api(self):
        faults = []
        for step, when in API:
            faults += [(f"kill API: {step}, {when}", self._kill_at("api" if step == "publish" else "client", step, when, "api"))] * (
                self.quotas.kills)
        return faults + [("stop API", self._stop("api"))] * self.quotas.stops

    def _at_mongod(self):
        wide = self.quotas.wide
        faults = []
        for step, when in FLUSH + ROLL:
            if step in WRITES and when != "half":
                faults += [(f"kill mongod primary: {step}, {when}", self._kill_primary_at(step, when))] * self.quotas.primary_kills
        if self.quotas.primary_kills == 0:
            faults.append(("kill mongod primary: mark minutes, after", self._kill_primary_at("mark minutes", "after")))
        return faults + [
            ("kill mongod secondary", self._kill_secondary), ("kill every mongod", self._kill_mongods),
            ("stop mongod primary", self._stop_member(True)), ("stop mongod secondary", self._stop_member(False)),
            ("stepdown", self._step_down), ("partition of the primary", self._partition)] * wide

    def _at_the_rest(self):
        # It takes up to ten seconds to come back.
        kills = [
            ("kill RabbitMQ: publish, after", self._kill_rabbitmq_at("publish", "after")),
            ("kill RabbitMQ: ack, before", self._kill_rabbitmq_at("ack", "before")), ("kill RabbitMQ", self._kill_rabbitmq)]
        return kills[: self.quotas.rabbitmq_kills] * self.quotas.wide + [
            ("stop RabbitMQ", self._stop("rabbitmq")), ("close all AMQP connections", self._close_all), ("kill Redis", self._kill_redis),
            ("stop Redis", self._stop("redis")), ("connections cut", self._drop()), ("connections half open", self._drop(half_open=True)),
            ("link silent", self._condition("hold")), ("link slow", self._condition("delay")),
            ("link refused", self._condition("refuse"))] * self.quotas.wide

    # ---- at a step

    def _fire(self, source, step, when, action, hold=0.0, seconds=20):
        trigger = Trigger(source, step, when, action, hold)
        self.cluster.hub.arm(trigger)
        deadline = time.monotonic() + seconds
        while not trigger.fired.wait(0.2) and time.monotonic() < deadline and not self.is_over():
            pass
        self.cluster.hub.disarm(trigger)
        return trigger.fired.is_set()

    def _kill_at(self, source, step, when, victim=None):
        process = self.cluster.processes[victim or source]

        def action():
            process.kill()
            return True

        def fault():
            starts = process.starts
            # A dead letter goes another way than the acknowledgement that must not come before it.
            hold = 0.1 if step == "publish dead letter" else self.random.choice([0.0, 0.1])
            if not self._fire(source, step, when, action, hold):
                return False
            self._until(lambda: process.starts > starts and process.pid)
            return True

        return fault

    def _late(self, name, step):
        return lambda: self._fire(name, step, "before", lambda: float(self.quotas.lateness))

    def _stop_at(self, name, step):
        process = self.cluster.processes[name]

        def action():
            process.stop()
            threading.Timer(self.quotas.stop_seconds, process.resume).start()
            return False

        return lambda: self._fire(name, step, "before", action)

    def _kill_primary_at(self, step, when):
        def fault():
            name = self.cluster.primary_name()
            if not name:
                return False
            process = self.cluster.processes[name]
            starts = process.starts

            def action():
                process.kill()
                return True

            fired = self._fire(None, step, when, action)
            self._until(lambda: not fired or process.starts > starts)
            return fired and self._until(lambda: self.cluster.primary_name())

        return fault

    def _kill_rabbitmq_at(self, step, when):
        process = self.cluster.processes["rabbitmq"]

        def action():
            process.kill()
            return True

        return lambda: self._fire(None, step, when, action) and self._until_rabbitmq()

    # ---- at any moment

    def _stop(self, name):
        process = self.cluster.processes[name]

        def fault():
            process.stop()
            time.sleep(self.quotas.stop_seconds)
            process.resume()
            return True

        return fault

    def _kill_secondary(self):
        name = self._member(False)
        if name:
            self.cluster.processes[name].kill()
        return bool(name)

    def _kill_mongods(self):
        for name in MONGODS:
            self.cluster.processes[name].kill()
        return bool(self._until(lambda: self.cluster.primary_name()))

    def _stop_member(self, primary):
        def fault():
            name = self._member(primary)
            return bool(name) and self._stop(name)()

        return fault

    def _step_down(self):
        connection = mongo.primary(self.cluster.mongo_ports)
        if not connection:
            return False
        try:
            connection.command("admin", {"replSetStepDown": 5, "force": True})
        except mongo.MongoError:
            return False
        except OSError:
            pass
        finally:
            connection.close()
        return True

    def _partition(self):
        """The primary and the others do not hear each other; the service reaches all of them."""
        name = self._member(True)
        if not name:
            return False
        pairs = [pair for other in MONGODS if other != name for pair in ((name, other), (other, name))]
        return self._hold(pairs, Condition("hold"))

    def _kill_redis(self):
        self.cluster.processes["redis"].kill()
        return True

    def _kill_rabbitmq(self):
        self.cluster.processes["rabbitmq"].kill()
        return self._until_rabbitmq()

    def _until_rabbitmq(self):
        return bool(self._until(self.cluster.is_rabbitmq_up, 60))

    def _close_all(self):
        return self.cluster.rabbitmqctl("close_all_connections", "chaos").returncode == 0

    def _pair(self):
        source = self.random.choice(SERVICES)
        return source, self.random.choice(["rabbitmq", *MONGODS, "redis"])

    def _drop(self, half_open=False):
        def fault():
            source, target = self._pair()
            self.cluster.hub.drop(source, target, half_open)
            return True

        return fault

    def _condition(self, kind):
        return lambda: self._hold([self._pair(), self._pair()], Condition(kind, self.random.uniform(0.05, 0.4)))

    def _hold(self, pairs, condition):
        for source, target in pairs:
            self.cluster.hub.set_condition(source, target, condition)
            if condition.kind == "refuse":
                self.cluster.hub.drop(source, target)
        time.sleep(self.quotas.stop_seconds)
        for source, target in pairs:
            self.cluster.hub.set_condition(source, target, None)
        return True

    def _member(self, primary):
        name = self.cluster.primary_name()
        if primary or not name:
            return name
        return self.random.choice([other for other in MONGODS if other != name])

    def _until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.05)
        return False


def shuffled(draw, faults):
    draw.shuffle(faults)
    return faults
