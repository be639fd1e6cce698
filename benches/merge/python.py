"""Writes the series of a number of workers, then merges them once for each line that comes in."""

import os
import sys
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

WORKERS, ENTRIES, PER_HISTOGRAM = map(int, sys.argv[1:])
NAMES = ["controller", "path", "status"]


def labels(n):
    return f"Controller{n % 97}", f"/api/v1/resource/{n}", "200"


def work(worker):
    def value(n):
        return (n * 7 + worker) % 1000

    histogram = Histogram("bench_seconds", "Bench.", NAMES)
    gauge = Gauge("bench_gauge", "Bench.", NAMES, multiprocess_mode="livesum")
    counter = Counter("bench_counter", "Bench.", NAMES)
    for n in range(ENTRIES // 2 // PER_HISTOGRAM):
        histogram.labels(*labels(n)).observe(value(n) / 100)
    for n in range(ENTRIES // 4):
        gauge.labels(*labels(n)).set(value(n) + 0.5)
        counter.labels(*labels(n)).inc(value(n))


for worker in range(WORKERS):
    pid = os.fork()
    if pid == 0:
        work(worker)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).count(b"\n"), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    generate_latest(registry)
    print(time.perf_counter() - start, flush=True)
