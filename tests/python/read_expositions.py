"""Reads expositions with the parsers of Python's client, which know nothing of what wrote them.

Argument: a folder. Of each file in it that is called .text or .openmetrics the samples are printed as a line of
JSON: the file's name, and a list of name, labels and value, the value as its bits.
"""

import json
import pathlib
import re
import struct
import sys

from prometheus_client import validation
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import _parse_sample as parse_sample
from prometheus_client.parser import text_string_to_metric_families as read_text

READERS = {".text": read_text, ".openmetrics": read_openmetrics}

# Reserved are these for Prometheus itself, whose own escaping by dots makes such names of those with an underscore.
validation.RESERVED_METRIC_LABEL_NAME_RE = re.compile("(?!)")


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    if path.suffix not in READERS:
        continue
    try:
        families = list(READERS[path.suffix](path.read_bytes().decode()))
    except ValueError as error:
        sys.exit(f"{path.name}: {error!r}\n{path.read_bytes().decode()}")
    if path.suffix == ".text":
        # The families are valid. But this parser gives every counter `_total`: the samples are to be as they stand.
        lines = [line for line in path.read_bytes().decode().split("\n") if line and not line.startswith("#")]
        samples = [parse_sample(line) for line in lines]
    else:
        samples = [sample for family in families for sample in family.samples]
    samples = [[sample.name, sample.labels, bits(sample.value)] for sample in samples]
    print(json.dumps([path.name, samples]))
