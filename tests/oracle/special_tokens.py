"""Prints tests/fixtures/special_tokens.json: what lm-evaluation-harness (4e7e0d4) writes into its results files about the special
tokens of the demo's tokenizer under several tokenizer_config.json and special_tokens_map.json.

    PYTHONPATH=LM_EVAL_CHECKOUT python3 tests/oracle/special_tokens.py > tests/fixtures/special_tokens.json
"""
import json
import pathlib
import tempfile
import types

import transformers
from lm_eval.loggers.utils import add_tokenizer_info
from lm_eval.models.utils import configure_pad_token

TOKENIZER = pathlib.Path(__file__).parent.parent.parent / "zoo/demo/model/tokenizer.json"
BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
CASES = [
    ({**FAST, "bos_token": BEGIN, "eos_token": END}, None),
    ({**FAST, "bos_token": BEGIN, "eos_token": END, "pad_token": BEGIN}, None),
    ({**FAST, "bos_token": {"__type": "AddedToken", "content": BEGIN}, "eos_token": {"content": END, "__type": "AddedToken"}, "unk_token": BEGIN}, None),
    ({**FAST, "eos_token": END, "bos_token": None}, None),
    ({**FAST, "bos_token": BEGIN}, None),
    (FAST, None),
    (FAST, {"bos_token": BEGIN, "eos_token": {"content": END}, "pad_token": END}),
    ({"tokenizer_class": "Qwen2Tokenizer", "eos_token": END, "pad_token": END, "unk_token": None, "bos_token": None}, None),
]


def info(config, special):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        if special is not None:
            (folder / "special_tokens_map.json").write_text(json.dumps(special))
        tokenizer = configure_pad_token(transformers.AutoTokenizer.from_pretrained(folder))
        found = {}
        add_tokenizer_info(found, types.SimpleNamespace(tokenizer=tokenizer, eot_token_id=tokenizer.eos_token_id))
        del found["max_length"]
        return found


print(json.dumps([{"config": c, "map": m, "expected": info(c, m)} for c, m in CASES], indent=1))
