"""A small client for mongod: OP_MSG over one socket, straight to a member. https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/"""

import itertools
import socket
import struct

import bson

OP_MSG = 2013


class MongoError(Exception):
    pass


class Connection:
    """One member. Not for several threads at a time. Raises OSError or MongoError."""

    _numbers = itertools.count(1)

    def __init__(self, port, timeout=5.0):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self._socket.close()

    def command(self, database, document):
        number = next(self._numbers)
        payload = b"\0\0\0\0\0" + bson.encode({**document, "$db": database})
        self._socket.sendall(struct.pack("<iiii", 16 + len(payload), number, 0, OP_MSG) + payload)
        size, _, _, code = struct.unpack("<iiii", self._read(16))
        reply = self._read(size - 16)
        if code != OP_MSG or reply[4] != 0:
            raise MongoError(f"an answer of kind {code}")
        answer = bson.decode(reply, 5)
        if answer.get("ok") != 1:
            raise MongoError(f"{answer.get('codeName')}: {answer.get('errmsg')}")
        return answer

    def find(self, database, collection, query=None, projection=None, hint=None, batch=2000):
        """Every document, seen by a majority."""
        command = {"find": collection, "filter": query or {}, "batchSize": batch, "readConcern": {"level": "majority"}}
        if projection:
            command["projection"] = projection
        cursor = self.command(database, command)["cursor"]
        yield from cursor["firstBatch"]
        while cursor["id"]:
            more = {"getMore": bson.Int64(cursor["id"]), "collection": collection, "batchSize": batch}
            cursor = self.command(database, more)["cursor"]
            yield from cursor["nextBatch"]

    def count(self, database, collection, query):
        stages = [{"$match": query}, {"$count": "n"}]
        command = {"aggregate": collection, "pipeline": stages, "cursor": {}, "readConcern": {"level": "majority"}}
        rows = self.command(database, command)["cursor"]["firstBatch"]
        return rows[0]["n"] if rows else 0

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise MongoError("the connection is closed")
            data += part
        return data


def primary(ports, timeout=2.0):
    """A connection to the member that takes writes, or None."""
    for port in ports:
        try:
            connection = Connection(port, timeout)
        except OSError:
            continue
        try:
            if connection.command("admin", {"hello": 1}).get("isWritablePrimary"):
                return connection
        except (OSError, MongoError, ValueError):
            pass
        connection.close()
    return None
