#!/usr/bin/python3
"""Writes text that is hard on a tokenizer: real English and Chinese, mixed with hostile Unicode.

What it is: the input of the tokenizer comparison (tokenizers.mjs against akin, line by line).
Half the lines are real (shared data), a quarter real with damage put in, a quarter made up:
combining marks, astral and unassigned code points, zero-width and control characters,
right-to-left and Hangul, emoji joined by ZWJ, NFC and NFD of the same word, CJK extensions, words
over 100 characters, white space of every kind, special tokens spelled out inside the text.
Valid UTF-8; no NUL and no surrogates; only LF ends a line, no CR, but VT, FF, U+0085 and U+2028
are inside texts, so read it by LF and not with splitlines().
What it is not: a fuzzer (see fuzz/), nor text to measure speed on.

    /usr/bin/python3 make_hostile_text.py OUT.txt [--lines 100000] [--data SHARED_DATA]
"""

import argparse
import os
import random
import sys
import unicodedata

from make_texts import default_data_dir, rows, texts_of

REAL = ["stsb_en/train", "sts12_en/test", "captions_mixed_en/coco_val2017", "wikipedia_en/abstract"]
REAL += ["stsb_zh/train", "wikipedia_zh/abstract", "poetry_zh/train", "tatoeba_en_zh/train"]

SPECIAL = ["[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]", "[sep]", "[ SEP ]", "[SEP", "SEP]"]
SPECIAL += ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "<|endoftext|>", "##ing", "##", "[unused1]"]
SPACES = list("\t\v\f \u00a0\u1680\u2002\u2003\u2007\u2009\u200a\u2028\u2029\u202f\u205f\u3000\x85")
INVISIBLE = list("\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u061c\u200e\u200f\u202a\u202e")
CONTROL = [chr(c) for c in range(1, 32) if c not in (10, 13)] + [chr(c) for c in range(127, 160)]
ODD = list("\ufffd\ufffc\ufffe\uffff\ufdd0\ue000\U0010fffd\U000f0000\U0001fffe\u0378\u2fe0")
EMOJI = ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u2764\ufe0f"]
EMOJI += ["1\ufe0f\u20e3", "\U0001f1e8\U0001f1f3", "\U0001f3f4\U000e0067\U000e0062\U000e007f"]
EMOJI += ["\U0001f600", "\u263a"]
RANGES = {
    "combining": (0x0300, 0x036F),
    "latin ext": (0x0100, 0x024F),
    "vietnamese": (0x1E00, 0x1EFF),
    "greek": (0x0370, 0x03FF),
    "cyrillic": (0x0400, 0x04FF),
    "hebrew": (0x0590, 0x05FF),
    "arabic": (0x0600, 0x06FF),
    "devanagari": (0x0900, 0x097F),
    "thai": (0x0E00, 0x0E7F),
    "jamo": (0x1100, 0x11FF),
    "hangul": (0xAC00, 0xD7A3),
    "kana": (0x3040, 0x30FF),
    "cjk": (0x4E00, 0x9FFF),
    "cjk a": (0x3400, 0x4DBF),
    "cjk b-g": (0x20000, 0x3134F),
    "compat": (0xF900, 0xFAFF),
    "compat sup": (0x2F800, 0x2FA1F),
    "full width": (0xFF00, 0xFFEF),
    "punctuation": (0x2000, 0x206F),
    "symbols": (0x2100, 0x2BFF),
    "maths": (0x1D400, 0x1D7FF),
    "presentation": (0xFB00, 0xFDFF),
    "georgian": (0x10A0, 0x10FF),
    "any bmp": (0x00A0, 0xFFFF),
    "any": (0x10000, 0x10FFFF),
}
# Words whose lower case, decomposition or case folding is not one code point for one.
TRICKY = ["İstanbul", "ıI", "Straße", "STRASSE", "ﬁnance", "ŒUVRE", "Ångström", "Å", "naïve"]
TRICKY += ["Σίσυφος"]
TRICKY += ["ΟΔΟΣ", "ǅ", "ŉ", "Ĳ", "½", "Ⅷ", "㎏", "①②", "ｆｕｌｌ", "한국어", "각", "ញុំ", "ക്ഷ", "がぎ", "が"]
TRICKY += ["don't", "l’été", "U.S.A.", "a_b-c", "x²", "e=mc²", "100%", "$5", "a+b"]
TRICKY += ["^_^", "`q`", "~", "|"]


