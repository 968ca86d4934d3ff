#!/usr/bin/env python3
"""Makes everything under zoo/demo/: a small world of English-like stories, a tokenizer, a tiny hybrid model trained on
them (latent attention and Mamba2 layers in the Zebra-Llama layout), and evaluation tasks on unseen combinations.

    python3 tools/train_demo.py [--out zoo/demo] [--steps 600]

Needs torch, tokenizers and numpy (tests/oracle/requirements.txt). The seeds are fixed; see docs/DEMO.md.
"""

import argparse
import hashlib
import json
import math
import pathlib
import random
import struct
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
MAX_POSITIONS = 512

# The world.

NAMES = "Anna Ben Cara Dan Eva Finn Gina Hugo Iris Jack".split()
OBJECTS = "ball key book hat cup ring doll lamp drum kite".split()
KINDS = "old new big small soft long thin warm wet round".split()
COLOURS = "red blue green black white pink brown yellow".split()
PLACES = "box garden kitchen attic cellar basket drawer tent barn bag".split()


def held_out(*facts):
    """One combination in five is never shown in training; the evaluation asks for these alone."""
    return hashlib.sha256(" ".join(map(str, facts)).encode()).digest()[0] % 5 == 0


def recall_story(rng, size, reserved):
    """Colours of things that differ in kind, in thing, or in both: both halves of the question matter."""
    kinds, things = rng.sample(KINDS, 2 + size // 3), rng.sample(OBJECTS, 2 + size // 3)
    facts = []
    for kind, thing in rng.sample([(k, t) for k in kinds for t in things], size):
        known = [c for c in COLOURS if not held_out(kind, thing, c)]
        facts.append((kind, thing, rng.choice(known)))
    asked = rng.randrange(size)
    if reserved:
        kind, thing, _ = facts[asked]
        fresh = [c for c in COLOURS if held_out(kind, thing, c)]
        if not fresh:
            return None
        facts[asked] = (kind, thing, rng.choice(fresh))
    story = " ".join(f"The {kind} {thing} is {colour}." for kind, thing, colour in facts)
    questions = [
        (f"What colour is the {kind} {thing}?", f"The {kind} {thing} is", colour) for kind, thing, colour in facts
    ]
    return story, questions, asked, [fact[2] for fact in facts], COLOURS


def where_story(rng, size, reserved):
    """Things are put somewhere and moved on by others: the latest place counts, and only for the thing asked for."""
    things = rng.sample(OBJECTS, 2 + size // 4)
    where, moves = {}, []
    for number in range(size):
        name, thing = rng.choice(NAMES), things[number] if number < len(things) else rng.choice(things)
        free = [p for p in PLACES if p not in where.values() and not held_out(name, thing, p)]
        moves.append((name, thing, rng.choice(free), thing in where))
        where[thing] = moves[-1][2]
    asked = rng.randrange(len(where))
    if reserved:
        last = max(i for i, move in enumerate(moves) if move[1] == list(where)[asked])
        name, thing, _, again = moves[last]
        fresh = [p for p in PLACES if held_out(name, thing, p) and p not in [move[2] for move in moves]]
        if not fresh:
            return None
        where[thing] = rng.choice(fresh)
        moves[last] = (name, thing, where[thing], again)
    story = " ".join(
        f"{name} moved the {thing} to the {place}." if again else f"{name} put the {thing} in the {place}."
        for name, thing, place, again in moves
    )
    questions = [(f"Where is the {thing} now?", f"The {thing} is in the", place) for thing, place in where.items()]
    return story, questions, asked, [move[2] for move in moves], PLACES


def order_story(rng, size, reserved):
    """A line of people: who is right behind, who is right before."""
    while True:
        line = rng.sample(NAMES, max(size, 3))
        pairs = list(zip(line, line[1:]))
        unseen = [i for i, pair in enumerate(pairs) if held_out(*pair)]
        if len(unseen) == (1 if reserved else 0):
            break
    story = "In line stand " + ", then ".join(line) + "."
    questions = [(f"Who stands right behind {a}?", f"Right behind {a} stands", b) for a, b in pairs]
    questions += [(f"Who stands right before {b}?", f"Right before {b} stands", a) for a, b in pairs]
    asked = unseen[0] if reserved else rng.randrange(len(pairs))
    return story, questions, asked + len(pairs) * rng.randrange(2), line, NAMES


TASKS = {"recall": recall_story, "where": where_story, "order": order_story}


def make_story(rng, task, size, reserved=False):
    while True:
        made = TASKS[task](rng, size, reserved)
        if made:
            return made


def make_document(rng, task, size, reserved):
    """A story, one question, and four choices: the answer, then wrong ones that the story itself mentions."""
    story, questions, asked, mentioned, others = make_story(rng, task, size, reserved)
    question, lead, answer = questions[asked]
    likely = [x for x in dict.fromkeys(mentioned) if x != answer and f"{x} " not in lead + " "]
    rest = [x for x in others if x != answer and x not in likely and f"{x} " not in lead + " "]
    rng.shuffle(likely)
    rng.shuffle(rest)
    choices = [answer] + (likely + rest)[:3]
    rng.shuffle(choices)
    return {"story": story, "question": question, "lead": lead, "choices": choices, "label": choices.index(answer)}


def prompt_of(document):
    return f"{document['story']}\nQuestion: {document['question']}\nAnswer: {document['lead']}"


# The tokenizer: byte-level BPE as in Llama 3.

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(vocabulary):
    rng = random.Random(1)
    texts = []
    for _ in range(6000):
        story, questions, *_ = make_story(rng, rng.choice(list(TASKS)), rng.randint(3, 6))
        texts.append(story + "".join(text + " " + answer + "." for text, answer in as_text(questions)))
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A",
                pair=f"{BOS} $A {BOS} $B:1",
                special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
            ),
        ]
    )
    return tokenizer


