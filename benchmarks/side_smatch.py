"""The other end of match_kernel.py: smatch in an environment of its own, of which only this script is run.

It reads one request, a JSON object, and answers every further line with the seconds of one match and its pairs.
"""

import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import smatch

request = json.loads(sys.stdin.readline())
left, right = (np.load(path) for path in request["paths"])
for _ in sys.stdin:
    start = time.perf_counter()
    found = smatch.match(*left, request["radius_arcsec"] / 3600.0, *right, maxmatch=request["n_neighbors"])
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, found.size]), flush=True)
