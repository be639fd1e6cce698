"""The application that both supervisors run. It says when it has been loaded: one byte for each worker."""

import os

with open(os.environ["BOOTED"], "ab", buffering=0) as booted:
    booted.write(b".")


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
