#!/usr/bin/env python3
"""Writes the golden files of store/mteb_result_test.cc: what Python's own json module makes of
floats, and of a whole task result.

    tools/make_result_goldens.py [tests/goldens]

python_floats.json: [[bits of the double in hex, repr, repr of round(x, 6)], ...]
mteb_result_full.json: a task result before rounding; mteb_result_written.json: the bytes that
rounding to 6 decimals and json.dump(indent=2) leave of it. Needs CPython 3.8 or newer only.
"""
import json
import math
import pathlib
import random
import struct
import sys


def bits(x):
    return struct.pack(">d", x).hex()


def floats():
    fixed = [0.0, -0.0, 1.0, -1.0, 0.5, 100.0, 0.1, 1 / 3, 2 / 3, 1e-4, 9.9999e-5, 1e-5, 1.5e-7, 5e-7, 4.9e-7,
             0.0000005, 0.0000015, 0.0000025, 1e15, 9999999999999998.0, 1e16, 1.2345e16, 1e17, 1e22, 1e100,
             1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 0.1234565, 0.2345675, 0.5000005, 123456.7890125,
             1762345678.123456, 4503599627370496.5, 0.30000000000000004, 72.36899999999999, math.pi, -math.e, 1e-6]
    rng = random.Random(7)
    for _ in range(150):
        fixed.append(rng.random())
        fixed.append(rng.uniform(-1, 1) * 10 ** rng.randint(-20, 20))
        fixed.append(round(rng.random(), 7) + rng.choice([0, 5e-8]))
    for _ in range(150):
        x = struct.unpack(">d", struct.pack(">Q", rng.getrandbits(64)))[0]
        if math.isfinite(x):
            fixed.append(x)
    return fixed


def rounded(value, depth=0):
    """Floats in objects, and one level into lists, as mteb rounds them."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list) and depth == 0:
        return [rounded(v, 1) for v in value]
    if isinstance(value, float):
        return round(value, 6)
    return value


def task_result():
    rng = random.Random(11)
    entry = {
        "scores_per_experiment": [{"accuracy": rng.random(), "f1": rng.random()} for _ in range(3)],
        "accuracy": 2 / 3,
        "tiny": 1e-7,
        "small": 0.00001234,
        "minus": -0.0000004,
        "v_measures": {"Level 0": [rng.random() for _ in range(3)]},
        "pair": [0.123456789, 1.5e-11],
        "nested": [[0.123456789]],
        "nan": math.nan,
        "inf": math.inf,
        "minus_inf": -math.inf,
        "count": 7,
        "empty_list": [],
        "empty_object": {},
        "main_score": 2 / 3,
        "hf_subset": "default",
        "languages": ["eng-Latn", "cmn-Hans"],
        "mteb_version": "2.20.0",
    }
    return {
        "dataset_revision": "0123abcd",
        "task_name": "Tâche \"中文\" 😀\t\x7f",
        "mteb_version": "2.20.0",
        "scores": {"test": [entry, {"main_score": 1.0, "hf_subset": "en", "languages": [], "mteb_version": "2.20.0"}],
                   "validation": []},
        "evaluation_time": 12.3456789012345,
        "kg_co2_emissions": None,
        "date": 1762345678.123456,
        "evaluation_phases": [{"name": "load", "start": 0.1, "end": 2.0, "split": None, "subset": None}],
        "akin": {"dims": 64, "rate": 1234.5678901},
    }


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/goldens")
    rows = [[bits(x), repr(x), repr(round(x, 6))] for x in floats()]
    (folder / "python_floats.json").write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
    full = task_result()
    (folder / "mteb_result_full.json").write_text(json.dumps(full))
    written = dict(full)
    written["scores"] = rounded(full["scores"])
    (folder / "mteb_result_written.json").write_text(json.dumps(written, indent=2))


if __name__ == "__main__":
    main()
