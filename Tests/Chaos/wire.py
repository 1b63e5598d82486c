"""Cuts byte streams into messages and names the step that each one is, from the bytes alone.

Steps of a flush, in their order: insert, mark minutes, mark hours, mark days, publish dead letter, ack, report. Others: deliver,
roll minutes, roll hours, roll days, publish (the API's), answer (the API's HTTP answer to a POST)."""

import struct

import amqp
import bson

MARKS = {"minutes": "mark minutes", "hours": "mark hours", "days": "mark days"}
ROLLS = {"minutes": "roll minutes", "hours": "roll hours", "days": "roll days"}


class Raw:
    """Any bytes, as they come."""

    def __init__(self):
        pass

    async def message(self, reader, from_client):
        return await reader.read(65536)

    def request(self, data):
        return None

    def response(self, data):
        return []


class HTTP(Raw):
    def __init__(self):
        self._is_post = False

    def request(self, data):
        if data.startswith((b"POST ", b"GET ")):
            self._is_post = data.startswith(b"POST ")
        return None

    def response(self, data):
        return ["answer"] if self._is_post and data.startswith(b"HTTP/1.1 20") else []


class Mongo:
    """OP_MSG. A request's first section is its command document; bulk writes bring their documents in a second one."""

    def __init__(self):
        self._pending = {}

    async def message(self, reader, from_client):
        head = await reader.readexactly(4)
        size = struct.unpack("<i", head)[0]
        if not 16 <= size <= 64_000_000:
            raise ValueError(f"a MongoDB message of {size} bytes")
        return head + await reader.readexactly(size - 4)

    def request(self, data):
        number, _, code = struct.unpack_from("<iii", data, 4)
        if code != 2013 or data[20] != 0:
            return None
        step = self._step(data)
        if step:
            self._pending[number] = step
        return step

    def response(self, data):
        step = self._pending.pop(struct.unpack_from("<i", data, 8)[0], None)
        return [step] if step else []

    @staticmethod
    def _step(data):
        command, collection = bson.first_element(data, 21)
        if command == "insert":
            return {"events": "insert", "reports": "report", **MARKS}.get(collection)
        if command == "update" and collection in ROLLS:
            return (ROLLS if Mongo._is_roll(data) else MARKS)[collection]
        return None

    @staticmethod
    def _is_roll(data):
        """A roll's update is a pipeline or compares `done`; a mark's is neither."""
        size = struct.unpack_from("<i", data, 21)[0]
        at = 21 + size
        if at < len(data) - 4 and data[at] == 1:
            update = bson.decode(data, data.index(b"\0", at + 5) + 1)
        else:
            updates = bson.decode(data, 21).get("updates") or [{}]
            update = updates[0]
        return isinstance(update.get("u"), list) or "done" in str(update.get("q"))


class AMQP:
    """Frames. Publishes are numbered a channel, from 1, as the broker's confirms count them."""

    def __init__(self):
        self._is_begun = False
        self._published = {}
        self._unconfirmed = {}

    async def message(self, reader, from_client):
        if from_client and not self._is_begun:
            self._is_begun = True
            return await reader.readexactly(8)
        head = await reader.readexactly(7)
        return head + await reader.readexactly(struct.unpack_from(">I", head, 3)[0] + 1)

    def request(self, data):
        if data.startswith(b"AMQP"):
            return None
        name = amqp.method(data)
        if name == amqp.PUBLISH:
            step = "publish dead letter" if amqp.exchange_of_publish(data).endswith(".dead") else "publish"
            channel = amqp.channel(data)
            number = self._published[channel] = self._published.get(channel, 0) + 1
            self._unconfirmed.setdefault(channel, {})[number] = step
            return step
        return "ack" if name == amqp.ACK else None

    def response(self, data):
        name = amqp.method(data)
        if name == amqp.DELIVER:
            return ["deliver"]
        if name != amqp.ACK:
            return []
        tag, multiple = amqp.tag_of_ack(data)
        waiting = self._unconfirmed.get(amqp.channel(data), {})
        numbers = [n for n in waiting if n == tag or (multiple and n <= tag)]
        return sorted({waiting.pop(number) for number in numbers})