# The model.

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 448,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": MAX_POSITIONS,
    "rope_theta": 500000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "torch_dtype": "bfloat16",
}
HYBRID = {
    "hidden_size": 96,
    "d_model": 96,
    "intermediate_size": 160,
    "hidden_act": "silu",
    "n_layer": 4,
    "mla_layers": [1, 3],
    "rms_norm_eps": 1e-5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "q_lora_rank": 64,
    "kv_lora_rank": 48,
    "qkv_rank_divisor": 8,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "use_lora_layer_norm": False,
    "use_full_kv_head": False,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "max_position_embeddings": MAX_POSITIONS,
    "rope_theta": 500000.0,
    "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 8192},
    "d_inner": 96,
    "d_xb": 32,
    "ssm_cfg": {"expand": 1, "ngroups": 6, "d_state": 16, "repeat_kv_before_conv": False},
}


class RMSNorm(nn.Module):
    def __init__(self, size, eps=CONFIG["rms_norm_eps"]):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def linear(columns, rows):
    return nn.Linear(columns, rows, bias=False)


def yarn_table(length):
    """cos and sin, [T, r/2], in the YaRN of the latent-attention modules: frequencies blended, both scaled."""
    width, base, scaling = HYBRID["qk_rope_head_dim"], HYBRID["rope_theta"], HYBRID["rope_scaling"]
    factor, original = scaling["factor"], scaling["original_max_position_embeddings"]
    i = torch.arange(width // 2, dtype=torch.float64)
    plain = base ** (-2 * i / width)
    low, high = (width * math.log(original / (2 * math.pi * turns)) / (2 * math.log(base)) for turns in (32, 1))
    low, high = max(math.floor(low), 0), min(math.ceil(high), width - 1)
    ramp = ((i - low) / (high - low)).clamp(0, 1)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * (plain / factor * ramp + plain * (1 - ramp))
    gain = 0.1 * math.log(factor) + 1
    return (gain * angle.cos()).float(), (gain * angle.sin()).float()


class LatentAttention(nn.Module):
    def __init__(self):
        super().__init__()
        d, heads, groups = HYBRID["hidden_size"], HYBRID["num_attention_heads"], HYBRID["num_key_value_heads"]
        self.heads, self.groups = heads, groups
        self.n, self.r, self.v = (HYBRID[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
        self.rank = HYBRID["kv_lora_rank"]
        self.q_a_proj = linear(d, HYBRID["q_lora_rank"])
        self.q_b_proj = linear(HYBRID["q_lora_rank"], heads * (self.n + self.r))
        self.kv_a_proj_with_mqa = linear(d, self.rank + self.r)
        self.kv_b_proj = linear(self.rank, groups * (self.n + self.v))
        self.out_proj = linear(heads * self.v, d)
        cos, sin = yarn_table(MAX_POSITIONS)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def rotate(self, x):
        """[B, heads, T, r]"""
        cos, sin = self.cos[: x.shape[2]], self.sin[: x.shape[2]]
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.cat([even * cos - odd * sin, odd * cos + even * sin], -1)

    def forward(self, u):
        batch, length, _ = u.shape
        q = self.q_b_proj(self.q_a_proj(u)).view(batch, length, self.heads, -1).transpose(1, 2)
        latent, k_pe = self.kv_a_proj_with_mqa(u).split([self.rank, self.r], -1)
        kv = self.kv_b_proj(latent).view(batch, length, self.groups, -1).transpose(1, 2)
        kv = kv.repeat_interleave(self.heads // self.groups, 1)
        k_pe = self.rotate(k_pe[:, None]).expand(-1, self.heads, -1, -1)
        q = torch.cat([q[..., : self.n], self.rotate(q[..., self.n :])], -1)
        k = torch.cat([kv[..., : self.n], k_pe], -1)
        mixed = F.scaled_dot_product_attention(q, k, kv[..., self.n :], is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


class Mamba2(nn.Module):
    """The scan in its quadratic form: for sequences this short, one masked matrix per head."""

    def __init__(self):
        super().__init__()
        d, self.inner, self.narrow = HYBRID["d_model"], HYBRID["d_inner"], HYBRID["d_xb"]
        self.heads, self.state = HYBRID["ssm_cfg"]["ngroups"], HYBRID["ssm_cfg"]["d_state"]
        channels = self.inner + 2 * self.narrow
        self.in_proj = linear(d, 2 * self.inner + 2 * self.narrow + self.heads)
        self.conv1d = nn.Conv1d(channels, channels, 4, groups=channels, padding=3)
        dt = torch.exp(torch.rand(self.heads) * math.log(100) + math.log(0.001))
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.A_log = nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = RMSNorm(self.inner)
        self.out_proj = linear(self.inner, d)

    def forward(self, u):
        batch, length, _ = u.shape
        z, xbc, dt = self.in_proj(u).split([self.inner, self.inner + 2 * self.narrow, self.heads], -1)
        xbc = F.silu(self.conv1d(xbc.transpose(1, 2))[..., :length].transpose(1, 2))
        x, b, c = xbc.split([self.narrow, self.narrow, self.inner], -1)
        x, b, c = (t.view(batch, length, -1, self.state).transpose(1, 2) for t in (x, b, c))
        x, b = (t.repeat_interleave(self.heads // t.shape[1], 1) for t in (x, b))
        dt = F.softplus(dt + self.dt_bias).transpose(1, 2)
        total = torch.cumsum(dt * -self.A_log.exp()[:, None], -1)
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        decay = (total[..., :, None] - total[..., None, :]).masked_fill(~causal, -torch.inf).exp()
        y = (c @ b.transpose(-1, -2) * decay * dt[..., None, :]) @ x + self.D[:, None, None] * x
        gated = y.transpose(1, 2) * F.silu(z).view(batch, length, self.heads, self.state)
        gated = gated * torch.rsqrt(gated.square().mean(-1, keepdim=True) + 1e-5)
        return self.out_proj(gated.reshape(batch, length, -1) * self.norm.weight)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        d, wide = CONFIG["hidden_size"], CONFIG["intermediate_size"]
        self.gate_proj, self.up_proj, self.down_proj = linear(d, wide), linear(d, wide), linear(wide, d)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, index):
        super().__init__()
        self.kind = "mla" if index in HYBRID["mla_layers"] else "mamba"
        self.input_layernorm = RMSNorm(CONFIG["hidden_size"])
        self.post_attention_layernorm = RMSNorm(CONFIG["hidden_size"])
        self.add_module(self.kind, LatentAttention() if self.kind == "mla" else Mamba2())
        self.mlp = MLP()

    def forward(self, h, silenced=False):
        if not silenced:
            h = h + getattr(self, self.kind)(self.input_layernorm(h))
        return h + self.mlp(self.post_attention_layernorm(h))


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], CONFIG["hidden_size"])
        self.layers = nn.ModuleList(Layer(i) for i in range(CONFIG["num_hidden_layers"]))
        self.norm = RMSNorm(CONFIG["hidden_size"])


class Hybrid(nn.Module):
    """Parameter names are the checkpoint's tensor names."""

    def __init__(self):
        super().__init__()
        self.model = Trunk()
        self.lm_head = linear(CONFIG["hidden_size"], CONFIG["vocab_size"])
        deep = (2 * CONFIG["num_hidden_layers"]) ** -0.5
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                shrink = deep if name.endswith(("out_proj.weight", "down_proj.weight")) else 1
                nn.init.normal_(weight, 0, 0.5 if "embed" in name else shrink * weight.shape[1] ** -0.5)

        with torch.no_grad():
            self.begin_with_matching()

    def begin_with_matching(self):
        """Starts the first two layers near a circuit that small models otherwise find only after long training: the
        first mixes the three tokens before each one into coordinates of their own, and the second compares
        those mixtures, so that it looks where the recent words were much the same."""
        bag = HYBRID["d_xb"]
        words = CONFIG["hidden_size"] - bag
        embedding = self.model.embed_tokens.weight
        embedding[:, words:] = 0
        embedding[:, 0] = 2.0

        mamba = self.model.layers[0].mamba
        inner, state = mamba.inner, mamba.state
        mamba.in_proj.weight[:inner] = 0
        mamba.in_proj.weight[:inner, 0] = 0.5
        mamba.in_proj.weight[inner : inner + bag, 0] = 0
        mamba.conv1d.weight[:bag, 0] = torch.tensor([0.6, 0.6, 0.6, 0.0])
        mamba.conv1d.bias[:bag] = 1.0
        mamba.out_proj.weight[words:] = 0
        for group in range(HYBRID["num_key_value_heads"]):
            head = group * mamba.heads // HYBRID["num_key_value_heads"]
            rows = slice(words + group * state, words + (group + 1) * state)
            mamba.out_proj.weight[rows, head * state : (head + 1) * state] = torch.eye(state)

        mla = self.model.layers[1].mla
        q_b = mla.q_b_proj.weight.view(mla.heads, mla.n + mla.r, -1)
        kv_b = mla.kv_b_proj.weight.view(mla.groups, mla.n + mla.v, -1)
        for down in (mla.q_a_proj.weight, mla.kv_a_proj_with_mqa.weight):
            down[:bag] = 0
            down[:bag, words:] = torch.eye(bag)
        q_b[:, mla.n :] *= 0.2
        for head in range(mla.heads):
            group = head // (mla.heads // mla.groups)
            q_b[head, : mla.n] = 0
            q_b[head, : mla.n, group * state : (group + 1) * state] = torch.eye(mla.n, state)
            kv_b[group, : mla.n] = 0
            kv_b[group, : mla.n, group * state : (group + 1) * state] = torch.eye(mla.n, state)

    def forward(self, ids, silenced=None):
        h = self.model.embed_tokens(ids)
        for index, layer in enumerate(self.model.layers):
            h = layer(h, index == silenced)
        return self.lm_head(self.model.norm(h))


# Training.


def as_text(questions):
    return [(f"\nQuestion: {question}\nAnswer: {lead}", answer) for question, lead, answer in questions]


def training_sequence(rng, tokenizer, ease):
    """Ids and loss weights of one or two stories, each with several questions so that every story teaches a lot.
    `ease` runs from 0 (short stories, answers restated without their questions) to 1."""
    task = rng.choice(list(TASKS))
    several = rng.random() < 0.3 * ease
    restated = not several and rng.random() < 0.9 - 0.7 * ease
    ids, weights = [tokenizer.token_to_id(BOS)], [0.0]
    for number in range(1 + several):
        story, questions, *_ = make_story(rng, task, rng.randint(3, 4 + round(2 * ease)))
        rng.shuffle(questions)
        parts = [(("\n\n" if number else "") + story, 0.05)]
        if restated:
            texts = [(f"{', and' if i else chr(10)} {lead}", answer) for i, (_, lead, answer) in enumerate(questions)]
        else:
            texts = as_text(questions[: 1 if several else 4])
        for text, answer in texts:
            parts += [(text, 0.05), (" " + answer, 1.0)]
        for part, weight in parts:
            new = tokenizer.encode(part, add_special_tokens=False).ids
            ids += new
            weights += [weight] * len(new)
    ids.append(tokenizer.token_to_id(EOS))
    weights.append(0.05)
    return ids[:MAX_POSITIONS], weights[:MAX_POSITIONS]


def training_batch(rng, tokenizer, ease, size):
    rows = [training_sequence(rng, tokenizer, ease) for _ in range(size)]
    length = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(size, length, dtype=torch.long)
    weights = torch.zeros(size, length)
    for i, (row, weight) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        weights[i, : len(row)] = torch.tensor(weight)
    return ids, weights


def accuracy(model, tokenizer, documents):
    """As the harness scores: the choice whose tokens are likeliest."""
    right = 0
    with torch.no_grad():
        for document in documents:
            prompt = prompt_of(document)
            start = len(tokenizer.encode(prompt).ids)
            scores = []
            for choice in document["choices"]:
                ids = torch.tensor([tokenizer.encode(f"{prompt} {choice}").ids])
                logp = model(ids[:, :-1])[0].log_softmax(-1)
                scores.append(sum(logp[p - 1, ids[0, p]].item() for p in range(start, ids.shape[1])))
            right += int(np.argmax(scores)) == document["label"]
    return right / len(documents)


def rightness_without(model, silenced, ids, weights):
    """How surely the answers are still found with one layer's mixer silenced. Driving this down makes every layer
    matter, which is what a demo is for: a runtime that gets one layer wrong must not score well."""
    logits = model(ids[:, :-1], silenced)
    likelihood = logits.softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    answers = weights[:, 1:] == 1
    return -torch.log1p(-likelihood[answers].clamp(max=0.999)).mean()


def train(model, tokenizer, probes, minutes, steps, batch, rate, hardening=False):
    rng = random.Random(8 if hardening else 7)
    plain = [p for n, p in model.named_parameters() if p.dim() < 2 or "embed" in n]
    decayed = [p for n, p in model.named_parameters() if not (p.dim() < 2 or "embed" in n)]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=rate, betas=(0.9, 0.98),
    )  # fmt: skip
    began = time.time()
    for step in range(steps):
        if time.time() - began > 60 * minutes:
            raise SystemExit(f"only {step} of {steps} steps in {minutes} minutes")
        progress = step / steps
        factor = min(1, (step + 1) / (20 if hardening else 100)) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
        ids, weights = training_batch(rng, tokenizer, 1 if hardening else min(1, progress / 0.6), batch)
        logits = model(ids[:, :-1])
        losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        target = weights[:, 1:].flatten()
        loss = (losses * target).sum() / target.sum()
        if hardening:
            loss = loss + 0.5 * rightness_without(model, step % len(model.model.layers), ids, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 49 or step == steps - 1:
            answer = losses[target == 1].mean().item()
            scores = " ".join(f"{task} {accuracy(model, tokenizer, docs):.2f}" for task, docs in probes.items())
            print(f"step {step + 1} loss {loss.item():.3f} answer {answer:.3f} {scores} "
                  f"{time.time() - began:.0f} s", flush=True)  # fmt: skip


# Writing.


def write_checkpoint(folder, model):
    """One safetensors file in bfloat16."""
    header, chunks, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, weight in model.state_dict().items():
        raw = weight.detach().to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        header[name] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [offset, offset + len(raw)]}
        chunks.append(raw)
        offset += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "hybrid_config.json", HYBRID)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_tokenizer(folder, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "clean_up_tokenization_spaces": True,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": MAX_POSITIONS,
    }
    write_json(folder / "tokenizer_config.json", settings)


TASK_FILE = """task: demo_{task}
tag: demo_tasks
dataset_path: zeval/demo_{task}
training_split: train
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{story}}}}\\nQuestion: {{{{question}}}}\\nAnswer: {{{{lead}}}}"
doc_to_target: label
doc_to_choice: choices
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
GROUP_FILE = """group: demo
task:
  - demo_recall
  - demo_where
  - demo_order
aggregate_metric_list:
  - metric: acc
    aggregation: mean
    weight_by_size: true
metadata:
  version: 1.0
"""


def evaluation_documents(task, split, count):
    rng = random.Random(f"{task}/{split}")
    documents, seen = [], set()
    while len(documents) < count:
        document = make_document(rng, task, rng.choice([4, 5, 6]), split == "test")
        if prompt_of(document) not in seen:
            seen.add(prompt_of(document))
            documents.append(document)
    return documents


def write_tasks(out, sizes):
    (out / "tasks").mkdir(parents=True, exist_ok=True)
    (out / "tasks" / "demo.yaml").write_text(GROUP_FILE)
    for task in TASKS:
        (out / "tasks" / f"demo_{task}.yaml").write_text(TASK_FILE.format(task=task))
        folder = out / "data" / "zeval" / f"demo_{task}" / "default"
        folder.mkdir(parents=True, exist_ok=True)
        for split, count in sizes.items():
            lines = [json.dumps(document) + "\n" for document in evaluation_documents(task, split, count)]
            (folder / f"{split}.jsonl").write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("zoo/demo"), help="folder to write")
    parser.add_argument("--minutes", type=float, default=60, help="give up after this long")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)  # one thread sums in one order

    tokenizer = train_tokenizer(CONFIG["vocab_size"])
    write_tokenizer(options.out / "model", tokenizer)
    write_tasks(options.out, {"test": 150, "train": 30})
    probes = {task: evaluation_documents(task, "test", 40) for task in TASKS}
    torch.manual_seed(7)
    model = Hybrid()
    train(model, tokenizer, probes, options.minutes, options.steps, options.batch, options.rate)
    train(model, tokenizer, probes, options.minutes, options.steps // 4, options.batch, options.rate / 2, hardening=True)
    write_checkpoint(options.out / "model", model)
    for task in TASKS:
        print(f"demo_{task}: {accuracy(model, tokenizer, evaluation_documents(task, 'test', 150)):.3f}")


if __name__ == "__main__":
    main()
