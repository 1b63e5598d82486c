"""Waits until a service answers in its own protocol. An open port alone does not show that a service is ready.

    probe.py mongodb|amqp|redis PORT   |   probe.py http URL
             [--timeout SECONDS] [--pid PID]

Exit status: 0 if it answers, 1 after the timeout, 2 if the process PID has ended. Uses only the standard library: Debian has
no MongoDB shell, and a health check should not need a package.
"""

import argparse
import os
import socket
import struct
import sys
import time
import urllib.error
import urllib.request

HOST = "127.0.0.1"


class NotYet(Exception):
    pass


# --- BSON and OP_MSG, only the parts that are needed ----------------------------------------------------------------------


def bson(document):
    body = b""
    for key, value in document.items():
        name = key.encode() + b"\0"
        if isinstance(value, bool):
            body += b"\x08" + name + (b"\1" if value else b"\0")
        elif isinstance(value, int):
            body += b"\x10" + name + struct.pack("<i", value)
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            body += b"\x02" + name + struct.pack("<i", len(text)) + text
        elif isinstance(value, dict):
            body += b"\x03" + name + bson(value)
        elif isinstance(value, list):
            body += b"\x04" + name + bson({str(i): item for i, item in enumerate(value)})
        else:
            raise TypeError(type(value))
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def unbson(data):
    """The top-level fields that are strings, numbers or booleans."""
    fields, at = {}, 4
    while data[at]:
        kind = data[at]
        end = data.index(b"\0", at + 1)
        name, at = data[at + 1 : end].decode(), end + 1
        if kind == 0x01:
            fields[name], at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 0x02:
            length = struct.unpack_from("<i", data, at)[0]
            fields[name], at = data[at + 4 : at + 3 + length].decode(), at + 4 + length
        elif kind in (0x03, 0x04):
            at += struct.unpack_from("<i", data, at)[0]
        elif kind == 0x05:
            at += 5 + struct.unpack_from("<i", data, at)[0]
        elif kind == 0x07:
            at += 12
        elif kind == 0x08:
            fields[name], at = data[at] == 1, at + 1
        elif kind == 0x0A:
            at += 0
        elif kind == 0x10:
            fields[name], at = struct.unpack_from("<i", data, at)[0], at + 4
        elif kind in (0x09, 0x11, 0x12):
            fields[name], at = struct.unpack_from("<q", data, at)[0], at + 8
        else:
            raise NotYet(f"an answer with a field of type {kind:#x}")
    return fields


def receive(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise NotYet("the connection was closed")
        data += piece
    return data


def command(connection, document):
    message = struct.pack("<i", 0) + b"\0" + bson({**document, "$db": "admin"})
    connection.sendall(struct.pack("<iiii", 16 + len(message), 1, 0, 2013) + message)
    length = struct.unpack("<i", receive(connection, 4))[0]
    return unbson(receive(connection, length - 4)[12 + 5 :])


def mongodb(port):
    """Ready if it is a writable primary. Initiates the replica set if that has not happened yet."""
    with socket.create_connection((HOST, port), 2) as connection:
        connection.settimeout(5)
        hello = command(connection, {"hello": 1})
        if hello.get("isWritablePrimary") and hello.get("setName"):
            return
        if hello.get("isreplicaset"):
            member = {"_id": 0, "host": f"{HOST}:{port}"}
            answer = command(connection, {"replSetInitiate": {"_id": "rs0", "members": [member]}})
            if not answer.get("ok") and answer.get("code") != 23:  # 23: initiated meanwhile
                raise NotYet(f"replSetInitiate: {answer.get('errmsg')}")
        raise NotYet("no primary yet")


def amqp(port):
    with socket.create_connection((HOST, port), 2) as connection:
        connection.settimeout(5)
        connection.sendall(b"AMQP\0\0\x09\x01")
        if receive(connection, 1) != b"\x01":  # a method frame: connection.start
            raise NotYet("no AMQP 0-9-1")


def redis(port):
    with socket.create_connection((HOST, port), 2) as connection:
        connection.settimeout(2)
        connection.sendall(b"PING\r\n")
        answer = connection.recv(64)
        if not answer.startswith(b"+PONG"):
            raise NotYet(answer.decode(errors="replace").strip())


def http(url):
    # No proxy from the environment: this is loopback.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
        answer.read()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind", choices=["mongodb", "amqp", "redis", "http"])
    arguments.add_argument("target")
    arguments.add_argument("--timeout", type=float, default=0)
    arguments.add_argument("--pid", type=int)
    options = arguments.parse_args()
    probe = {"mongodb": mongodb, "amqp": amqp, "redis": redis, "http": http}[options.kind]
    target = options.target if options.kind == "http" else int(options.target)
    deadline = time.monotonic() + options.timeout
    while True:
        try:
            probe(target)
            return 0
        except (NotYet, OSError, urllib.error.URLError, struct.error) as error:
            reason = error
        if options.pid and not os.path.exists(f"/proc/{options.pid}"):
            print("the process ended", file=sys.stderr)
            return 2
        if time.monotonic() >= deadline:
            if options.timeout:
                print(reason, file=sys.stderr)
            return 1
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
