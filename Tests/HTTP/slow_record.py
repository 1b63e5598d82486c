#!/usr/bin/env python3
"""Sends a body that is refused, in one TLS record that arrives in small parts, and then reads the answer.

    slow_record.py PORT CA

The service reads on after its answer, and gives up 5 s after the last byte that it has seen. The parts take longer, and no part completes the record.
"""

import socket
import ssl
import sys
import time

PARTS = 12


def main(port, authority):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send():
        connection.sendall(outgoing.read())

    def receive():
        data = connection.recv(65_536)
        incoming.write(data) if data else incoming.write_eof()

    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            send()
            receive()
    tls.write(
        b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
    )
    send()
    tls.write(b"x" * 16_000)
    record = outgoing.read()
    size = len(record) // (PARTS + 1)
    for part in range(PARTS):
        connection.sendall(record[part * size : (part + 1) * size])
        time.sleep(1)
    answer = b""
    while b"\r\n\r\n" not in answer:
        try:
            answer += tls.read(65_536)
        except ssl.SSLWantReadError:
            receive()
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:200]
    # A closed connection would have answered a part with a reset by now.
    connection.sendall(record[PARTS * size :])


main(int(sys.argv[1]), sys.argv[2])
