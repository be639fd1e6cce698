"""The tests of Python's client for its multi-process mode, with the merge done by `headcount dump`.

Arguments: the folder of the client's source distribution, and the binary.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

from prometheus_client import multiprocess
from prometheus_client.parser import text_string_to_metric_families

SOURCES, HEADCOUNT = sys.argv[1:]
merges = 0


def merge(files, accumulate=True):
    """What `MultiProcessCollector.merge` does, for files that may be gone by now."""
    global merges
    merges += 1
    with tempfile.TemporaryDirectory() as directory:
        for path in files:
            if os.path.exists(path):
                os.link(path, os.path.join(directory, os.path.basename(path)))
        command = [HEADCOUNT, "dump", directory] + ([] if accumulate else ["--no-accumulate"])
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(text_string_to_metric_families(text))


multiprocess.MultiProcessCollector.merge = staticmethod(merge)
# The client itself is the installed one; only its tests come from there.
tests = importlib.util.spec_from_file_location("test_multiprocess", f"{SOURCES}/tests/test_multiprocess.py")
module = importlib.util.module_from_spec(tests)
tests.loader.exec_module(module)
suite = unittest.defaultTestLoader.loadTestsFromModule(module)
result = unittest.TextTestRunner(verbosity=2).run(suite)
print(f"{result.testsRun} tests, {merges} merges, {len(result.skipped)} skipped")
sys.exit(not result.wasSuccessful())
