"""The requests of `zeval requests` as input files of llama-perplexity, so that both score the same texts.

    zeval requests --tasks hellaswag --limit 100 | python3 bench/peer_tasks.py hellaswag OUT.txt
    zeval requests --tasks mmlu_anatomy --num-fewshot 5 --limit 24 \
        | python3 bench/peer_tasks.py multiple-choice OUT.bin

hellaswag: six lines a task, the context, the number of the right ending, four endings. multiple-choice: counts,
positions, then each task's question and its answers, twice, as little-endian 32-bit integers and bytes. Which
answer is right plays no part in how long scoring takes, so the first is called right. Standard library only.
"""
import json
import struct
import sys


def read_documents(stream):
    documents = {}
    for line in stream:
        request = json.loads(line)
        key = request["task"], request["doc_id"]
        documents.setdefault(key, []).append((request["context"], request["continuation"]))
    return list(documents.values())


def write_hellaswag(documents, path):
    with open(path, "w", encoding="utf-8") as out:
        for requests in documents:
            if len(requests) != 4:
                sys.exit(f"found {len(requests)} endings, expected 4")
            lines = [requests[0][0], "0"] + [ending.strip() for _, ending in requests]
            out.write("".join(line.replace("\n", " ") + "\n" for line in lines))


def text(string):
    data = string.encode()
    return struct.pack("<I", len(data)) + data


def write_multiple_choice(documents, path):
    bodies = []
    for requests in documents:
        answers = struct.pack("<I", len(requests)) + b"".join(text(answer.strip()) for _, answer in requests)
        answers += struct.pack(f"<{len(requests)}i", 1, *[0] * (len(requests) - 1))
        bodies.append(text(requests[0][0]) + answers + struct.pack("<I", 0))
    position, positions = 4 + 4 * len(bodies), []
    for body in bodies:
        positions.append(position)
        position += len(body)
    with open(path, "wb") as out:
        out.write(struct.pack(f"<I{len(bodies)}I", len(bodies), *positions) + b"".join(bodies))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("hellaswag", "multiple-choice"):
        sys.exit(__doc__)
    write = write_hellaswag if sys.argv[1] == "hellaswag" else write_multiple_choice
    write(read_documents(sys.stdin), sys.argv[2])
