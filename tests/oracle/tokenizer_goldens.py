"""Makes tests/fixtures/tokenizer/*.json with the reference implementation (PyPI `tokenizers`).

    pip install tokenizers==0.23.3
    python tests/oracle/tokenizer_goldens.py

Three tiny BPE vocabularies are trained on the text below: byte-level, byte-fallback, and one with an unknown
token. Each variant replaces parts of one of them and lists, for every text, the ids without and with special
tokens and the text that decoding gives back, with special tokens kept and skipped.
"""
import json
import os

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = """The quick brown fox jumps over the lazy dog. The dog didn't mind; it's lazy, they've said.
Once upon a time there was a little girl named Lily. She loved to play outside in the park with her ball.
In 1984, 12345 people paid $99.50 for 3.14 pies -- we'll see 007 again! int main(void) { return 0; }
    for (i = 0; i < 10; i++) { sum += i; }   HELLO World, I'M HERE; you're THERE.
Zażółć gęślą jaźń. Größe naïve café déjà vu. Москва и Россия. 你好世界 こんにちは 한국어 مرحبا שלום
He said: "What's the answer?" (forty-two). Don't worry; we can help you. a_b_c foo-bar x = y == z != w
""".splitlines()

TEXTS = [
    "", " ", "  ", "\n", "a", " a", "a ", "Hello world", "Hello  world", "   leading", "trailing   ", "\ttab\n\nnew\r\nline",
    "The quick brown fox didn't jump; it's over.", "they'LL WE'VE I'm you'Re 'S 'ſ", "In 1984, 12345 and 1234567890 \u0661\u0662 \u00bd \u2167 \u2460",
    "caf\u00e9 cafe\u0301 \u212b \ufb01 \uff21 \u0130stanbul \u1e9e", "Zażółć gęślą jaźń", "Москва", "你好世界", "こんにちは 한국어",
    "مرحبا שלום", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301\u0327 \u0328\u0302x", "\u00a0nbsp\u2003em\u3000ideographic\u180emvs\u200bzwsp\u2028ls",
    "<s>", "</s>", "a<s>b</s>c", " <s> x ", "<unk> <pad>", "<<s>>", "foo<tool>bar <tool> <tool>,<tool>", "LowerCase Token UPPERtoken uppertoken Uppertoken",
    "x  [MASK]  y[MASK]", "a_b_c foo-bar x==y!=z ...", "--- === '''", "int main(void) {\n    return 0;\n}\n", "\u2581a\u2581 b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "one,two;three.four!five?", "http://x.org/a?b=c&d=1.5e-10#frag", "\u0301start", "a\u200db c\u200cd", "tail <s>",
    "(hello)[world]{again}", "Nin\u0303o \u1100\u1161\u11a8 \uac01", "\ue000\U000f0000", "\u0085next\u000bvt\u000cff\u001cfs",
]

