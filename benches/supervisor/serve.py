"""A small WSGI server on the socket that was passed to it: what Gunicorn's sync worker is to Gunicorn."""

import os
import signal
import socket

from app import app


def answer(connection):
    with connection, connection.makefile("rb") as lines:
        request = lines.readline().split()
        while lines.readline().strip():
            pass
        head = []
        environ = {"REQUEST_METHOD": request[0].decode(), "PATH_INFO": request[1].decode()}
        body = app(environ, lambda status, headers: head.extend((status, headers)))
        lines = [f"HTTP/1.1 {head[0]}", "Connection: close"] + [f"{name}: {value}" for name, value in head[1]]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + b"".join(body))


listener = socket.socket(fileno=3)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    answer(listener.accept()[0])
