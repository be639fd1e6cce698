"""A FastAPI application that prometheus-fastapi-instrumentator instruments. Nothing in it knows of Headcount.

The socket is the one that the supervisor has passed.
"""

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from prometheus_fastapi_instrumentator import Instrumentator

app = FastAPI()
Instrumentator().instrument(app)


@app.get("/users/{name}")
def user(name: str):
    return PlainTextResponse(f"Hello, {name}.\n")


if __name__ == "__main__":
    uvicorn.run(app, fd=3, log_level="warning")
