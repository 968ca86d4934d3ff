"""Zebra-Llama (multi-head latent attention + Mamba2) in plain numpy, written from the formulas.

Everything is evaluated in the type given to the constructor: float64 for the truth, float32 to learn how much
rounding alone moves the logits. The Mamba2 part is the token-by-token recurrence, and the latent attention
expands keys and values: the slowest and plainest forms of both.
"""

import json
import math
import pathlib

import numpy as np

from checkpoint_io import read_checkpoint


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + x.dtype.type(eps)) * weight


def silu(x):
    return x / (1 + np.exp(-x))


def softplus(x):
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def yarn_gain(factor, m):
    return 1.0 if factor <= 1 else 0.1 * m * math.log(factor) + 1.0


def angles(first, length, frequencies):
    """[length, len(frequencies)]. Far from the start the reference's tables, which are float32 throughout, differ
    from exact ones by far more than the tests allow, so the frequencies given then are float32, as is the product."""
    return np.arange(first, first + length, dtype=frequencies.dtype)[:, None] * frequencies


def plain_frequencies(base, width, dtype):
    exponents = np.arange(0, width, 2, dtype=dtype) / dtype(width)
    return 1 / (base ** exponents.astype(np.float64)).astype(dtype)


def rope_of(hybrid, dtype=np.float64):
    """Inverse frequencies [r/2], the factor on cos and sin, and the factor on the softmax scale."""
    width, base = hybrid["qk_rope_head_dim"], hybrid["rope_theta"]
    plain = plain_frequencies(base, width, dtype)
    scaling = hybrid.get("rope_scaling")
    if not scaling:
        return plain, 1.0, 1.0
    factor = scaling["factor"]
    original = scaling.get("original_max_position_embeddings", 4096)

    def correction(rotations):
        return width * math.log(original / (2 * math.pi * rotations)) / (2 * math.log(base))

    low = max(math.floor(correction(scaling.get("beta_fast", 32))), 0)
    high = min(math.ceil(correction(scaling.get("beta_slow", 1))), width - 1)
    if low == high:
        high += 0.001
    ramp = np.clip((np.arange(width // 2, dtype=dtype) - dtype(low)) / dtype(high - low), 0, 1)
    keep = 1 - ramp
    frequencies = plain / dtype(factor) * (1 - keep) + plain * keep
    all_dim = scaling.get("mscale_all_dim", 0)
    gain = yarn_gain(factor, scaling.get("mscale", 1)) / yarn_gain(factor, all_dim)
    return frequencies, gain, yarn_gain(factor, all_dim) ** 2 if all_dim else 1.0


def rotate_pairs(x, cos, sin):
    """x [T, heads, r], pairs (2i, 2i+1) in, halves out."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.concatenate([even * cos - odd * sin, odd * cos + even * sin], axis=-1)


class Zebra:
    def __init__(self, folder, dtype=np.float64, silenced=()):
        """silenced: layers whose mixer contributes nothing, to see what depends on it."""
        folder = pathlib.Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        self.hybrid = self.read_side_files(folder)
        self.weights = {name: w.astype(dtype) for name, w in read_checkpoint(folder).items()}
        self.dtype = dtype
        self.silenced = set(silenced)

    def read_side_files(self, folder):
        return json.loads((folder / "hybrid_config.json").read_text())

    def mixer(self, i, layer, u):
        return self.mla(layer, u) if i in self.hybrid["mla_layers"] else self.mamba2(layer, u)

    def logits(self, ids, first=0):
        """[T, V] for one sequence whose first token stands at position `first`."""
        self.first = first
        w = self.weights
        eps = self.hybrid["rms_norm_eps"]
        h = w["model.embed_tokens.weight"][np.asarray(ids)]
        for i in range(self.config["num_hidden_layers"]):
            layer = {k[len(f"model.layers.{i}.") :]: v for k, v in w.items() if k.startswith(f"model.layers.{i}.")}
            u = rms_norm(h, layer["input_layernorm.weight"], eps)
            if i not in self.silenced:
                h = h + self.mixer(i, layer, u)
            u = rms_norm(h, layer["post_attention_layernorm.weight"], eps)
            gated = silu(u @ layer["mlp.gate_proj.weight"].T) * (u @ layer["mlp.up_proj.weight"].T)
            h = h + gated @ layer["mlp.down_proj.weight"].T
        h = rms_norm(h, w["model.norm.weight"], self.config["rms_norm_eps"])
        return h @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T

    def mla(self, layer, u):
        heads, groups = self.hybrid["num_attention_heads"], self.hybrid["num_key_value_heads"]
        n, r, v = (self.hybrid[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
        length = len(u)

        def linear(x, name):
            y = x @ layer[f"mla.{name}.weight"].T
            return y + layer[f"mla.{name}.bias"] if f"mla.{name}.bias" in layer else y

        def rank_norm(x, name):
            return rms_norm(x, layer[f"mla.{name}.weight"], 1e-6) if self.hybrid["use_lora_layer_norm"] else x

        q = linear(rank_norm(linear(u, "q_a_proj"), "q_a_layernorm"), "q_b_proj").reshape(length, heads, n + r)
        down = linear(u, "kv_a_proj_with_mqa")
        latent, k_pe = down[:, :-r], down[:, None, -r:]
        kv = linear(rank_norm(latent, "kv_a_layernorm"), "kv_b_proj").reshape(length, groups, n + v)
        kv = np.repeat(kv, heads // groups, axis=1)

        frequencies, gain, scale_gain = rope_of(self.hybrid, np.float32 if self.first else np.float64)
        angle = angles(self.first, length, frequencies)
        cos, sin = ((gain * f(angle.astype(np.float64))).astype(self.dtype)[:, None, :] for f in (np.cos, np.sin))
        q_pe, k_pe = rotate_pairs(q[..., n:], cos, sin), rotate_pairs(k_pe, cos, sin)[:, 0]

        scores = np.einsum("thn,shn->hts", q[..., :n], kv[..., :n]) + np.einsum("thr,sr->hts", q_pe, k_pe)
        scores = scores * self.dtype((n + r) ** -0.5 * scale_gain)
        scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
        mixed = np.einsum("hts,shv->thv", softmax(scores), kv[..., n:])
        return linear(mixed.reshape(length, heads * v), "out_proj")

    def mamba2(self, layer, u):
        heads, state = self.hybrid["ssm_cfg"]["ngroups"], self.hybrid["ssm_cfg"]["d_state"]
        inner, narrow = self.hybrid["d_inner"], self.hybrid["d_xb"]
        length, repeat = len(u), inner // narrow
        projected = u @ layer["mamba.in_proj.weight"].T
        z, x_b_c, dt = np.split(projected, [inner, 2 * inner + 2 * narrow], axis=1)

        taps = layer["mamba.conv1d.weight"][:, 0, :]
        width = taps.shape[1]
        padded = np.concatenate([np.zeros((width - 1, x_b_c.shape[1]), self.dtype), x_b_c])
        x_b_c = layer["mamba.conv1d.bias"] + sum(padded[j : j + length] * taps[:, j] for j in range(width))
        x, b, c = np.split(silu(x_b_c), [narrow, 2 * narrow], axis=1)
        x = np.repeat(x.reshape(length, -1, state), repeat, axis=1)
        b = np.repeat(b.reshape(length, -1, state), repeat, axis=1)
        c = c.reshape(length, heads, state)

        dt = softplus(dt + layer["mamba.dt_bias"])
        decay = np.exp(dt * -np.exp(layer["mamba.A_log"]))
        y = np.empty((length, heads, state), self.dtype)
        s = np.zeros((heads, state, state), self.dtype)
        for t in range(length):
            s = decay[t, :, None, None] * s + dt[t, :, None, None] * x[t, :, :, None] * b[t, :, None, :]
            y[t] = np.einsum("hpn,hn->hp", s, c[t]) + layer["mamba.D"][:, None] * x[t]
        gated = y * silu(z).reshape(y.shape)
        ones = np.ones(state, self.dtype)
        gated = rms_norm(gated, ones, 1e-5).reshape(length, inner) * layer["mamba.norm.weight"]
        return gated @ layer["mamba.out_proj.weight"].T
