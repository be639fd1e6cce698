"""Four workers; the gauges of one that is gone do not count any more."""

from prometheus_client import multiprocess

workers = 4


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
