#!/usr/bin/env python3
"""Models that have read pairs only: a base for experiments on what later stages add.

Not a test: it needs the shared data folder and half an hour of two cores. Standard library only.

  bench/pair_base.py --akin build/release/src/akin --data DATA --work WORK --tokenizer models/static-en-zh-256

WORK/runs/static: a static model of 256 dims. WORK/runs/transformer: 4 layers of 312 that first imitate it
and then learn the same pairs. Neither sees graded pairs, classes, triplets, or any of the questions with
passages (SET_ASIDE of rows.py) that the adapters of recipes/jina-v3-adapters.toml and bench/mine_effect.py learn from.
Run again, it goes on where it was stopped.
"""
import argparse
import os

from evidence import Lab, source

SOURCES = [["wikipedia_en/abstract", "wikipedia_en/section"], ["paper_title_abstract_en/train", "parasci_en/train"],
           ["multi30k_captions_en/train", "flickr8k_captions_en/train"], ["wikisplit_en/tune", "wikisplit_en/validation"],
           ["oewn_lexical_en/word_definition", "wordset_dictionary_en/word_definition"],
           ["qa_pairs_en/nq_open_dev", "qa_pairs_en/webquestions", "statement_paraphrase_en/train"],
           ["tldr_command_pairs_en/train"], ["wikipedia_zh/abstract", "wikipedia_zh/section"], ["simclue_zh/train_pair"],
           ["linux_cn_articles_zh/title", "linux_cn_articles_zh/section", "docs_sections_zh/train"],
           ["medical_dialogue_zh/train", "kgclue_qa_zh/train"],
           ["tatoeba_en_zh/train", "python_docs_parallel_en_zh/train", "cedict_zh_en/train"]]


def learn(steps, batch, rate, decay, loss):
    return (f'[train]\nsteps = {steps}\nbatch = {batch}\nlearning_rate = {rate}\nschedule = "cosine"\nwarmup = 0.05\n'
            f'weight_decay = {decay}\ncheckpoint_every = 100\n[save]\ndtype = "f32"\n[mixture]\nalpha = 0.5\n[loss]\n{loss}\n')


def sources(**limits):
    return "".join(source([path + ".jsonl.gz" for path in paths], **limits) for paths in SOURCES)


def pair_base(lab):
    """Folders of the static model and of the transformer; what is finished is not trained again."""
    options = lab.options
    infonce, kept = 'name = "infonce"\ntemperature = 0.05', 'dropout = 0\nattention_dropout = 0\nprecision = "fastest"\n'
    static = lab.train("static", f'[model]\nfamily = "static_embedding"\ntokenizer = "{options.tokenizer}"\nhidden = 256\n'
                       "init_std = 0.02\n" + learn(options.static_steps, 1024, 2e-2, 0, infonce) + sources())
    imitation = lab.train("imitation", f'[model]\nfamily = "bert"\ntokenizer = "{options.tokenizer}"\nembeddings_from = "{static}"\n'
                          f'layers = 4\nhidden = 312\nheads = 12\nffn_hidden = 1200\npooling = "mean"\nmax_positions = 512\n{kept}'
                          f'[teacher]\nmodel = "{static}"\nmax_tokens = 48\n'
                          + learn(options.imitation_steps, 256, 1e-3, 0.01, 'name = "vector_distill"')
                          + sources(max_query_tokens=48, max_document_tokens=48))
    transformer = lab.train("transformer", f'[model]\nopen = "{imitation}"\n{kept}' + learn(options.steps, 256, 5e-4, 0.01, infonce)
                            + sources(max_query_tokens=32, max_document_tokens=64))
    return static, transformer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("akin", "data", "work", "tokenizer"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--static-steps", type=int, default=1200)
    parser.add_argument("--imitation-steps", type=int, default=300)
    parser.add_argument("--steps", type=int, default=700)
    options = parser.parse_args()
    options.tokenizer = os.path.abspath(options.tokenizer)
    print("\n".join(pair_base(Lab(options))))


if __name__ == "__main__":
    main()
