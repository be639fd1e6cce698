"""Reads an OpenMetrics exposition with the parser of Python's client, and prints its exemplars.

Argument: a file. A line for each: the sample's name and route, the trace and the span.
"""

import pathlib
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

for family in text_string_to_metric_families(pathlib.Path(sys.argv[1]).read_text()):
    for sample in family.samples:
        if sample.exemplar:
            labels = sample.exemplar.labels
            print(sample.name, sample.labels["route"], labels["trace_id"], labels["span_id"])
