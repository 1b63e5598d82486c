#!/usr/bin/env python3
"""Writes countries.mmdb: a few networks of documentation (RFC 5737, RFC 3849) in MaxMind's format, version 2.0, with records of 24 bits.
https://maxmind.github.io/MaxMind-DB/"""

import ipaddress
import pathlib

UINT16, UINT32, UINT64 = 5, 6, 9
NETWORKS = {
    "192.0.2.0/24": {"country": {"iso_code": "DE"}}, "198.51.100.0/25": {"country": {"iso_code": "fr"}},
    "198.51.100.128/25": {"country_code": "JP"}, "203.0.113.0/26": {"country": {"iso_code": "XX"}},
    "203.0.113.64/26": {"country": {"iso_code": "DEU"}}, "203.0.113.128/26": {"continent": {"code": "EU"}},
    "2001:db8:1::/48": {"country": {"iso_code": "SE"}}, "2001:db8:2::/48": {"country": {"iso_code": (UINT32, 7)}},
}


def control(kind, size):
    extended = kind > 7
    lead = bytes([((0 if extended else kind) << 5) | min(size, 29)]) + (bytes([kind - 7]) if extended else b"")
    return lead + (bytes([size - 29]) if size >= 29 else b"")


def encoded(value):
    if isinstance(value, str):
        return control(2, len(value.encode())) + value.encode()
    if isinstance(value, tuple):
        kind, number = value
        data = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return control(kind, len(data)) + data
    if isinstance(value, list):
        return control(11, len(value)) + b"".join(map(encoded, value))
    return control(7, len(value)) + b"".join(encoded(name) + encoded(own) for name, own in value.items())


def main():
    nodes, data = [[None, None]], b""
    for text, value in NETWORKS.items():
        network = ipaddress.ip_network(text)
        # IPv4 lies at ::/96.
        bits = f"{int(network.network_address):0128b}"[: network.prefixlen + (96 if network.version == 4 else 0)]
        node = 0
        for bit in map(int, bits[:-1]):
            if nodes[node][bit] is None:
                nodes.append([None, None])
                nodes[node][bit] = len(nodes) - 1
            node = nodes[node][bit]
        nodes[node][int(bits[-1])] = ("data", len(data))
        data += encoded(value)
    count = len(nodes)

    def record(value):
        number = count if value is None else count + 16 + value[1] if isinstance(value, tuple) else value
        return number.to_bytes(3, "big")

    tree = b"".join(record(left) + record(right) for left, right in nodes)
    metadata = {
        "binary_format_major_version": (UINT16, 2), "binary_format_minor_version": (UINT16, 0), "build_epoch": (UINT64, 1772366400), "database_type": "Test-Country",
        "description": {"en": "Networks of documentation"}, "ip_version": (UINT16, 6), "languages": ["en"], "node_count": (UINT32, count),
        "record_size": (UINT16, 24)}
    file = tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(metadata)
    (pathlib.Path(__file__).parent / "countries.mmdb").write_bytes(file)


main()
