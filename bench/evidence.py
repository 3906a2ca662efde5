#!/usr/bin/env python3
"""The literature's effects in akin's own numbers: what docs/evidence.md shows is printed by this.

Not a test: it needs the shared data folder and minutes to an hour of two cores. Standard library only.

  bench/evidence.py cleaning --akin build/src/akin --data DATA --work /tmp/evidence
  bench/evidence.py cosent   --akin build/src/akin --data DATA --work /tmp/evidence
  bench/evidence.py negation --akin build/src/akin --data DATA --work /tmp/evidence --model TRANSFORMER
  bench/evidence.py failure-cases --akin build/src/akin --data DATA --work /tmp/evidence [--model TRANSFORMER]
  bench/evidence.py pretraining --akin build/src/akin --data DATA --work /tmp/evidence --seeds 1 2
  bench/evidence.py needle   --akin build/src/akin --data DATA --work /tmp/evidence --model TRANSFORMER --seeds 1
  bench/evidence.py forgetting --akin build/src/akin --data DATA --work /tmp/evidence --model TRANSFORMER
  bench/evidence.py adapters --akin build/src/akin --data DATA --work /tmp/evidence --model TRANSFORMER

cleaning: a static model from scratch on all pairs against the same on what `akin prep` leaves, the same
number of steps; once on the pairs as they stand, once with planted faults (shuffled positives, repeats).
cosent: a static model of pairs, continued on graded STS pairs with CoSENT, with InfoNCE on the pairs
graded 4 or more, and with both kinds of data at once, each by its loss.
negation: a model continued on triplets whose negative denies the query, against the same number of steps
without their negatives.
pretraining: a small English transformer, contrastive training from random weights, after masked words and
after RetroMAE, the same number of pre-training steps for both.
forgetting: a model of pairs (bench/pair_base.py) learns medical and legal questions, held by EWC at what a
sample of its old pairs needs, or not; beside it lower rates, rehearsal and averaging with the old model.
adapters: the five task adapters of recipes/jina-v3-adapters.toml over a frozen model that has not read their
data (bench/pair_base.py), against one adapter for all tasks, and against one adapter for both sides of
retrieval, each with the same sources and steps.
failure-cases: a static model of pairs (or --model) continued on those pairs alone, with the rows of the
failure cases without their negatives, with those of one case, and with all; scored on held-out rows.
needle: a transformer with a table of 512 positions, before and after a length extension: rotary positions in
place of the table, then pairs and texts of up to 4096 tokens with one sentence to find; needle tests of 512
to 8192 tokens, with another rotary base, too.
Every row is the mean over --seeds, with the spread (largest minus smallest).
"""
import argparse
import glob
import itertools
import json
import os
import random
import re
import statistics
import subprocess
import sys

from rows import SET_ASIDE, hold_out, rows_of, stem_of, write_rows

PAIRS = ["wikipedia_en/abstract", "wikipedia_en/section", "paper_title_abstract_en/train", "parasci_en/train",
         "medquad_qa_en/train", "docs_sections_en/train", "python_docstring_code/train", "multi30k_captions_en/train",
         "wikisplit_en/tune"]
STS = ["STS12", "STS13", "STS14", "STS15", "STS16", "STSBenchmark"]
RETRIEVAL = ["SciFact", "Cranfield", "CosQASearch"]
NEGATION = ["SemAntoNegTriplets", "CondaQA", "SciFactAntonym", "SemAntoNeg", "MoNLI", "ScoNe"]


