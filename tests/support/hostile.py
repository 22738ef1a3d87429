"""Inputs of a hostile client: JSON values and bodies, content types, texts of parameters."""

from __future__ import annotations

HUGE = "9" * 5000
VALUES = [
    "null",
    "[]",
    "{}",
    "true",
    '""',
    '"\\ud800"',
    '"\\u0000"',
    f'"{"a" * 100_000}"',
    f'"{"9" * 100_000}"',
    '"1e1000000"',
    '"-0"',
    '"NaN"',
    '"1_000"',
    '"\uff11"',
    "1e1000000",
    "1e-1000000",
    "-1",
    "0.1",
    "NaN",
    "-Infinity",
    HUGE,
    "99999999999999999999",
    "[" * 100_000,
    "[" * 900 + "]" * 900,
    "[" * 50_000 + "]" * 50_000,
    '{"a":' * 400 + "1" + "}" * 400,
]
BODIES = [
    b"",
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"{",
    b"nul",
    b'{"\\ud800": 1}',
    b'{"a": 1, "a": 2}',
    b'{"' + b"k" * 200_000 + b'": 1}',
    b"{" + b",".join(b'"%d":1' % n for n in range(4_000)) + b"}",
    b"[" + b",".join([b"{}"] * 5_000) + b"]",
]
JSON = "application/json"
CONTENT_TYPES = [JSON, f"{JSON}; charset=utf-16", "text/plain", "application/x+json", ";", "\xff"]
TEXTS = ["\0", "\ufffd", "%", "%2f..", "9" * 5000, "-1", "1e9", "\u0661", "NaN", "'; --", "a" * 2000, "\u202e"]