def clean(text):
    """One valid line: no NUL, no line breaks, no surrogates."""
    return "".join(c for c in text if c not in "\0\n\r" and not 0xD800 <= ord(c) <= 0xDFFF)


class Maker:
    def __init__(self, real, seed):
        self.real = real
        self.rng = random.Random(seed)
        self.names = list(RANGES)

    def run_of(self, low, high, length):
        return "".join(chr(self.rng.randint(low, high)) for _ in range(length))

    def piece(self):
        rng = self.rng
        kind = rng.randrange(12)
        if kind == 0:
            return rng.choice(SPECIAL)
        if kind == 1:
            return "".join(rng.choices(SPACES, k=rng.randint(1, 4)))
        if kind == 2:
            return "".join(rng.choices(INVISIBLE, k=rng.randint(1, 3)))
        if kind == 3:
            return rng.choice(CONTROL)
        if kind == 4:
            return rng.choice(EMOJI)
        if kind == 5:
            return rng.choice(ODD)
        if kind in (6, 7):
            form = rng.choice(("NFC", "NFD", "NFKC", "NFKD"))
            return unicodedata.normalize(form, rng.choice(TRICKY))
        if kind == 8:  # a base letter under a pile of marks, in no canonical order
            return rng.choice("aeiouAEIOUnc") + self.run_of(0x0300, 0x036F, rng.randint(1, 6))
        if kind == 9 and rng.random() < 0.2:
            return rng.choice(("x", "ab", "é", "1", "中")) * rng.randint(40, 260)
        low, high = RANGES[rng.choice(self.names)]
        return self.run_of(low, high, rng.randint(1, 6))

    def made_up(self):
        parts = []
        for _ in range(self.rng.randint(1, 14)):
            parts.append(self.piece())
            if self.rng.random() < 0.5:
                parts.append(" ")
        return "".join(parts)

    def damaged(self):
        text = list(self.rng.choice(self.real))
        for _ in range(self.rng.randint(1, 5)):
            text.insert(self.rng.randint(0, len(text)), self.piece())
        text = "".join(text)
        if self.rng.random() < 0.3:
            text = unicodedata.normalize(self.rng.choice(("NFD", "NFKD", "NFKC")), text)
        return text.upper() if self.rng.random() < 0.1 else text

    def line(self):
        kind = self.rng.random()
        if self.real and kind < 0.5:
            return clean(self.rng.choice(self.real))
        if self.real and kind < 0.75:
            return clean(self.damaged())
        return clean(self.made_up())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--lines", type=int, default=100000)
    parser.add_argument("--data", default=default_data_dir(), help="the shared data folder")
    parser.add_argument("--seed", type=int, default=20261122)
    args = parser.parse_args()
    real = []
    for name in REAL:
        texts = [t for row in rows(args.data, name) for t in texts_of(row)]
        texts += [row[k] for row in rows(args.data, name) for k in ("en", "zh") if row.get(k)]
        real += [" ".join(t.split()) for t in texts[:20000]]
    if not real:
        print("skipped: no shared data")
        return 0
    maker = Maker(real, args.seed)
    with open(args.out, "w", encoding="utf-8", newline="\n") as f:
        for _ in range(args.lines):
            f.write(maker.line() + "\n")
    print(f"{args.out}: {args.lines} lines, {os.path.getsize(args.out)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
