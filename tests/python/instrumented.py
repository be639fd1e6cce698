"""Sends requests to an application with one of Python's instrumentation packages, and prints what it counted.

`instrumented.py fastapi|flask|opentelemetry`, then a method, a path and a body for each request.
"""

import os
import sys

from prometheus_client import generate_latest


def fastapi():
    from prometheus_fastapi_instrumentator import Instrumentator

    return fastapi_app(lambda app: Instrumentator().instrument(app))


def opentelemetry():
    # The stable conventions instead of the ones before.
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    from opentelemetry import metrics
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider

    metrics.set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))
    return fastapi_app(FastAPIInstrumentor.instrument_app)


def fastapi_app(instrument):
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse
    from fastapi.testclient import TestClient

    app = FastAPI()
    instrument(app)

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

    @app.get("/broken")
    def broken():
        return PlainTextResponse("broken", status_code=500)

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

    @app.get("/broken")
    def broken():
        return "broken", 500

    client = app.test_client()
    return lambda method, path, body: client.open(path, method=method, data=body)


send = {"fastapi": fastapi, "flask": flask, "opentelemetry": opentelemetry}[sys.argv[1]]()
words = iter(sys.argv[2:])
for method, path, body in zip(words, words, words):
    send(method, path, body)
print(generate_latest().decode(), end="")