class Lab:
    def __init__(self, options):
        self.options = options

    def path(self, *parts):
        return os.path.join(os.path.abspath(self.options.work), *parts)

    def call(self, *arguments):
        done = subprocess.run([self.options.akin, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)}\n{done.stderr}")
        return done.stdout

    def train(self, name, recipe):
        out = self.path("runs", name)
        if not os.path.exists(os.path.join(out, "model", "config.json")) or not self.finished(out):
            path = self.path("recipes", name.replace("/", "_") + ".toml")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(recipe)
            resume = ["--resume"] if os.path.exists(os.path.join(out, "checkpoint.safetensors")) else []
            self.call("train", path, "--data", os.path.abspath(self.options.data), "--out", out, "--quiet", *resume)
            open(os.path.join(out, "finished"), "w", encoding="utf-8").close()
        return os.path.join(out, "model")

    @staticmethod
    def finished(out):
        return os.path.exists(os.path.join(out, "finished"))

    def results(self, name, model, tasks, tasks_file, data, *more):
        """The result files of `akin eval`: {task: content}."""
        out = self.path("eval", name)
        self.call("eval", "--model", model, "--tasks-file", tasks_file, "--data", data, "--tasks", ",".join(tasks), "--out", out,
                  "--quiet", "--no-cache", "--dtype", self.options.dtype, *more)
        found = {}
        for path in glob.glob(os.path.join(out, "results", "**", "*.json"), recursive=True):
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            if content.get("task_name") in tasks:
                found[content["task_name"]] = content
        return found

    def scores(self, name, model, tasks, file=None, data=None):
        found = self.results(name, model, tasks, file or self.options.tasks, data or self.options.data)
        return {task: 100 * statistics.mean(entry["main_score"] for split in content["scores"].values() for entry in split)
                for task, content in found.items()}


