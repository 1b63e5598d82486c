"""BSON as far as this test needs it: what the service stores, and what mongod answers. https://bsonspec.org/spec.html"""

import struct


class Date(int):
    """Milliseconds since the epoch."""


class Int64(int):
    """An integer that is sent as 64 bits, whatever its size."""


class Opaque(bytes):
    """A value that is read and not used: object ids, timestamps, binary data."""


_int32 = struct.Struct("<i")
_int64 = struct.Struct("<q")
_double = struct.Struct("<d")


def encode(document):
    body = bytearray()
    for key, value in document.items():
        _encode_element(body, key, value)
    return _int32.pack(len(body) + 5) + bytes(body) + b"\0"


def _encode_element(body, key, value):
    name = key.encode() + b"\0"
    if isinstance(value, bool):
        body += b"\x08" + name + (b"\x01" if value else b"\x00")
    elif isinstance(value, Date):
        body += b"\x09" + name + _int64.pack(value)
    elif isinstance(value, int):
        if isinstance(value, Int64) or not -(2**31) <= value < 2**31:
            body += b"\x12" + name + _int64.pack(value)
        else:
            body += b"\x10" + name + _int32.pack(value)
    elif isinstance(value, float):
        body += b"\x01" + name + _double.pack(value)
    elif isinstance(value, str):
        text = value.encode()
        body += b"\x02" + name + _int32.pack(len(text) + 1) + text + b"\0"
    elif isinstance(value, dict):
        body += b"\x03" + name + encode(value)
    elif isinstance(value, (list, tuple)):
        body += b"\x04" + name + encode({str(i): item for i, item in enumerate(value)})
    elif value is None:
        body += b"\x0a" + name
    else:
        raise TypeError(f"no BSON for {type(value)}")


def decode(data, start=0):
    """The document at `start`, as a dict in the order of its keys."""
    return _decode_document(data, start)[0]


def first_element(data, start=0):
    """Key and value of a document's first element: name and collection of a command. The value is None unless it is a string."""
    end = data.index(b"\0", start + 5)
    key = bytes(data[start + 5 : end]).decode("utf-8", "replace")
    if data[start + 4] != 2:
        return key, None
    size = _int32.unpack_from(data, end + 1)[0]
    return key, bytes(data[end + 5 : end + 4 + size]).decode("utf-8", "replace")


def _decode_document(data, start):
    end = start + _int32.unpack_from(data, start)[0]
    position = start + 4
    document = {}
    while data[position]:
        kind = data[position]
        name_end = data.index(b"\0", position + 1)
        name = bytes(data[position + 1 : name_end]).decode()
        document[name], position = _decode_value(kind, data, name_end + 1)
    return document, end


def _decode_value(kind, data, at):
    if kind == 0x02:
        size = _int32.unpack_from(data, at)[0]
        return bytes(data[at + 4 : at + 3 + size]).decode(), at + 4 + size
    if kind == 0x10:
        return _int32.unpack_from(data, at)[0], at + 4
    if kind == 0x12:
        return _int64.unpack_from(data, at)[0], at + 8
    if kind == 0x09:
        return Date(_int64.unpack_from(data, at)[0]), at + 8
    if kind == 0x01:
        return _double.unpack_from(data, at)[0], at + 8
    if kind == 0x08:
        return data[at] == 1, at + 1
    if kind == 0x0A:
        return None, at
    if kind == 0x03:
        return _decode_document(data, at)
    if kind == 0x04:
        document, end = _decode_document(data, at)
        return list(document.values()), end
    if kind == 0x05:
        size = _int32.unpack_from(data, at)[0]
        return Opaque(data[at + 5 : at + 5 + size]), at + 5 + size
    size = {0x07: 12, 0x11: 8, 0x13: 16, 0x06: 0, 0xFF: 0, 0x7F: 0}.get(kind)
    if size is None:
        raise ValueError(f"BSON type {kind} is not read here")
    return Opaque(data[at : at + size]), at + size
