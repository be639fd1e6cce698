"""Loads libraries that count, and counts with them: in threads, and in a child that was forked amid them."""

import ctypes
import os
import sys
import threading

TIMES = 1000


def load(path):
    library = ctypes.CDLL(path)
    library.plugin_call.argtypes = [ctypes.c_uint32, ctypes.c_double]
    return library


def call(libraries, who):
    for _ in range(TIMES):
        for library in libraries:
            library.plugin_call(who, 0.5)


def call_in_threads(libraries, threads):
    threads = [threading.Thread(target=call, args=(libraries, who)) for who in threads]
    for thread in threads:
        thread.start()
    return threads


libraries = [load(path) for path in sys.argv[1:]]
call(libraries, 0)
threads = call_in_threads(libraries, [1, 2, 3])
child = os.fork()
if child == 0:
    call(libraries, 0)
    for thread in call_in_threads(libraries, [1, 4]):
        thread.join()
    os._exit(0)
for thread in threads:
    thread.join()
call(libraries, 0)
sys.exit(os.waitpid(child, 0)[1])
