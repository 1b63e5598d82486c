"""The processes: three mongod, RabbitMQ, Redis, the API and the processors, each in a session of its own, on ports of their own."""

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import amqp
import mongo
from proxy import Hub

DATABASE = "chaos"
MONGODS = ["mongod-0", "mongod-1", "mongod-2"]
PROCESSORS = ["processor-1", "processor-2"]
SERVICES = ["api", *PROCESSORS]


class ClusterError(Exception):
    pass


class Ports:
    """Below the range of outgoing connections, so that none of these takes a port while its server is down."""

    def __init__(self):
        self._given = set()

    def free(self):
        for _ in range(500):
            port = random.SystemRandom().randrange(20_000, 32_000)
            if port in self._given:
                continue
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            self._given.add(port)
            return port
        raise ClusterError("no free port")


class Process:
    def __init__(self, name, command, environment, folder, log):
        self.name, self.command, self.environment = name, command, environment
        self.folder, self.log = folder, log
        self.child = None
        self.starts = 0
        self.is_wanted = True
        self.is_stopped = False
        self.was_killed = False
        self.lock = threading.RLock()

    @property
    def pid(self):
        return self.child.pid if self.child and self.child.poll() is None else None

    def start(self):
        with self.lock:
            os.makedirs(self.folder, exist_ok=True)
            with open(self.log, "ab") as log:
                log.write(f"--- start {self.starts + 1}\n".encode())
                log.flush()
                self.child = subprocess.Popen(
                    self.command, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True)
            self.starts += 1
            self.is_stopped = self.was_killed = False

    def signal(self, number):
        """To every process of the session; its leader first."""
        leader = self.child.pid if self.child else None
        if not leader:
            return
        for pid in [leader] + [pid for pid in _session(leader) if pid != leader]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        self.was_killed = True
        self.signal(signal.SIGKILL)

    def stop(self):
        self.is_stopped = True
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)
        self.is_stopped = False


def _session(leader):
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
                if fields[3] == str(leader) and fields[0] != "Z":
                    yield int(name)
            except (OSError, IndexError):
                continue


