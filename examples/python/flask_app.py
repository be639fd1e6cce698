"""A Flask application that prometheus_flask_exporter instruments. Nothing in it knows of Headcount.

The socket is the one that the supervisor has passed.
"""

from flask import Flask
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.serving import make_server

app = Flask(__name__)
# No endpoint of its own: the supervisor has one, for all processes.
PrometheusMetrics(app, path=None, group_by="url_rule")


@app.get("/users/<name>")
def user(name):
    return f"Hello, {name}.\n"


if __name__ == "__main__":
    make_server("127.0.0.1", 0, app, fd=3).serve_forever()
