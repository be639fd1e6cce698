"""Reads an OpenMetrics exposition with the parser of Python's client, and prints since when its series are.

Argument: a file. The answer is JSON: by a family's name its type, its unit, and the labels and times of its
series.
"""

import json
import pathlib
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(pathlib.Path(sys.argv[1]).read_text()):
    of_created = family.name + "_created"
    created = [[sample.labels, sample.value] for sample in family.samples if sample.name == of_created]
    families[family.name] = {"type": family.type, "unit": family.unit, "created": created}
print(json.dumps(families))
