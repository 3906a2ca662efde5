"""WordPiece for the Python side of the peer benches: text -> ids, as bert-base-uncased does it.

What it is: a small tokenizer that remembers the pieces of every word it has seen, so that the
PyTorch peer is not held back by Python; it also counts tokens for the text generators.
What it is not: a reference. The reference is the JavaScript library in tokenizers.mjs; and
akin's own tokenizer lives in src/text.
"""

import json
import os
import re
import unicodedata

_MAX_WORD_CHARS = 100


def _is_chinese(cp):
    return (
        0x4E00 <= cp <= 0x9FFF
        or 0x3400 <= cp <= 0x4DBF
        or 0x20000 <= cp <= 0x2A6DF
        or 0x2A700 <= cp <= 0x2B73F
        or 0x2B740 <= cp <= 0x2B81F
        or 0x2B920 <= cp <= 0x2CEAF
        or 0xF900 <= cp <= 0xFAFF
        or 0x2F800 <= cp <= 0x2FA1F
    )


def _is_punctuation(ch):
    cp = ord(ch)
    if 33 <= cp <= 47 or 58 <= cp <= 64 or 91 <= cp <= 96 or 123 <= cp <= 126:
        return True
    return unicodedata.category(ch).startswith("P")


class _CharClass(dict):
    """code point -> what it becomes: itself, nothing, a space, or itself between spaces."""

    def __missing__(self, cp):
        ch = chr(cp)
        if ch in "\t\n\r":
            out = " "
        elif cp == 0xFFFD or unicodedata.category(ch) in ("Cc", "Cf", "Co", "Cs"):
            out = None
        elif unicodedata.category(ch) == "Zs":
            out = " "
        elif _is_chinese(cp):
            out = " " + ch + " "
        else:
            out = ch
        self[cp] = out
        return out


class WordPiece:
    """Reads DIR/vocab.txt. encode(text) -> list of ids, with [CLS] and [SEP] around them."""

    def __init__(self, model_dir, max_tokens=512):
        with open(os.path.join(model_dir, "vocab.txt"), encoding="utf-8") as f:
            tokens = f.read().split("\n")
        if tokens and tokens[-1] == "":
            tokens.pop()
        self.vocab = {t: i for i, t in enumerate(tokens)}
        self.cls, self.sep = self.vocab["[CLS]"], self.vocab["[SEP]"]
        self.unk = self.vocab["[UNK]"]
        self.max_tokens = max_tokens
        with open(os.path.join(model_dir, "tokenizer.json"), encoding="utf-8") as f:
            norm = json.load(f)["normalizer"]
        self.lowercase = norm["lowercase"]
        strip = norm.get("strip_accents")
        self.strip_accents = self.lowercase if strip is None else strip
        self._chars = _CharClass()
        self._cache = {}
        self._special = re.compile(r"(\[(?:CLS|SEP|UNK|PAD|MASK)\])")

    def _pieces(self, word):
        if len(word) > _MAX_WORD_CHARS:
            return [self.unk]
        ids, begin = [], 0
        while begin < len(word):
            end = len(word)
            while end > begin:
                piece = word[begin:end] if begin == 0 else "##" + word[begin:end]
                found = self.vocab.get(piece)
                if found is not None:
                    break
                end -= 1
            else:
                return [self.unk]
            ids.append(found)
            begin = end
        return ids

    def _chunk(self, chunk):
        """Ids of one run of text without white space."""
        if self.strip_accents:
            chunk = unicodedata.normalize("NFD", chunk)
            chunk = "".join(c for c in chunk if unicodedata.category(c) != "Mn")
        if self.lowercase:
            chunk = chunk.lower()
        ids, word = [], ""
        for ch in chunk:
            if _is_punctuation(ch):
                if word:
                    ids += self._pieces(word)
                    word = ""
                ids += self._pieces(ch)
            else:
                word += ch
        return ids + self._pieces(word) if word else ids

    def _plain(self, text, ids):
        cache = self._cache
        for chunk in text.translate(self._chars).split():
            got = cache.get(chunk)
            if got is None:
                got = cache[chunk] = self._chunk(chunk)
            ids += got

    def encode(self, text):
        ids = [self.cls]
        if "[" in text:
            for part in self._special.split(text):
                if self._special.fullmatch(part):
                    ids.append(self.vocab[part])
                else:
                    self._plain(part, ids)
        else:
            self._plain(text, ids)
        if len(ids) >= self.max_tokens:
            del ids[self.max_tokens - 1 :]
        ids.append(self.sep)
        return ids
