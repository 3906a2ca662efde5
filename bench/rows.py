"""Rows of JSON lines, and questions with passages of which some are held out. Standard library only."""
import collections
import gzip
import json
import os
import random

# Questions with passages, headings with sections, docstrings with code: what no model of pair_base.py has read.
SET_ASIDE = ["news_reading_qa_zh/qa", "cjrc_law_qa_zh/train", "docs_sections_en/train", "python_docstring_code/train",
             "medquad_qa_en/train"]


def stem_of(source):
    """What files and tasks of a source are called."""
    return source.replace("/", "-")


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def write_rows(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def write_held_out(folder, held, passages):
    """A BEIR folder: the questions of the rows `held`, to be answered from all `passages`."""
    numbers = {text: number for number, text in enumerate(passages)}
    asked = {query: number for number, query in enumerate(dict.fromkeys(row["query"] for row in held))}
    write_rows(os.path.join(folder, "corpus.jsonl"), ({"_id": f"d{n}", "title": "", "text": text} for text, n in numbers.items()))
    write_rows(os.path.join(folder, "queries.jsonl"), ({"_id": f"q{n}", "text": query} for query, n in asked.items()))
    judged = dict.fromkeys((asked[row["query"]], numbers[row["pos"]]) for row in held)
    with open(os.path.join(folder, "qrels.tsv"), "w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n" + "".join(f"q{query}\td{passage}\t1\n" for query, passage in judged))


def split_rows(rows, wanted):
    """(rows to train on, rows held out, all passages): some passages go, with all questions that they answer."""
    passages = list(dict.fromkeys(row["pos"] for row in rows))
    random.Random(1).shuffle(passages)
    asked, count, last = collections.Counter(row["pos"] for row in rows), 0, 0
    while last < len(passages) and count < wanted:
        count, last = count + asked[passages[last]], last + 1
    chosen = set(passages[:last])
    questions = {row["query"] for row in rows if row["pos"] in chosen}
    held = [row for row in rows if row["query"] in questions]
    chosen = {row["pos"] for row in held}
    return [row for row in rows if row["pos"] not in chosen], held, passages


def hold_out(folder, data, wanted, passages_most=None):
    """Files of the rows of SET_ASIDE to train on by name, and a tasks file with a retrieval task of that name of the others."""
    folder, kept_rows, tasks = os.path.abspath(folder), {}, ""
    for source in SET_ASIDE:
        name = stem_of(source)
        rows = [row for row in rows_of(os.path.join(data, source + ".jsonl.gz")) if row["query"] and row["pos"]]
        kept, held, passages = split_rows(rows, wanted)
        passages = list(dict.fromkeys([row["pos"] for row in held] + passages))[:passages_most]
        kept_rows[name] = write_rows(os.path.join(folder, name + ".jsonl"), kept)
        write_held_out(os.path.join(folder, name), held, passages)
        tasks += (f'[[task]]\nname = "{name}"\ntype = "Retrieval"\ndataset = "{name}"\nlanguages = ["eng-Latn"]\n'
                  'files = { corpus = "corpus.jsonl", queries = "queries.jsonl", qrels = "qrels.tsv" }\n')
    path = os.path.join(folder, "tasks.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(tasks)
    return kept_rows, path
