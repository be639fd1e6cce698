"""A Flask application that counts its requests with Python's own client."""

import os

from flask import Flask
from prometheus_client import Counter, Gauge

app = Flask(__name__)

REQUESTS = Counter("app_requests", "Requests that were answered.", ["route"])
WORKERS = Gauge("app_workers", "Worker processes that are alive.", multiprocess_mode="livesum")
WORKERS.set(1)


@app.route("/")
def index():
    REQUESTS.labels(route="/").inc()
    return f"Hello from process {os.getpid()}\n"
