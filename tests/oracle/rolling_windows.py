#!/usr/bin/env python3
"""Windows of texts scored in parts, as lm-evaluation-harness cuts them: tests/fixtures/rolling_windows.json.

Each entry is [max_length, number of tokens, windows]; a window is [length of its context, tokens]. The text's
tokens count from 100, the prefix token is 7.

    python3 tests/oracle/rolling_windows.py >tests/fixtures/rolling_windows.json      (needs lm-eval)
"""
import json

from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

entries = []
for max_length in (1, 2, 3, 4, 7):
    for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 21, 22):
        windows = get_rolling_token_windows(list(range(100, 100 + n)), 7, max_length, 1)
        entries.append([max_length, n, [[len(c), c + t] for c, t in map(make_disjoint_window, windows)]])
print(json.dumps(entries, separators=(",", ":")), end="")
