#!/usr/bin/env python3
"""Writes src/eval/benchmarks.def: the task tables of MTEB(eng, v1), MTEB(eng, v2), MTEB(cmn, v1).

    tools/make_benchmarks.py TABLES.md > src/eval/benchmarks.def

TABLES.md holds one Markdown table a benchmark under a heading "### NAME (N tasks)", with the columns
task, type, main_score, HF path, revision, split, subset, size, class attributes: facts of mteb's task
metadata. What its task classes do in code, and the tables do not say, is in SETTINGS below.
"""
import re
import sys

KEPT = {"samples_per_label", "n_experiments", "ignore_identical_ids"}
SETTINGS = {
    "ToxicConversationsClassification": "subsample=2048",
    "SummEval": "legacy=true",
    "MindSmallReranking": "max_over_subqueries=true",
    "StackExchangeClustering.v2": "subsample=2048 max_fraction=0",
    "ArXivHierarchicalClusteringP2P": "subsample=2048 stratified=false",
    "ArXivHierarchicalClusteringS2S": "subsample=2048 stratified=false",
    "StackExchangeClusteringP2P.v2": "drop_single_labels=true",
}


def settings(name, kind, attributes):
    out = []
    for key, value in re.findall(r"(\w+)=(\w+)", attributes):
        if key in KEPT:
            out.append(f"{key}={'true' if value == 'True' else value}")
    if kind == "Clustering" and not name.endswith(".v2") and "Hierarchical" not in name:
        out.append("legacy=true")
    if name in SETTINGS:
        out.append(SETTINGS[name])
    return " ".join(out)


def main():
    tasks, benchmarks, current = {}, {}, None
    for line in open(sys.argv[1], encoding="utf-8"):
        heading = re.match(r"### (.+) \((\d+) tasks\)", line)
        if heading:
            current = heading[1]
            benchmarks[current] = []
            count = int(heading[2])
            continue
        if line.startswith("## "):
            current = None
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if current is None or len(cells) != 9 or cells[0] in ("task", "---"):
            continue
        name, kind, score, path, revision, split, subset, _, attributes = cells
        language = "cmn-Hans" if "cmn" in current else "eng-Latn"
        row = (name, kind, score, path.strip("-") if path == "-" else path,
               "" if revision == "-" else revision, split.replace("+", ","), subset, language,
               settings(name, kind, attributes))
        assert tasks.setdefault(name, row) == row, name
        benchmarks[current].append(name)
        assert len(benchmarks[current]) <= count
    forums = benchmarks.pop("CQADupstack sub-tasks")
    print("// The tasks of MTEB(eng, v1), MTEB(eng, v2) and MTEB(cmn, v1), as facts of mteb 2.20's metadata. Written by")
    print("// tools/make_benchmarks.py; do not edit. benchmarks.cc includes this.")
    print("//")
    print("// AKIN_TASK(name, type, main score, dataset, revision, splits, subset, language, settings, subtasks)")
    for row in tasks.values():
        subtasks = ",".join(forums) if row[0] == "CQADupstackRetrieval" else ""
        print("AKIN_TASK(" + ", ".join(f'"{cell}"' for cell in (*row, subtasks)) + ")")
    print("// AKIN_BENCHMARK(name, tasks)")
    for name, members in benchmarks.items():
        print(f'AKIN_BENCHMARK("{name}",')
        for i, member in enumerate(members):
            print(f'               "{member}{"," if i + 1 < len(members) else ""}"' + (")" if i + 1 == len(members) else ""))


main()
