"""Several processes of Python's client write everything there is into PROMETHEUS_MULTIPROC_DIR.

Then the client merges the directory itself and prints the result, in the text format. All values are
multiples of a quarter, so that sums do not depend on their order.
"""

import os
import random
import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

PROCESSES = 6
ODD_VALUES = ["", "plain", 'quote"', "back\\slash", "new\nline", "tab\t", "é", "\U0001f600", "a,b={c}", " ", "\x01"]
MODES = ["all", "liveall", "sum", "livesum", "min", "livemin", "max", "livemax", "mostrecent", "livemostrecent"]


def quarter(random):
    return random.randrange(-400, 400) / 4


def work(number):
    """What one process counts; each time the same, and each process another."""
    rng = random.Random(number)
    odd = lambda: rng.choice(ODD_VALUES)
    counter = Counter("c", "Counts\nwith a \\ in its help", ["a", "b"])
    plain = Counter("plain", "Without labels.")
    summary = Summary("s", "Sums.", ["a"])
    histogram = Histogram("h", "Default buckets.", ["a"])
    # Every other process has other buckets.
    bounds = [0.5, 1, 2.5, 1e6, 1e7] if number % 2 else [1, 5, 1e6, 2e20]
    other = Histogram("other", "Differing buckets.", ["a"], buckets=bounds)
    namespaced = Counter("n", "With namespace, subsystem and unit.", namespace="ns", subsystem="ss", unit="seconds")
    gauges = {}
    for mode in MODES:
        try:
            gauges[mode] = Gauge("g_" + mode, "In mode " + mode, ["a"], multiprocess_mode=mode)
            Gauge("untouched_" + mode, "Never set.", multiprocess_mode=mode)
        except ValueError:
            pass  # An older release, which has not got it.
    for _ in range(100):
        counter.labels(odd(), odd()).inc(rng.randrange(100) / 4)
        plain.inc()
        namespaced.inc(0.25)
        summary.labels(odd()).observe(quarter(rng))
        histogram.labels(odd()).observe(abs(quarter(rng)) / 8)
        other.labels(odd()).observe(abs(quarter(rng)) * 1000)
        for gauge in gauges.values():
            gauge.labels(odd()).set(quarter(rng))
    if number == 0:
        for value in (float("inf"), float("-inf"), float("nan"), 1e300, 5e-324, 123456789.0):
            Gauge("special_" + str(value).replace("-", "m").replace("+", "p").replace(".", "d"), "Special.",
                  multiprocess_mode="sum").set(value)


def main():
    pids = []
    for number in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            work(number)
            sys.stdout.flush()
            os._exit(0)
        # One after the other: who was the last to set a gauge is then known.
        assert os.waitpid(pid, 0)[1] == 0
        pids.append(pid)
    for pid in pids[::3]:
        mark_process_dead(pid)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    sys.stdout.buffer.write(generate_latest(registry))


main()
