"""AMQP 0-9-1 as far as this test needs it: the frames that a proxy tells apart, and a client that reads depths and dead letters.
https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf"""

import socket
import struct

METHOD, HEADER, BODY = 1, 2, 3
PUBLISH, DELIVER, ACK = (60, 40), (60, 60), (60, 80)


def method(frame):
    """(class, method) of a whole frame, or None for one that is no method."""
    return struct.unpack_from(">HH", frame, 7) if frame[0] == METHOD else None


def channel(frame):
    return struct.unpack_from(">H", frame, 1)[0]


def short_string(data, at):
    size = data[at]
    return bytes(data[at + 1 : at + 1 + size]).decode("utf-8", "replace"), at + 1 + size


def exchange_of_publish(frame):
    return short_string(frame, 13)[0]


def tag_of_ack(frame):
    """Delivery tag, and whether it stands for all up to it."""
    tag, bits = struct.unpack_from(">QB", frame, 11)
    return tag, bool(bits & 1)


class Client:
    """One connection with one channel. Raises OSError, or ValueError for an answer that was not asked for."""

    def __init__(self, port, timeout=5.0):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.sendall(b"AMQP\0\0\x09\x01")
        self._expect((10, 10), 0)
        plain = b"\0guest\0guest"
        self._send(0, (10, 11), struct.pack(">I", 0) + b"\x05PLAIN" + struct.pack(">I", len(plain)) + plain + b"\x05en_US")
        tune = self._expect((10, 30), 0)
        channels, size, _ = struct.unpack_from(">HIH", tune, 4)
        self._send(0, (10, 31), struct.pack(">HIH", channels, size, 0))
        self._send(0, (10, 40), b"\x01/\0\0")
        self._expect((10, 41), 0)
        self._send(1, (20, 10), b"\0")
        self._expect((20, 11), 1)

    def close(self):
        self._socket.close()

    def ready(self, queue):
        """Messages that wait for a consumer."""
        self._send(1, (50, 10), b"\0\0" + self._short(queue) + b"\x01" + struct.pack(">I", 0))
        answer = self._expect((50, 11), 1)
        _, at = short_string(answer, 4)
        return struct.unpack_from(">I", answer, at)[0]

    def messages(self, queue):
        """Every message, without taking one away: what is not acknowledged goes back when the connection ends."""
        while True:
            self._send(1, (60, 70), b"\0\0" + self._short(queue) + b"\0")
            answer = self._expect(None, 1)
            if struct.unpack_from(">HH", answer) == (60, 72):
                return
            _, header = self._frame()
            size = struct.unpack_from(">Q", header, 4)[0]
            body = bytearray()
            while len(body) < size:
                body += self._frame()[1]
            yield bytes(body)

    @staticmethod
    def _short(text):
        return bytes([len(text.encode())]) + text.encode()

    def _send(self, number, name, arguments):
        payload = struct.pack(">HH", *name) + arguments
        self._socket.sendall(struct.pack(">BHI", METHOD, number, len(payload)) + payload + b"\xce")

    def _expect(self, name, number):
        while True:
            at, payload = self._frame()
            if at != number or not payload:
                continue
            found = struct.unpack_from(">HH", payload)
            if name in (None, found):
                return payload
            raise ValueError(f"AMQP method {found} where {name} was expected")

    def _frame(self):
        kind, number, size = struct.unpack(">BHI", self._read(7))
        payload = self._read(size + 1)[:-1]
        return number, (b"" if kind == 8 else payload)

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise OSError("RabbitMQ closed the connection")
            data += part
        return data
