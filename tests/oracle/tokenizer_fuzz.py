"""Compares `zeval tokenize` with the reference implementation (PyPI `tokenizers`) on random texts.

    pip install tokenizers==0.23.3
    python tests/oracle/tokenizer_fuzz.py --zeval build/zeval --texts 125000 --data FOLDER NAME=TOKENIZER.json...

For each tokenizer: texts of random Unicode, code, pieces of its own vocabulary stuck together (adversarial merges),
runs of white space, special-token strings, mixtures of awkward characters, and slices of the *.jsonl.gz files under
the data folder. Compared are the ids, in a third of the rounds with special-token strings as text, and what both
decode from the ids, with special tokens in every other round. A disagreement is cut down to the few characters that
still show it, and counted under them. Exits with 1 if there was any.
"""
import argparse
import collections
import glob
import gzip
import json
import os
import random
import subprocess
import sys

os.environ.setdefault("RAYON_NUM_THREADS", "1")
from tokenizers import Tokenizer  # noqa: E402

ROUND = 25000
AWKWARD = ["'s", "'S", "'ll", "'LL", "'re", "'ſ", "don't", "I'M", "1234567", "12", "٣", "½", "Ⅷ", "²", "é", "e\u0301", "ﬁ", "İ",
           "ſ", "ß", "Ǆ", "日本", "你", "한", "ᄀ", "ᅡ", "ก็", "हिन्दी", "م", "😀", "👨\u200d👩\u200d👧", "\u200d", "\u200c",
           "\u180e", "\u0085", "\u2028", "\u2029", "\ufeff", "\u00ad", "\u3000", "\u00a0", "\u0301", "\u0327", "▁", "▁▁", "Ġ", "Ċ",
           "<0x41>", "<0x0A>", "\x00", "\x01", "\x1c", "\x7f", "\ufffd", "\uffff", "_", "-", ".", "...", "!!", "$", "{", "}", "/", "\\",
           "Hello", " world", "The", "the", "aaaa", "x", "\t", "\n", "\n\n", "\r\n", "\r", " ", "  ", "   ", "𝒳", "\U000e0041", "Å", "Ω"]