def table(rows, groups):
    """rows: {name: [scores of each seed]}; groups: {name: tasks}."""
    print("| | " + " | ".join(groups) + " |")
    print("|---|" + "---|" * len(groups))
    for name, runs in rows.items():
        cells = []
        for tasks in groups.values():
            means = [statistics.mean(run[task] for task in tasks if task in run) for run in runs]
            spread = f" ({max(means) - min(means):.1f})" if len(means) > 1 else ""
            cells.append(f"{statistics.mean(means):.1f}{spread}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def source(path, **keys):
    lines = ["[[source]]", f"path = {json.dumps(path)}"] + [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def static_head(lab, seed, steps, open_model=None, batch=512, rate=2e-2):
    tokenizer = os.path.abspath(lab.options.tokenizer)
    model = f'open = "{open_model}"' if open_model else f'family = "static_embedding"\ntokenizer = "{tokenizer}"\nhidden = 256'
    return (f"[model]\n{model}\n[train]\nsteps = {steps}\nbatch = {batch}\nseed = {seed}\nlearning_rate = {rate}\n"
            'schedule = "cosine"\nwarmup = 0.05\nweight_decay = 0\nclip = 0\n[loss]\nname = "infonce"\ntemperature = 0.05\n'
            "[mixture]\nalpha = 0.5\n")


def dirty_rows(rows, seed):
    """A third of the positives moved to other rows, a tenth of the rows repeated."""
    draw = random.Random(seed)
    moved = [row for row in rows if draw.random() < 1 / 3]
    positives = [row["pos"] for row in moved]
    draw.shuffle(positives)
    for row, positive in zip(moved, positives):
        row["pos"] = positive
    out = rows + [dict(row) for row in rows if draw.random() < 0.1]
    draw.shuffle(out)
    return out


def prepare_cleaning(lab, kind):
    folder = lab.path("pairs", kind)
    files = [os.path.join(folder, name.replace("/", "_") + ".jsonl") for name in PAIRS]
    for name, raw in zip(PAIRS, files):
        if not os.path.exists(raw):
            rows = []
            for row in rows_of(os.path.join(lab.options.data, name + ".jsonl.gz")):
                positive = row.get("pos")
                rows.append({"query": row["query"], "pos": positive if isinstance(positive, str) else positive[0]}
                            if positive else {"query": row["captions"][0], "pos": row["captions"][1]})
            write_rows(raw, dirty_rows(rows, 7) if kind == "planted" else rows)
    # As in E5: the judge is a model of the uncleaned pairs themselves, trained for about one epoch.
    judge = lab.train(f"cleaning/judge-{kind}", static_head(lab, 99, 400) + "".join(source(path) for path in files))
    cleaned = [path.replace(".jsonl", ".clean.jsonl") for path in files]
    for raw, clean in zip(files, cleaned):
        if not os.path.exists(clean):
            lab.call("prep", raw, "--out", clean, "--filters", "normalise,length,language,dedup,consistency", "--languages", "en",
                     "--model", judge, "--pool", str(lab.options.pool), "--quiet")
    return files, cleaned


def cleaning(lab):
    rows = {}
    for kind in ("as it stands", "planted"):
        sets = dict(zip(("all", "clean"), prepare_cleaning(lab, kind.split()[0])))
        for name, files in sets.items():
            count = sum(1 for path in files for _ in open(path, encoding="utf-8"))
            runs = []
            for seed in lab.options.seeds:
                run = f"cleaning/{kind.split()[0]}-{name}-{seed}"
                model = lab.train(run, static_head(lab, seed, lab.options.steps) + "".join(source(path) for path in files))
                runs.append(lab.scores(run, model, STS + RETRIEVAL))
            rows[f"{kind}: {name}, {count:,} pairs"] = runs
    table(rows, {"STS12-16, STSBenchmark": STS, "SciFact, Cranfield, CosQA": RETRIEVAL})


def cosent(lab):
    graded = "stsb_en/train.jsonl.gz"  # holds test pairs of STS12-15: only STSBenchmark is reported
    high = lab.path("pairs", "sts_high.jsonl")
    if not os.path.exists(high):
        write_rows(high, ({"query": row["s1"], "pos": row["s2"]}
                          for row in rows_of(os.path.join(lab.options.data, graded)) if row["score"] >= 4))
    pairs = "".join(source(name + ".jsonl.gz") for name in PAIRS)
    tuned = {"InfoNCE on pairs graded >= 4": source(high, batch=128),
             "CoSENT on graded pairs": source(graded, batch=128, loss="cosent"),
             "both losses, graded and ungraded pairs": source(graded, batch=128, loss="cosent", weight=5) + pairs}
    rows = {"before": []} | {name: [] for name in tuned}
    for seed in lab.options.seeds:
        base = lab.train(f"cosent/base-{seed}", static_head(lab, seed, lab.options.steps) + pairs)
        rows["before"].append(lab.scores(f"cosent/base-{seed}", base, ["STSBenchmark"] + RETRIEVAL))
        for number, (name, sources) in enumerate(tuned.items()):
            run = f"cosent/{number}-{seed}"
            model = lab.train(run, static_head(lab, seed, 300, base, rate=5e-3) + sources)
            rows[name].append(lab.scores(run, model, ["STSBenchmark"] + RETRIEVAL))
    table(rows, {"STSBenchmark": ["STSBenchmark"], "SciFact, Cranfield, CosQA": RETRIEVAL})


def negation_rows(lab):
    rows = [{"query": row["query"], "pos": row["pos"], "neg": [row["neg"]]}
            for row in rows_of(os.path.join(lab.options.data, "snli_dev_en/triplet.jsonl.gz"))]
    rows += [{"query": row["sentence"], "pos": row["sentence"].rstrip(".!"), "neg": [row["negated"]]}
             for row in rows_of(os.path.join(lab.options.data, "cannot_negated_pairs_en/train.jsonl.gz"))]
    return [row for row in rows if row["query"] != row["pos"]]


def negation(lab):
    triplets = lab.path("pairs", "negation.jsonl")
    if not os.path.exists(triplets):
        write_rows(triplets, negation_rows(lab))
    kinds = {"triplets": source(triplets, negatives=1, weight=3),
             "the same pairs without their negatives": source(triplets, weight=3)}
    keep = "".join(source(path) for path in ("multi30k_captions_en/train.jsonl.gz", "wikisplit_en/tune.jsonl.gz"))
    graded = source("stsb_en/train_clean.jsonl.gz", loss="cosent", weight=3)
    tasks = STS + NEGATION
    rows = {"before": [lab.scores("negation/before", lab.options.model, tasks)]} | {name: [] for name in kinds}
    for seed in lab.options.seeds:
        head = (f'[model]\nopen = "{os.path.abspath(lab.options.model)}"\ndropout = 0\nattention_dropout = 0\nprecision = "fastest"\n'
                f"[train]\nsteps = {lab.options.tune_steps}\nbatch = 128\nseed = {seed}\nlearning_rate = 1e-4\n"
                '[loss]\nname = "infonce"\ntemperature = 0.05\n[mixture]\nalpha = 0.5\n')
        for number, (name, text) in enumerate(kinds.items()):
            run = f"negation/{number}-{seed}"
            model = lab.train(run, head + text + keep + graded)
            rows[name].append(lab.scores(run, model, tasks))
    table(rows, {"STS12-16, STSBenchmark": STS} | {task: [task] for task in NEGATION})


def pretraining(lab):
    texts = ["pretrain_text_en/train", "wikipedia_en/abstract", "wikipedia_en/section"]
    tokenizer = lab.path("pretraining", "vocabulary")
    if not os.path.exists(os.path.join(tokenizer, "tokenizer.json")):
        lab.call("tokenizer", "train", "--vocab-size", "8000", "--lowercase", "--field", "text,query,pos", "--out", tokenizer,
                 *(os.path.join(lab.options.data, name + ".jsonl.gz") for name in texts))
    shape = (f'[model]\ntokenizer = "{tokenizer}"\nlayers = 3\nhidden = 192\nheads = 6\nffn_hidden = 768\nmax_positions = 256\n'
             'max_tokens = 128\npooling = "cls"\ndropout = 0\nattention_dropout = 0\n')
    corpus = source(texts[0] + ".jsonl.gz") + source([name + ".jsonl.gz" for name in texts[1:]], map=["query=pos"])
    pairs = "".join(source(name + ".jsonl.gz", max_query_tokens=32, max_document_tokens=96) for name in PAIRS[:5])
    starts = {"no pre-training": None, "masked words": 'objective = "mlm"\nmask = 0.15', "RetroMAE": 'objective = "retromae"\nmask = 0.3'}
    rows = {name: [] for name in starts}
    for seed in lab.options.seeds:
        for name, objective in starts.items():
            run, start = f"pretraining/{name.replace(' ', '-')}-{seed}", shape
            if objective:
                learn = (f"[train]\nsteps = {lab.options.pretrain_steps}\nbatch = 32\nseed = {seed}\nlearning_rate = 1e-3\nwarmup = 0.1\n"
                         f'[pretrain]\n{objective}\nlength = 128\n')
                found = lab.train(run + "-start", shape + 'precision = "fastest"\n' + learn + corpus)
                start = f'[model]\nopen = "{found}"\ndropout = 0\nattention_dropout = 0\n'
            tune = (f'precision = "fastest"\n[train]\nsteps = {lab.options.tune_steps}\nbatch = 128\nseed = {seed}\nlearning_rate = 5e-4\n'
                    'warmup = 0.1\n[loss]\nname = "infonce"\ntemperature = 0.05\n[mixture]\nalpha = 0.5\n')
            rows[name].append(lab.scores(run, lab.train(run, start + tune + pairs), STS + RETRIEVAL))
    table(rows, {"SciFact, Cranfield, CosQA": RETRIEVAL} | {task: [task] for task in RETRIEVAL} | {"STS": STS})


# What the model of bench/pair_base.py has read, in both languages: a sample of it says which weights it needs.
OLD_PAIRS = ["wikipedia_en/abstract", "paper_title_abstract_en/train", "statement_paraphrase_en/train", "wikipedia_zh/abstract",
             "simclue_zh/train_pair"]
NEW_PAIRS = ["medquad_qa_en/train", "cjrc_law_qa_zh/train"]


def forgetting(lab):
    kept, held_out = hold_out(lab.path("forgetting", "held_out"), lab.options.data, 400, 3000)
    limits = {"max_query_tokens": 32, "max_document_tokens": 96}
    learned = "".join(source(kept[stem_of(name)], **limits) for name in NEW_PAIRS)
    old = {"path": [name + ".jsonl.gz" for name in OLD_PAIRS], "labels": ["0=drop", "1=1"]} | limits
    held = source(**old, name="held", old=True)
    new, general = [stem_of(name) for name in NEW_PAIRS], STS + RETRIEVAL + ["STSB", "CMRC2018"]
    base = os.path.abspath(lab.options.model)

    def recipe(seed, rate, more=""):
        return (f'[model]\nopen = "{base}"\nprecision = "fastest"\n[train]\nsteps = {lab.options.tune_steps}\nbatch = 64\nseed = {seed}\n'
                f'learning_rate = {rate}\nwarmup = 0.1\n[loss]\nname = "infonce"\ntemperature = 0.05\n' + more + learned)

    def hold(strength):
        return f"[ewc]\nlambda = {strength}\nestimate = 2048\ncandidates = 64\n"

    rate = lab.options.tune_rate
    arms = {"plain": (rate, ""), "plain, a third of the rate": (rate / 3, ""), "plain, a tenth": (rate / 10, "")}
    arms |= {f"EWC, lambda = {strength}": (rate, hold(strength) + held) for strength in lab.options.strengths}
    arms["rehearsal"] = (rate, source(**old))

    def all_scores(run, model):
        return lab.scores(run, model, general) | lab.scores(run + "-new", model, new, held_out, os.path.dirname(held_out))

    averaged = "plain, then merged half and half"
    rows = {"before": [all_scores("forgetting/before", base)]} | {name: [] for name in [*arms, averaged]}
    for seed in lab.options.seeds:
        models = {}
        for number, (name, (pace, more)) in enumerate(arms.items()):
            run = f"forgetting/{number}-{seed}"
            models[name] = lab.train(run, recipe(seed, pace, more))
            rows[name].append(all_scores(run, models[name]))
        merged = lab.path("runs", f"forgetting/merged-{seed}")
        if not os.path.exists(merged):
            lab.call("merge", base, models["plain"], "--out", merged)
        rows[averaged].append(all_scores(f"forgetting/merged-{seed}", merged))
    table(rows, {"new": new, "old": general, "old: STS": STS + ["STSB"], "old: retrieval": RETRIEVAL + ["CMRC2018"]})


# Sets whose own training rows an adapter reads.
ADAPTED = ["AFQMC", "STSB", "Banking77Classification", "TREC6", "CSLTitleClustering", "THUCNewsTitles"]


def adapters(lab):
    with open("recipes/jina-v3-adapters.toml", encoding="utf-8") as file:
        recipe = re.sub(r"\[evaluate\].*?\n\n", "", file.read(), flags=re.S)
    recipe = recipe.replace('open = "runs/transformer/model"', f'open = "{os.path.abspath(lab.options.model)}"\nprecision = "fastest"')
    recipe = re.sub(r"steps = \d+", f"steps = {lab.options.adapter_steps}", recipe)
    recipe = re.sub(r"alpha = 1 .*", f"alpha = {lab.options.adapter_alpha}", recipe)
    recipe = re.sub(r"learning_rate = \S+", f"learning_rate = {lab.options.adapter_rate}", recipe)
    if lab.options.document_tokens:
        recipe = re.sub(r"max_document_tokens = \d+", f"max_document_tokens = {lab.options.document_tokens}", recipe)
    kept, held_out = hold_out(lab.path("adapters", "held_out"), lab.options.data, 400, 3000)
    files = {stem_of(source): f'"{source}.jsonl.gz"' for source in SET_ASIDE}
    asked = [name for name, file in files.items() if file in recipe]
    for name in asked:
        recipe = recipe.replace(files[name], f'"{kept[name]}"')
    prompts = re.compile(r"prompts = \[.*?\n\]", flags=re.S)
    recipe = prompts.sub("", recipe)  # no prompts: they would count as a difference of their own

    def renamed(names=(), new=""):
        text = recipe
        for name in names:
            text = text.replace(f'task = "{name}"', f'task = "{new}"')
        used = sorted(set(re.findall(r'task = "([^"]+)"', text)))
        return re.sub(r"names = \[.*?\]", f"names = {json.dumps(used)}\nmerged = true", text)

    retrieval = ["retrieval.query", "retrieval.passage"]
    others = ["text-matching", "separation", "classification"]
    arms = {"five adapters": (renamed(), None), "one adapter for both sides of retrieval": (renamed(retrieval, "retrieval"), "retrieval"),
            "one adapter for all tasks": (renamed(retrieval + others, "all"), "all")}
    groups = {"STS": STS + ["STSB", "LCQMC", "AFQMC"], "retrieval": RETRIEVAL + ["CMRC2018", "DRCD"],
              "classification": ["Banking77Classification", "TREC6", "Clinc150", "TNews.fewclue"],
              "clustering": ["CSLTitleClustering", "THUCNewsTitles", "StackOverflowTitles", "Biomedical"]}
    tasks = [task for group in groups.values() for task in group]
    groups["retrieval of their sources"] = asked

    def all_scores(run, model, chosen):
        return lab.scores(run, model, chosen) | lab.scores(run + "-sources", model, asked, held_out, os.path.dirname(held_out))

    rows = {"the frozen model": [all_scores("adapters/before", lab.options.model, tasks)]} | {name: [] for name in arms}
    for seed in lab.options.seeds:
        for number, (name, (text, shared)) in enumerate(arms.items()):
            run = f"adapters/{number}-{seed}"
            model = lab.train(run, text.replace("[train]\n", f"[train]\nseed = {seed}\n"))
            scores = all_scores(run, model, tasks) if shared != "all" else {}
            if shared:  # a task type finds its adapter by name; a shared one is evaluated merged
                merged = os.path.join(os.path.dirname(model), "merged", shared)
                scores |= all_scores(run + "-merged", merged, tasks if shared == "all" else groups["retrieval"])
            rows[name].append(scores)
    table(rows, groups | {task: [task] for task in ADAPTED})


CASES = ["look-alike", "entity", "polar", "low-quality"]
CASE_ROWS = {"en": "wikipedia_en/section", "zh": "wikipedia_zh/section"}  # every other row, at most 8,000


def prepare_cases(lab):
    """Files of pairs, of each case's rows, and of these without negatives; folders of held-out rows by language."""
    pairs, cases, sets = [], {case: [] for case in CASES}, {}
    for language, name in CASE_ROWS.items():
        raw, out = lab.path("cases", f"{language}_pairs.jsonl"), lab.path("cases", f"{language}.jsonl")
        held, kept = lab.path("cases", "held_out_" + language), lab.path("cases", f"{language}_kept.jsonl")
        sets[language] = held
        if not os.path.exists(raw):
            write_rows(raw, itertools.islice(rows_of(os.path.join(lab.options.data, name + ".jsonl.gz")), 1, 16001, 2))
        if not os.path.exists(os.path.join(held, "tasks.toml")):
            lab.call("mine", raw, "--failure-cases", "all", "--out", out, "--eval-set", held, "--hold-out", "0.05",
                     "--negatives", "7", "--quiet")
        if not os.path.exists(kept):
            held_out = {row["pos"][0] for case in CASES for row in rows_of(os.path.join(held, case + ".jsonl"))}
            write_rows(kept, (row for row in rows_of(raw) if row["pos"] not in held_out))
        pairs.append(kept)
        for case in CASES:
            kept = lab.path("cases", f"{language}_{case}.jsonl")
            if not os.path.exists(kept):
                write_rows(kept, (row for row in rows_of(out) if row["source"] == case))
            cases[case].append(kept)
    return pairs, cases, sets


def failure_cases(lab):
    pairs, cases, sets = prepare_cases(lab)
    plain = "".join(source(path, max_document_tokens=256, weight=2) for path in pairs)
    rows_for = lambda chosen, negatives: "".join(
        source(path, max_document_tokens=256, **({"negatives": 1} if negatives else {})) for case in chosen for path in cases[case])
    kinds = {"the pairs alone": "", "and all cases' rows without their negatives": rows_for(CASES, False)}
    kinds |= {f"and {case} rows": rows_for([case], True) for case in CASES}
    kinds["and the rows of all cases"] = rows_for(CASES, True)
    tasks = [f"Failure.{case}" for case in CASES]
    side = ["STSBenchmark", "STSB", "SciFact", "CMRC2018"]

    def all_scores(name, model):
        found = lab.scores(name, model, side)
        for language, held in sets.items():
            for task, score in lab.scores(f"{name}-{language}", model, tasks, os.path.join(held, "tasks.toml"),
                                          os.path.dirname(held)).items():
                found[f"{task} {language}"] = score
        return found

    rows = {"before": []} | {name: [] for name in kinds}
    for seed in lab.options.seeds:
        if lab.options.model:
            base = os.path.abspath(lab.options.model)
            head = static_head(lab, seed, lab.options.tune_steps, base, batch=64, rate=5e-5)
        else:
            base = lab.train(f"cases/base-{seed}", static_head(lab, seed, lab.options.steps) + plain)
            head = static_head(lab, seed, lab.options.tune_steps, base, rate=5e-3)
        rows["before"].append(all_scores(f"cases/base-{seed}", base))
        for number, (name, more) in enumerate(kinds.items()):
            run = f"cases/{number}-{seed}"
            rows[name].append(all_scores(run, lab.train(run, head + plain + more)))
    table(rows, {f"{task[8:]} {language}": [f"{task} {language}"] for task in tasks for language in sets}
          | {"STSBenchmark, STSB": side[:2], "SciFact, CMRC2018": side[2:]})


LENGTHS = [512, 1024, 2048, 4096, 8192]
NAMES = ["Marek", "Ilse", "Tomas", "Ruth", "Pavel", "Lena", "Otto", "Clara", "Henrik", "Maud", "Jules", "Edda", "Piet", "Nora", "Emil"]
SURNAMES = ["Weber", "Lind", "Costa", "Meyer", "Berg", "Sato", "Roux", "Holm", "Varga", "Klein", "Moss", "Adler", "Blom", "Conti"]
TOWNS = ["Oslo", "Ghent", "Cadiz", "Bern", "Lyon", "Siena", "Gdansk", "Cork", "Odense", "Graz", "Bilbao", "Tartu"]
DEEDS = ["repair a church organ", "grow white roses", "swim across the lake", "teach a parrot to sing", "build a stone wall",
         "cook for the whole street", "draw a map of the caves", "win a game of chess", "plant forty oaks", "write a short opera"]


def needle_rows(filler, count, most_words, seed):
    draw = random.Random(seed)
    for number in range(count):
        name, town = f"{draw.choice(NAMES)} {draw.choice(SURNAMES)} {number % 97}", draw.choice(TOWNS)
        needle = f"The best thing that {name} ever did in {town} was to {draw.choice(DEEDS)}."
        wanted, parts, words = int(48 * (most_words / 48) ** draw.random()), [], 15
        while words < wanted:
            parts.append(draw.choice(filler))
            words += parts[-1].count(" ") + 1
        parts.insert(draw.randrange(len(parts) + 1), needle)
        yield {"query": f"What was the best thing that {name} did in {town}?", "pos": " ".join(parts)}


def needle_scores(lab, name, model, haystack, *more):
    tasks = lab.path("needle", "tasks.toml")
    splits = ", ".join(f'"test_{length}"' for length in LENGTHS)
    with open(tasks, "w", encoding="utf-8") as file:
        file.write(f'[[task]]\nname = "Needle"\ntype = "LongContext"\ngenerate = "needle"\ndataset = "needle"\ndocuments = 60\n'
                   f'queries = 60\nsplits = [{splits}]\nfiles = {{ haystack = "{os.path.basename(haystack)}" }}\n')
    found = lab.results(name, model, ["Needle"], tasks, os.path.dirname(os.path.dirname(haystack)), *more)
    scores = found["Needle"]["scores"]
    return {str(length): 100 * scores[f"test_{length}"][0]["ndcg_at_1"] for length in LENGTHS}


def needle(lab):
    texts = [row["text"] for row in rows_of(os.path.join(lab.options.data, "pretrain_text_en/train.jsonl.gz"))]
    texts = [text for text in texts if 8 <= text.count(" ") <= 60]
    filler, held_out = texts[::2], texts[1:4000:2]
    haystack = write_rows(lab.path("needle", "haystack.jsonl"), ({"text": text} for text in held_out))
    long = write_rows(lab.path("needle", "long.jsonl"), needle_rows(filler, 4000, 1500, 2))
    pairs = "".join(source(paths, max_document_tokens=512) for paths in (
        ["wikipedia_en/abstract.jsonl.gz", "wikipedia_en/section.jsonl.gz"], ["paper_title_abstract_en/train.jsonl.gz"]))
    rows = {"before": [needle_scores(lab, "needle/before", lab.options.model, haystack)]}
    for seed in lab.options.seeds:
        recipe = (f'[model]\nopen = "{os.path.abspath(lab.options.model)}"\nposition = "rotary"\nmax_tokens = 8192\ndropout = 0\n'
                  f'attention_dropout = 0\nprecision = "fastest"\n[train]\nsteps = {lab.options.tune_steps}\nbatch = 64\nseed = {seed}\n'
                  'learning_rate = 2e-4\n[loss]\nname = "infonce"\ntemperature = 0.05\n[mixture]\nalpha = 0.5\n')
        after = lab.train(f"needle/after-{seed}", recipe + pairs + source(long, batch=8, weight=3, max_document_tokens=4096))
        for name, more in (("after", []), ("after, base 20,000", ["--rope-base", "20000"])):
            run = f"needle/{seed}-{name.replace(' ', '_').replace(',', '')}"
            rows.setdefault(name, []).append(needle_scores(lab, run, after, haystack, *more))
    table(rows, {str(length): [str(length)] for length in LENGTHS})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    effects = {"cleaning": cleaning, "cosent": cosent, "negation": negation,
               "pretraining": pretraining, "forgetting": forgetting, "adapters": adapters, "failure-cases": failure_cases,
               "needle": needle}
    parser.add_argument("effect", choices=effects)
    parser.add_argument("--akin", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", required=True, help="runs and results; what is there is not made again")
    parser.add_argument("--tokenizer", default="models/static-en-zh-256")
    parser.add_argument("--tasks", default="bench/tasks/shared_sets.toml")
    parser.add_argument("--pool", type=int, default=1000, help="cleaning: passages that stand against a positive")
    parser.add_argument("--model", help="negation, forgetting, adapters, needle: the transformer to continue")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--tune-steps", type=int, default=150)
    parser.add_argument("--tune-rate", type=float, default=3e-4, help="forgetting: learning rate")
    parser.add_argument("--strengths", type=float, nargs="+", default=[100, 1000], help="forgetting: EWC's lambda")
    parser.add_argument("--pretrain-steps", type=int, default=1500)
    parser.add_argument("--adapter-steps", type=int, default=600)
    parser.add_argument("--adapter-rate", type=float, default=5e-4, help="adapters: learning rate")
    parser.add_argument("--adapter-alpha", type=float, default=1, help="adapters: an adapter counts alpha / 4")
    parser.add_argument("--document-tokens", type=int, help="adapters: read less of the documents than the recipe does")
    parser.add_argument("--dtype", default="f32", choices=["f32", "int8"], help="of the evaluations")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    if not os.path.isdir(options.data):
        print("skipped: no shared data")
        return
    effects[options.effect](Lab(options))


if __name__ == "__main__":
    main()
