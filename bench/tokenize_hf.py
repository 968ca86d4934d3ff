"""What bench/tokenize.c measures, with the reference implementation (PyPI `tokenizers`), on one thread.

    python bench/tokenize_hf.py TOKENIZER TEXT
"""
import gzip
import os
import statistics
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402

RUNS = 5


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def timed(work):
    seconds, result = [], None
    for _ in range(RUNS):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def main():
    path, text_path = sys.argv[1:]
    if os.path.isdir(path):
        path = os.path.join(path, "tokenizer.json")
        path = path if os.path.exists(path) else path + ".gz"
    source = read(path).decode()
    seconds, engine = timed(lambda: tokenizers.Tokenizer.from_str(source))
    print("tokenizers %s: loaded in %.0f ms" % (tokenizers.__version__, seconds * 1e3))
    data = read(text_path)
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for label, texts in (("by lines", lines), ("as one text", [text])):
        seconds, n = timed(lambda: sum(len(engine.encode(t, add_special_tokens=False).ids) for t in texts))
        print("tokenizers %s: %s: %.1f MB/s, %d tokens" % (tokenizers.__version__, label, len(data) * 1e-6 / seconds, n))


if __name__ == "__main__":
    main()