class Cluster:
    """Starts everything, starts again what was killed, and removes all of it at the end."""

    def __init__(self, folder, binary, mongod):
        self.folder, self.binary, self.mongod = folder, binary, mongod
        self.logs = os.path.join(folder, "log")
        os.makedirs(self.logs)
        self.ports = Ports()
        self.processes = {}
        self.crashes = []
        self.hub = Hub(lambda: {name: process.pid for name, process in self.processes.items() if process.pid})
        self._is_supervising = self._is_ending = False
        self.restart_pause = lambda: 0.1
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    # ---- up

    def start(self):
        self._start_mongods()
        self._start_rabbitmq()
        self._start_redis()
        self._initiate({"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 2})
        wait(lambda: mongo.primary(self.mongo_ports), 30, "the replica set has a primary")
        wait(self.is_rabbitmq_up, 60, "RabbitMQ answers")
        self._start_services()
        wait(lambda: all(self.is_ready(name) for name in SERVICES), 60, "the service is ready")
        self._is_supervising = True
        self._supervisor.start()

    def start_replica_set(self, settings):
        """Nothing else, and without a primary: for tests of a store by itself."""
        self._start_mongods()
        self._initiate(settings)

    def add(self, name, command, environment=None):
        log = os.path.join(self.logs, f"{name}.log")
        base = {"PATH": os.environ["PATH"], "HOME": self.folder, "LC_ALL": "C.UTF-8"}
        process = Process(name, command, {**base, **(environment or {})}, os.path.join(self.folder, name), log)
        self.processes[name] = process
        process.start()
        return process

    def _start_mongods(self):
        self.mongo_ports, self.mongo_proxies = [], []
        for name in MONGODS:
            port, proxy = self.ports.free(), self.ports.free()
            self.mongo_ports.append(port)
            self.mongo_proxies.append(proxy)
            self.hub.listen(proxy, name, port, "mongo")
            data = os.path.join(self.folder, name, "data")
            os.makedirs(data)
            self.add(name, [
                self.mongod, "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", "chaos",
                "--oplogSize", "200", "--wiredTigerCacheSizeGB", "0.25", "--networkMessageCompressors", "disabled",
                "--setParameter", "diagnosticDataCollectionEnabled=false"])

    def _initiate(self, settings):
        """The members know each other by their proxies' ports, and so do the drivers that ask them."""
        members = [{"_id": i, "host": f"127.0.0.1:{port}"} for i, port in enumerate(self.mongo_proxies)]

        def initiate():
            try:
                connection = mongo.Connection(self.mongo_ports[0])
                connection.command("admin", {"replSetInitiate": {"_id": "chaos", "members": members, "settings": settings}})
                return True
            except mongo.MongoError as error:
                return "AlreadyInitialized" in str(error)
            except OSError:
                return False

        wait(initiate, 30, "mongod takes the replica set's configuration")

    def _start_rabbitmq(self):
        base = os.path.join(self.folder, "rabbitmq")
        os.makedirs(os.path.join(base, "mnesia"))
        self.rabbit_port, epmd, distribution = self.ports.free(), self.ports.free(), self.ports.free()
        files = {
            "rabbitmq.conf": f"listeners.tcp.1 = 127.0.0.1:{self.rabbit_port}\ndefault_user = guest\ndefault_pass = guest\n"
            "log.file.level = info\nheartbeat = 5\n",
            "rabbitmq-env.conf": "", "enabled_plugins": "[].\n"}
        for name, text in files.items():
            with open(os.path.join(base, name), "w") as file:
                file.write(text)
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        self.rabbit_environment = {
            "PATH": os.environ["PATH"], "HOME": base, "LC_ALL": "C.UTF-8", "RABBITMQ_NODENAME": "chaos@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(self.rabbit_port),
            "RABBITMQ_DIST_PORT": str(distribution), "RABBITMQ_MNESIA_BASE": f"{base}/mnesia", "RABBITMQ_LOG_BASE": self.logs,
            "RABBITMQ_LOGS": "-", "RABBITMQ_CONFIG_FILE": f"{base}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{base}/rabbitmq-env.conf", "RABBITMQ_ADVANCED_CONFIG_FILE": f"{base}/advanced.config",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{base}/generated", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{base}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{base}/pid", "RABBITMQ_CTL_ERL_ARGS": loopback, "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback,
            "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self.add("epmd", ["epmd", "-address", "127.0.0.1", "-port", str(epmd)])
        self.add("rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], self.rabbit_environment)

    def _start_redis(self):
        port, self.redis_proxy = self.ports.free(), self.ports.free()
        self.hub.listen(self.redis_proxy, "redis", port, "raw")
        self.add("redis", [
            "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory", "64mb"])

    def service_environment(self):
        members = ",".join(f"127.0.0.1:{port}" for port in self.mongo_proxies)
        limits = "serverSelectionTimeoutMS=4000&connectTimeoutMS=1500&socketTimeoutMS=4000&heartbeatFrequencyMS=1000"
        return {
            "MONGODB_URI": f"mongodb://{members}/{DATABASE}?replicaSet=chaos&{limits}", "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.redis_proxy), "LOG_LEVEL": "info"}

    def _start_services(self):
        self.http_ports = {}
        for name in SERVICES:
            port, rabbit = self.ports.free(), self.ports.free()
            self.hub.listen(rabbit, "rabbitmq", self.rabbit_port, "amqp", source=name)
            self.http_ports[name] = port
            environment = {"PORT": str(port), "RABBITMQ_URL": f"amqp://guest:guest@127.0.0.1:{rabbit}"}
            self.add(name, [self.binary, "serve", "--role", name.split("-")[0]], {**self.service_environment(), **environment})
        self.api_proxy = self.ports.free()
        self.hub.listen(self.api_proxy, "api", self.http_ports["api"], "http", source="client")

    # ---- while it runs

    def _supervise(self):
        while self._is_supervising:
            for process in list(self.processes.values()):
                if process.is_wanted and process.child.poll() is not None:
                    self._restart(process)
            time.sleep(0.05)

    def _restart(self, process):
        if not process.was_killed:
            self.crashes.append(f"{process.name} ended by itself with {process.child.returncode}")
        threading.Thread(target=self._restart_later, args=(process, self.restart_pause()), daemon=True).start()
        process.is_wanted = False

    def _restart_later(self, process, pause):
        time.sleep(pause)
        with process.lock:
            if self._is_ending:
                return
            # What a killed leader leaves behind holds its ports.
            process.signal(signal.SIGKILL)
            process.start()
            process.is_wanted = True

    def is_ready(self, name):
        try:
            with socket.create_connection(("127.0.0.1", self.http_ports[name]), 2) as connection:
                connection.settimeout(3)
                connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return connection.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def primary_name(self):
        connection = mongo.primary(self.mongo_ports)
        if not connection:
            return None
        try:
            me = connection.command("admin", {"hello": 1})["me"]
            return MONGODS[self.mongo_proxies.index(int(me.rpartition(":")[2]))]
        except (OSError, mongo.MongoError, ValueError):
            return None
        finally:
            connection.close()

    def is_rabbitmq_up(self):
        try:
            amqp.Client(self.rabbit_port, 2).close()
            return True
        except (OSError, ValueError):
            return False

    def rabbitmqctl(self, *arguments):
        return subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", *arguments], env=self.rabbit_environment, capture_output=True, text=True, timeout=60)

    # ---- down

    def shutdown(self):
        self._is_supervising, self._is_ending = False, True
        if self._supervisor.is_alive():
            self._supervisor.join(2)
        for process in self.processes.values():
            with process.lock:
                process.kill()
        for process in self.processes.values():
            if process.child:
                process.child.wait(10)
        self.hub.stop()
        for name in self.processes:
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)


def wait(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise ClusterError(f"not within {seconds} s: {what}")
