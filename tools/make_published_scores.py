#!/usr/bin/env python3
"""Writes src/eval/published_scores.inc from a table of published benchmark scores.

    tools/make_published_scores.py mteb_published.csv mteb_published_averages.md > src/eval/published_scores.inc

The CSV has the columns model, benchmark, task, type, main_score, split, model_revision,
mteb_version; the Markdown tables give millions of parameters per model.
"""
import csv
import re
import sys

BENCHMARKS = ["MTEB(eng, v1)", "MTEB(eng, v2)", "MTEB(cmn, v1)"]


def main():
    rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8")))
    millions = {}
    for line in open(sys.argv[2], encoding="utf-8"):
        cells = [c.strip() for c in line.split("|")]
        if len(cells) > 3 and re.fullmatch(r"[0-9.]+", cells[2]):
            millions[cells[1]] = cells[2]
    rows.sort(key=lambda r: BENCHMARKS.index(r["benchmark"]))
    models = sorted({r["model"] for r in rows}, key=str.lower)
    tasks, splits, sources = {}, {}, {}
    for r in rows:
        bits = 1 << BENCHMARKS.index(r["benchmark"])
        entry = tasks.setdefault(r["task"], [r["type"], 0])
        entry[1] |= bits
        splits.setdefault(r["split"], len(splits))
        sources.setdefault((r["model_revision"], r["mteb_version"]), len(sources))
    order = sorted(tasks, key=lambda t: tasks[t][0])  # stable: by type, then as the benchmarks list them
    number = {t: i for i, t in enumerate(order)}
    scores = {}
    for r in rows:
        key = (models.index(r["model"]), number[r["task"]])
        value = (sources[(r["model_revision"], r["mteb_version"])], splits[r["split"]], round(float(r["main_score"]) * 1e6))
        assert scores.setdefault(key, value) == value, key

    out = ["// Written by tools/make_published_scores.py; do not edit.", "// clang-format off"]
    out.append("constexpr ModelRow kModels[] = {")
    out += [f'    {{"{m}", {round(float(millions.get(m, 0)) * 10)}}},' for m in models]
    out.append("};")
    out.append("constexpr PublishedTask kTasks[] = {")
    for t in order:
        flags = ", ".join("true" if tasks[t][1] >> b & 1 else "false" for b in range(3))
        out.append(f'    {{"{t}", "{tasks[t][0]}", {flags}}},')
    out.append("};")
    out.append("constexpr std::string_view kSplits[] = {" + ", ".join(f'"{s}"' for s in splits) + "};")
    out.append("constexpr SourceRow kSources[] = {")
    out += [f'    {{"{rev}", "{ver}"}},' for rev, ver in sources]
    out.append("};")
    out.append("// Model, task, source, split, score in millionths; sorted by model and task.")
    out.append("constexpr ScoreRow kScores[] = {")
    line = "   "
    for (m, t), (source, split, score) in sorted(scores.items()):
        item = f" {{{m},{t},{source},{split},{score}}},"
        if len(line) + len(item) > 100:
            out.append(line)
            line = "   "
        line += item
    out += [line, "};", "// clang-format on"]
    print("\n".join(out))


if __name__ == "__main__":
    main()
