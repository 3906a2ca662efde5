#!/usr/bin/env python3
"""Do the guards of `akin mine` cut false negatives, and does training on what it mines help retrieval?

Not a test: it needs real pairs and minutes. Standard library only.

  bench/mine_effect.py planted --akin build/src/akin --model models/static-en-zh-256 --pairs pairs.jsonl.gz
  bench/mine_effect.py effect --akin build/src/akin --model models/static-en-zh-256 --data DATA --work WORK
  bench/mine_effect.py domain --akin build/src/akin --model MODEL --data DATA --work WORK

planted: puts changed copies of real positives among the documents, unlabelled, and counts how many become
negatives of their row: without guards, with those of the defaults, without `--together`. --groups takes
groups of texts that mean the same (rows with `captions`): a query, one labelled positive, and the others
unlabelled. The price: how many of the ten hardest true negatives of each row are no negatives any more.
effect: mines each source with guards (mined: any of the window; hardest: its best), without (naive) and
at random, trains the model on for each of them and with the negatives of the batch alone (inbatch), the
same rows and seeds for all, and prints held-out scores. One negative a row; batch and temperature are
those of the recipe bge-finetune unless said. --student trains another model than the one that mines.
domain: the same with a model that has not read the sources, of which some passages and all their questions
are held out: they are the queries of the scores, and are searched for among all passages of their source.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile

from rows import hold_out, rows_of, stem_of, write_rows

SOURCES = ["news_reading_qa_zh/qa", "cmrc2018_trial_qa_zh/train", "cjrc_law_qa_zh/train",
           "docs_sections_en/train", "python_docstring_code/train", "medquad_qa_en/train"]
TASKS = ["SciFact", "Cranfield", "CosQASearch", "CMRC2018", "DRCD", "XQuADMonolingual"]
NO_TOGETHER = ["--together", "2"]
NO_GUARDS = ["--near", "2", "--overlap", "2", "--alike", "2", "--share", "0"] + NO_TOGETHER


def run(arguments):
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def changes(rng, others):
    """Names and functions from the words of a text to a changed text."""
    def drop(words, share):
        return " ".join(word for word in words if rng.random() >= share)

    def swap(words):
        words = list(words)
        for _ in range(max(1, len(words) // 20)):
            words[rng.randrange(len(words))] = rng.choice(others)
        return " ".join(words)

    return {
        "equal": " ".join,
        "case and white space": lambda words: "  ".join(words).upper(),
        "punctuation": lambda words: " ".join(words).replace(",", " -").replace(".", " ;") + " !",
        "1 word in 20 changed": swap,
        "1 word in 10 left out": lambda words: drop(words, 0.1),
        "halves swapped": lambda words: " ".join(words[len(words) // 2:] + words[:len(words) // 2]),
        "first two thirds": lambda words: " ".join(words[:2 * len(words) // 3]),
        "inside a longer text": lambda words: " ".join([rng.choice(others) for _ in range(20)] + list(words)),
    }


def mine_rows(args, folder, rows, documents, guards):
    paths = [os.path.join(folder, name) for name in ("rows.jsonl", "documents.jsonl", "mined.jsonl")]
    write_rows(paths[0], ({"query": query, "pos": [positive]} for query, positive in rows))
    write_rows(paths[1], ({"text": text} for text in documents))
    more = ["--corpus", paths[1]] if documents else []
    run([args.akin, "mine", paths[0], *more, "--model", args.model, "--out", paths[2], "--range", "0-200", "--negatives", "10",
         "--quiet"] + guards)
    return {row["query"]: row["neg"] for row in rows_of(paths[2])}


def count(mined, planted):
    return sum(" ".join(text.split()).lower() in {" ".join(t.split()).lower() for t in mined.get(query, [])}
               for query, text in planted)


def report(args, name, rows, planted):
    documents = [text for _, text in planted]
    found, kept = [], []
    with tempfile.TemporaryDirectory() as folder:
        hardest = mine_rows(args, folder, rows, [], NO_GUARDS)
        for guards in (NO_GUARDS, NO_TOGETHER, []):
            mined = mine_rows(args, folder, rows, documents, guards)
            found.append(count(mined, planted))
            kept.append(sum(len(set(texts) & set(mined.get(query, []))) for query, texts in hardest.items()))
    total = max(1, sum(len(texts) for texts in hardest.values()))
    cut = [f"{left} (cut {100 - 100 * left / found[0]:.1f} %)" if found[0] else str(left) for left in found[1:]]
    print(f"{name:24s} planted {len(planted)}, negatives without guards {found[0]}, without --together {cut[0]}, defaults {cut[1]};"
          f" hardest true negatives lost {100 - 100 * kept[1] / total:.0f} %, {100 - 100 * kept[2] / total:.0f} %",
          flush=True)


def planted(args):
    rng = random.Random(args.seed)
    rows, seen = [], set()
    for row in rows_of(args.pairs) if args.pairs else []:
        positive = row["pos"] if isinstance(row["pos"], str) else row["pos"][0]
        if row["query"] in seen or len(positive.split()) < 12:
            continue
        seen.add(row["query"])
        rows.append((row["query"], positive))
    rng.shuffle(rows)
    rows = rows[:args.rows]
    others = [word for _, positive in rows[:500] for word in positive.split()]
    for name, change in changes(rng, others).items() if rows else []:
        report(args, name, rows, [(query, change(positive.split())) for query, positive in rows])
    for path in args.groups:
        groups = [row["captions"] for row in rows_of(path) if len(row.get("captions", [])) > 2]
        rng.shuffle(groups)
        groups = groups[:args.rows]
        name = f"{os.path.basename(os.path.dirname(path))}/{os.path.basename(path).split('.')[0]}"
        report(args, name, [(group[0], group[1]) for group in groups],
               [(group[0], text) for group in groups for text in group[2:]])


def kind_of(arm):
    """Whose rows an arm reads; inbatch leaves their negatives out."""
    return "mined" if arm == "inbatch" else arm


def recipe(args, arm, seed):
    model = os.path.abspath(args.model)
    if args.scratch:
        start = f'family = "static_embedding"\ntokenizer = "{model}"\nhidden = 256\ninit_std = 0.02'
    elif args.student:
        start = f'open = "{os.path.abspath(args.student)}"\ndropout = 0\nattention_dropout = 0\nprecision = "fastest"'
    else:
        start = f'open = "{model}"'
    out = f"""[model]
{start}
[train]
steps = {args.steps}
batch = {args.batch}
learning_rate = {args.learning_rate}
warmup = 0.1
weight_decay = 0
clip = 0
seed = {seed}
threads = 2
[loss]
name = "infonce"
symmetric = false
temperature = {args.temperature}
[mixture]
alpha = 0.5
"""
    for name in args.rows_of:
        path = os.path.join(os.path.abspath(args.work), f"{name}.{kind_of(arm)}.jsonl")
        out += f'[[source]]\npath = "{path}"\n'
        out += f"max_document_tokens = {args.document_tokens}\n" if args.document_tokens else ""
        out += f"batch = {min(args.batch, 128)}\n" if "cmrc" in name else ""  # 1,000 rows
        out += "" if arm == "inbatch" else f"negatives = {args.negatives}\n"
    return out


def mine_sources(args):
    kinds = {"mined": ["--sampling", "random", "--short-rows", "fill"],
             "hardest": ["--sampling", "top", "--short-rows", "fill"],
             "naive": ["--sampling", "random", "--short-rows", "fill"] + NO_GUARDS,
             "random": ["--sampling", "corpus"]}
    for source, rows in args.rows_of.items():
        name = os.path.join(args.work, source)
        common = [args.akin, "mine", rows, "--model", args.model,
                  "--negatives", "7", "--format", "pairs", "--skip-bad-rows", "--work", name + ".work"]
        for kind in dict.fromkeys(map(kind_of, args.arms)):
            if not os.path.exists(f"{name}.{kind}.jsonl"):
                run(common + kinds[kind] + ["--out", f"{name}.{kind}.jsonl"])


def evaluate(args, model):
    out = run([args.akin, "eval", "--model", model, "--tasks-file", args.tasks_file, "--data", args.tasks_data,
               "--tasks", ",".join(args.tasks), "--out", os.path.join(args.work, "results"), "--dtype", args.dtype, "--json"])
    return {row["task"]: 100 * row["score"] for row in json.loads(out)["results"]}


def show(args, name, runs):
    means = [statistics.mean(scores.values()) for scores in runs]
    cells = "  ".join(f"{task} {statistics.mean(scores[task] for scores in runs):.2f}" for task in args.tasks)
    spread = f" ({', '.join(f'{mean:.2f}' for mean in means)})" if len(means) > 1 else ""
    print(f"{name:8s} mean {statistics.mean(means):.2f}{spread}  {cells}", flush=True)


def effect(args):
    os.makedirs(args.work, exist_ok=True)
    if args.held_out:
        args.rows_of, args.tasks_file = hold_out(os.path.join(args.work, "held_out"), args.data, args.held_out, args.passages)
        args.tasks, args.tasks_data = list(args.rows_of), os.path.dirname(args.tasks_file)
    else:
        args.rows_of = {stem_of(source): os.path.join(args.data, source + ".jsonl.gz") for source in SOURCES}
        args.tasks_file, args.tasks, args.tasks_data = "bench/tasks/shared_sets.toml", TASKS, args.data
    mine_sources(args)
    show(args, "start", [evaluate(args, args.student or args.model)])
    for arm in args.arms:
        runs = []
        for seed in range(1, args.seeds + 1):
            folder = os.path.join(args.work, f"{arm}-{seed}")
            with open(folder + ".toml", "w", encoding="utf-8") as file:
                file.write(recipe(args, arm, seed))
            if not os.path.exists(os.path.join(folder, "model")):
                run([args.akin, "train", folder + ".toml", "--data", args.data, "--out", folder])
            runs.append(evaluate(args, os.path.join(folder, "model")))
        show(args, arm, runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, function in (("planted", planted), ("effect", effect), ("domain", effect)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--akin", required=True)
        command.add_argument("--model", required=True)
        if name == "planted":
            command.add_argument("--pairs")
            command.add_argument("--groups", nargs="*", default=[])
            command.add_argument("--rows", type=int, default=2000)
            command.add_argument("--seed", type=int, default=1)
        else:
            command.add_argument("--data", required=True)
            command.add_argument("--work", required=True)
            command.add_argument("--arms", nargs="+", default=["inbatch", "random", "mined", "hardest", "naive"])
            command.add_argument("--seeds", type=int, default=3)
            command.add_argument("--steps", type=int, default=1200)
            command.add_argument("--batch", type=int, default=32)
            command.add_argument("--learning-rate", type=float, default=1e-3)
            command.add_argument("--temperature", type=float, default=0.02)
            command.add_argument("--negatives", type=int, default=1, help="of a row, in training")
            command.add_argument("--held-out", type=int, default=400 if name == "domain" else 0, help="queries of each source")
            command.add_argument("--passages", type=int, help="domain: of each source, that are searched; default all")
            command.add_argument("--scratch", action="store_true", help="a new static model with the tokenizer of --model")
            command.add_argument("--student", help="a transformer to train in place of --model, which mines")
            command.add_argument("--document-tokens", type=int, help="cut documents in training")
            command.add_argument("--dtype", default="f32", choices=["f32", "int8"], help="of the evaluation")
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