SPACES = [" ", "  ", "    ", "\t", "\n", "\r", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\u000b", "\u200b", "a", "1", "."]
# Where characters live; all other planes come up through the whole range.
RANGES = [(0, 0x7f), (0x80, 0x24f), (0x250, 0x5ff), (0x600, 0x1fff), (0x2000, 0x2fff), (0x3000, 0x9fff), (0xa000, 0xd7ff),
          (0xe000, 0xffff), (0x10000, 0x1ffff), (0x20000, 0x3ffff), (0xe0000, 0xe01ff), (0, 0x10ffff)]


def random_character(rng):
    low, high = rng.choice(RANGES)
    code = rng.randint(low, high)
    return chr(code) if not 0xd800 <= code < 0xe000 else "\ufffd"


def code_files():
    files = glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py"))
    files += glob.glob("*/*.c") + glob.glob("*/*/*.yaml") + glob.glob("*/*/*.c")
    texts = []
    for path in sorted(files)[:400]:
        with open(path, encoding="utf-8", errors="replace") as file:
            texts.append(file.read())
    return texts


def data_texts(folder):
    texts = []

    def strings(value):
        if isinstance(value, str):
            texts.append(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
            strings(item)
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.jsonl.gz"), recursive=True)) if folder else []:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for _, line in zip(range(300), file):
                strings(json.loads(line))
    return texts or ["The quick brown fox."]


def slice_of(rng, texts, longest):
    text = rng.choice(texts)
    start = rng.randrange(len(text) + 1)
    return text[start:start + rng.randint(1, longest)]


class Generator:
    def __init__(self, rng, engine, code, data):
        self.rng, self.code, self.data = rng, code, data
        self.pieces = [engine.decode([i]) for i in rng.sample(range(engine.get_vocab_size()), 4000)]
        self.raw = [t.replace("Ġ", " ") for t in rng.sample(sorted(engine.get_vocab()), 4000)]
        self.special = [t.content for t in engine.get_added_tokens_decoder().values()][:40] or ["<s>"]

    def joined(self, pool, longest):
        return "".join(self.rng.choice(pool) for _ in range(self.rng.randint(1, longest)))

    def mutated(self, text):
        text = list(text)
        for _ in range(self.rng.randint(1, 4)):
            text.insert(self.rng.randrange(len(text) + 1), self.rng.choice(AWKWARD))
        return "".join(text)

    def adversarial(self):
        rng = self.rng
        a, b = rng.choice(self.pieces), rng.choice(self.raw)
        kind = rng.randrange(4)
        if kind == 0:
            return (a * rng.randint(1, 12))[:200]
        if kind == 1:
            return a[:rng.randint(0, len(a))] + b[rng.randint(0, len(b)):] + a
        if kind == 2:
            return ((a + b) * rng.randint(1, 6))[:200]
        return self.joined(self.pieces, 8)

    def text(self):
        rng = self.rng
        kind = rng.randrange(8)
        if kind == 0:
            return "".join(random_character(rng) for _ in range(rng.randint(1, 20)))
        if kind == 1:
            return slice_of(rng, self.code, 120)
        if kind in (2, 3):
            return self.adversarial()
        if kind == 4:
            return self.joined(SPACES, 15)
        if kind == 5:
            return self.joined(self.special + ["<", ">", "|", " ", "a", "\n", "<s"], 8)
        if kind == 6:
            return self.joined(AWKWARD, 15)
        text = slice_of(rng, self.data, 160)
        return self.mutated(text) if rng.random() < 0.5 else text


def zeval(program, path, lines, *options):
    run = subprocess.run([program, "tokenize", "--threads", "1", "--tokenizer", path, *options], input="\n".join(lines) + "\n",
                         stdout=subprocess.PIPE, encoding="utf-8")
    out = run.stdout.split("\n")[:-1]
    if run.returncode or len(out) != len(lines):
        sys.exit("zeval tokenize %s failed on line %d: %s" % (path, len(out) + 1, lines[min(len(out), len(lines) - 1)]))
    return [json.loads(line) for line in out]


class Comparison:
    def __init__(self, program, name, path):
        self.program, self.name, self.path = program, name, path
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
            self.engine = Tokenizer.from_str(file.read())
        self.n = 0
        self.found = collections.Counter()
        self.examples = {}

    def ids(self, texts, as_text):
        self.engine.encode_special_tokens = as_text
        theirs = [e.ids for e in self.engine.encode_batch(texts, add_special_tokens=False)]
        lines = [json.dumps({"text": t}) for t in texts]
        ours = [o["ids"] for o in zeval(self.program, self.path, lines, *(["--special-as-text"] if as_text else []))]
        return ours, theirs

    def decoded(self, ids, skip):
        theirs = self.engine.decode_batch(ids, skip_special_tokens=skip)
        lines = [json.dumps({"ids": i}) for i in ids]
        return [o["text"] for o in zeval(self.program, self.path, lines, "--decode", *(["--skip-special"] if skip else []))], theirs

    def shrink(self, text, as_text):
        """The characters that are left when no one can be taken away."""
        for _ in range(30):
            cuts = [text[:i] + text[j:] for size in (len(text) // 2, len(text) // 4, 2, 1) if size
                    for i in range(0, len(text), max(1, size // 2)) for j in [min(len(text), i + size)]]
            cuts = [c for c in cuts if c] or [text]
            ours, theirs = self.ids(cuts, as_text)
            bad = [c for c, o, t in zip(cuts, ours, theirs) if o != t and len(c) < len(text)]
            if not bad:
                return text
            text = min(bad, key=len)
        return text

    def note(self, kind, shown, example):
        key = kind + " " + " ".join("U+%04X" % ord(c) if not 0x20 < ord(c) < 0x7f else c for c in shown)
        self.found[key] += 1
        self.examples.setdefault(key, example)

    def round(self, texts, number):
        as_text, skip = number % 3 == 2, number % 2 == 1
        ours, theirs = self.ids(texts, as_text)
        self.n += len(texts)
        for text, o, t in zip(texts, ours, theirs):
            if o != t:
                self.note("ids", self.shrink(text, as_text) if sum(self.found.values()) < 200 else "(not cut down)", text)
        for ids, o, t in zip(theirs, *self.decoded(theirs, skip)):
            if o != t:
                self.note("decoded", [], repr((ids, o, t)))

    def report(self):
        print("| %s | %d | %d |" % (self.name, self.n, sum(self.found.values())), flush=True)
        for key, count in self.found.most_common(40):
            print("    %d x %s, as in %r" % (count, key, self.examples[key]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--zeval", default="build/zeval")
    parser.add_argument("--texts", type=int, default=ROUND, help="for each tokenizer")
    parser.add_argument("--data", help="a folder with *.jsonl.gz files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("tokenizers", nargs="+", metavar="NAME=FILE")
    arguments = parser.parse_args()
    code, data = code_files(), data_texts(arguments.data)
    bad = False
    for item in arguments.tokenizers:
        name, path = item.split("=", 1)
        comparison = Comparison(arguments.zeval, name, path)
        generator = Generator(random.Random("%s %d" % (name, arguments.seed)), comparison.engine, code, data)
        for number in range((arguments.texts + ROUND - 1) // ROUND):
            comparison.round([generator.text() for _ in range(min(ROUND, arguments.texts - comparison.n))], number)
        comparison.report()
        bad = bad or bool(comparison.found)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