SPECIALS = [AddedToken("<unk>", special=True), AddedToken("<s>", special=True), AddedToken("</s>", special=True)]
LLAMA_NORMALIZER = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
LLAMA_DECODER = decoders.Sequence(
    [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")


def train(tokenizer, vocab_size, alphabet):
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    return json.loads(tokenizer.to_str())


def bases():
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    one = train(byte_level, 420, pre_tokenizers.ByteLevel.alphabet())

    fallback = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    fallback.normalizer = LLAMA_NORMALIZER
    fallback.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")  # for training only
    two = train(fallback, 180, [])
    two["pre_tokenizer"] = None
    pieces = sorted(two["model"]["vocab"], key=two["model"]["vocab"].get)
    pieces = pieces[:3] + ["<0x%02X>" % i for i in range(256)] + pieces[3:]
    two["model"]["vocab"] = {piece: i for i, piece in enumerate(pieces)}
    two["decoder"] = json.loads(LLAMA_DECODER.__getstate__())
    two["post_processor"] = json.loads(processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]).__getstate__())

    plain = Tokenizer(models.BPE(unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    three = train(plain, 160, [])
    return {"byte_level": one, "byte_fallback": two, "plain": three}


def split(pattern, behavior, invert=False, regex=True):
    return {"type": "Split", "pattern": {"Regex" if regex else "String": pattern}, "behavior": behavior, "invert": invert}


def seq(key, *items):
    return {"type": "Sequence", key: list(items)}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def metaspace(scheme, do_split):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": do_split}


def added(content, **options):
    token = {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    token.update(options)
    return token


def variants(base):
    """(name, base, replaced parts, parts of the model, extra added tokens)."""
    out = [(name, name, {}, {}, []) for name in base]

    def pre(name, *items, base_name="byte_level"):
        out.append((name, base_name, {"pre_tokenizer": seq("pretokenizers", *items)}, {}, []))

    def norm(name, *items):
        out.append((name, "byte_level", {"normalizer": seq("normalizers", *items)}, {}, []))

    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        for invert in [False, True]:
            pre("split regex %s %s" % (behavior, invert), split(r"\s+|[,;.]", behavior, invert), BYTES)
        pre("split string " + behavior, split("o", behavior, regex=False), BYTES)
    pre("split at empty matches", split(r"x*", "Isolated"), BYTES)
    pre("llama3 pattern", split(LLAMA3, "Isolated"), BYTES)
    pre("repeated braces", split(r"\p{N}{1,3}+|\p{L}{1,2}", "Isolated"), BYTES)
    pre("classes", split(r"\w+|[^\w\s]+|\h", "Isolated"), BYTES)
    pre("class not space", split(r"[\S]+?[\s]|\W", "Isolated"), BYTES)
    pre("lines", split(r"^.|(?m:e.o)", "Isolated"), BYTES)
    pre("digits one by one", {"type": "Digits", "individual_digits": True}, dict(BYTES, use_regex=True))
    pre("digits together", {"type": "Digits", "individual_digits": False}, dict(BYTES, use_regex=True))
    pre("prefix space", dict(BYTES, add_prefix_space=True, use_regex=True))
    pre("prefix space without regex", dict(BYTES, add_prefix_space=True))
    for behavior in ["Isolated", "Removed", "MergedWithPrevious"]:
        pre("punctuation " + behavior, {"type": "Punctuation", "behavior": behavior}, BYTES)
    pre("whitespace", {"type": "Whitespace"}, base_name="plain")
    pre("whitespace split", {"type": "WhitespaceSplit"}, base_name="plain")
    out.append(("fuse unknown", "plain", {}, {"fuse_unk": True}, []))
    out.append(("no unknown token", "plain", {}, {"unk_token": None}, []))
    out.append(("ignore merges", "byte_level", {}, {"ignore_merges": True}, []))
    for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]:
        norm(form, {"type": form})
    norm("strip", {"type": "Strip", "strip_left": True, "strip_right": True})
    norm("strip left", {"type": "Strip", "strip_left": True, "strip_right": False})
    norm("replace regex", {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "})
    norm("replace with nothing", {"type": "Replace", "pattern": {"String": "o"}, "content": ""},
         {"type": "Prepend", "prepend": ">"})
    for scheme in ["always", "first", "never"]:
        for do_split in [True, False]:
            parts = {"normalizer": None, "pre_tokenizer": metaspace(scheme, do_split), "decoder": metaspace(scheme, do_split)}
            out.append(("metaspace %s %s" % (scheme, do_split), "byte_fallback", parts, {}, []))
    out.append(("metaspace first after strip", "byte_fallback",
                {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}, "pre_tokenizer": metaspace("first", False)}, {}, []))
    out.append(("no decoder", "byte_fallback", {"decoder": None}, {}, []))
    out.append(("strip both ends", "byte_fallback", {"decoder": seq("decoders", {"type": "Replace", "pattern": {"Regex": "\u2581+"}, "content": " "},
                {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 2, "stop": 0})}, {}, []))
    options = [added("<tool>", single_word=True), added("UPPERtoken", normalized=True), added("uppertoken", normalized=False),
               added("[MASK]", lstrip=True, rstrip=True, normalized=False, special=True), added("dog", special=True, normalized=False),
               added("Hello", lstrip=True, normalized=False), added("Hello w", normalized=False)]
    out.append(("added tokens", "byte_level", {}, {}, options))
    out.append(("added tokens, byte fallback", "byte_fallback", {}, {}, options))
    out.append(("added tokens, metaspace", "byte_fallback", {"normalizer": None, "pre_tokenizer": metaspace("first", False)}, {}, options))
    out.append(("two templates", "byte_level", {"post_processor": seq("processors", BYTES, {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                                 {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1, 1], "tokens": ["<s>", "<s>"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}})}, {}, []))
    return out


def assemble(base, parts, model, extra):
    tokenizer = json.loads(json.dumps(base))
    tokenizer.update(parts)
    tokenizer["model"].update(model)
    next_id = len(tokenizer["model"]["vocab"])
    for token in extra:
        known = tokenizer["model"]["vocab"].get(token["content"])
        token = dict(token, id=next_id if known is None else known)
        next_id += known is None
        tokenizer["added_tokens"].append(token)
    return tokenizer


def case(engine, text):
    """ids; [1] with special tokens, if others; [2] decoded, if not the text; [3] the same without special tokens."""
    ids = engine.encode(text, add_special_tokens=False).ids
    special = engine.encode(text, add_special_tokens=True).ids
    decoded = engine.decode(special, skip_special_tokens=False)
    skipped = engine.decode(special, skip_special_tokens=True)
    return [ids, None if special == ids else special, None if decoded == text else decoded,
            None if skipped == decoded else skipped]


def main():
    folder = os.path.join(os.path.dirname(__file__), "..", "fixtures", "tokenizer")
    os.makedirs(folder, exist_ok=True)
    base = bases()
    for name, tokenizer in base.items():
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as out:
            json.dump(tokenizer, out, ensure_ascii=False, separators=(",", ":"))
            out.write("\n")
    with open(os.path.join(folder, "variants.jsonl"), "w", encoding="utf-8") as out:
        out.write(json.dumps({"texts": TEXTS}, ensure_ascii=True) + "\n")
        for name, base_name, parts, model, extra in variants(base):
            engine = Tokenizer.from_str(json.dumps(assemble(base[base_name], parts, model, extra)))
            tokenizer = assemble(base[base_name], parts, model, extra)
            line = {"name": name, "base": base_name, "parts": parts, "model": model,
                    "added_tokens": tokenizer["added_tokens"], "cases": [case(engine, text) for text in TEXTS]}
            out.write(json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
