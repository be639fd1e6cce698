"""Sends requests to an application with one of Python's instrumentation packages, and prints what it counted.

`instrumented.py fastapi|flask`, then a method, a path and a body for each request.
"""

import sys

from prometheus_client import generate_latest


def fastapi():
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse
    from fastapi.testclient import TestClient
    from prometheus_fastapi_instrumentator import Instrumentator

    app = FastAPI()
    Instrumentator().instrument(app)

    @app.get("/")
    def hello():
        return PlainTextResponse("hello")

    @app.get("/users/{id}")
    def user(id: str):
        return PlainTextResponse(f"user {id}")

    @app.post("/echo")
    async def echo(request: Request):
        return PlainTextResponse(await request.body())

    @app.get("/fail")
    def fail():
        raise RuntimeError("expected")

    client = TestClient(app, raise_server_exceptions=False)
    return lambda method, path, body: client.request(method, path, content=body)


def flask():
    from flask import Flask, request
    from prometheus_flask_exporter import PrometheusMetrics

    app = Flask(__name__)
    PrometheusMetrics(app, group_by="url_rule")

    @app.get("/")
    def hello():
        return "hello"

    @app.get("/users/<id>")
    def user(id):
        return f"user {id}"

    @app.post("/echo")
    def echo():
        return request.data

    @app.get("/fail")
    def fail():
        raise RuntimeError("expected")

    client = app.test_client()
    return lambda method, path, body: client.open(path, method=method, data=body)


send = {"fastapi": fastapi, "flask": flask}[sys.argv[1]]()
words = iter(sys.argv[2:])
for method, path, body in zip(words, words, words):
    send(method, path, body)
print(generate_latest().decode(), end="")
