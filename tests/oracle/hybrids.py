"""X-EcoMLA, MambaInLlama, Llamba and state-spaces Mamba2 in plain numpy, written from the formulas.

What they share with Zebra-Llama comes from zebra.py; like there, everything is evaluated in the type given to the
constructor, every scan is the token-by-token recurrence, and nothing is cached.
"""

import json
import math
import pathlib

import numpy as np

from checkpoint_io import read_checkpoint
from zebra import Zebra, angles, plain_frequencies, rms_norm, silu, softmax, softplus


def read_json(path):
    return json.loads(path.read_text())


class XEcoMla(Zebra):
    """Latent attention in every layer, keys and values per query head."""

    def read_side_files(self, folder):
        mla = read_json(folder / "mla_layer_config.json")
        return mla | {
            "num_key_value_heads": mla["num_attention_heads"],
            "rms_norm_eps": read_json(folder / "MLA_config.json")["rms_norm_eps"],
            "mla_layers": range(self.config["num_hidden_layers"]),
        }


def llama3_frequencies(config, width, dtype):
    base, scaling = config["rope_theta"], config.get("rope_scaling")
    plain = plain_frequencies(base, width, dtype)
    if not scaling:
        return plain
    low, high = (scaling[f"{end}_freq_factor"] for end in ("low", "high"))
    original = scaling["original_max_position_embeddings"]
    wave = dtype(2 * math.pi) / plain
    slow = plain / dtype(scaling["factor"])
    smooth = (dtype(original) / wave - dtype(low)) / dtype(high - low)
    blended = (1 - smooth) * slow + smooth * plain
    return np.where(wave > original / low, slow, np.where(wave < original / high, plain, blended)).astype(dtype)


class MambaInLlama(Zebra):
    """Attention in the listed layers, in the others Mamba2 where the mixer has groups, else Mamba1."""

    def read_side_files(self, folder):
        side = read_json(folder / "mamba_config.json")
        return side | {"d_inner": side["d_inner"] or self.config["hidden_size"]}

    def mixer(self, i, layer, u):
        if i in self.hybrid["attn_layers"]:
            return self.attention(layer, u)
        return self.mamba2(layer, u) if "ngroups" in self.hybrid["ssm_cfg"] else self.mamba1(layer, u)

    def attention(self, layer, u):
        heads, groups, length = self.config["num_attention_heads"], self.config["num_key_value_heads"], len(u)
        q, k, v = (u @ layer[f"self_attn.{name}_proj.weight"].T for name in "qkv")
        q, k, v = q.reshape(length, heads, -1), k.reshape(length, groups, -1), v.reshape(length, groups, -1)
        width = q.shape[-1]
        dtype = np.float32 if self.first else np.float64
        angle = angles(self.first, length, llama3_frequencies(self.config, width, dtype)).astype(np.float64)
        cos, sin = (f(angle).astype(self.dtype)[:, None, :] for f in (np.cos, np.sin))

        def rotate(x):
            a, b = np.split(x, 2, axis=-1)
            return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

        k, v = (np.repeat(x, heads // groups, axis=1) for x in (rotate(k), v))
        scores = np.einsum("thd,shd->hts", rotate(q), k) * self.dtype(width**-0.5)
        seen = np.tri(length, dtype=bool)
        if self.config.get("sliding_window"):
            seen &= ~np.tri(length, k=-self.config["sliding_window"], dtype=bool)
        mixed = np.einsum("hts,shd->thd", softmax(np.where(seen, scores, -np.inf)), v)
        return mixed.reshape(length, -1) @ layer["self_attn.o_proj.weight"].T

    def mamba1(self, layer, u):
        inner, narrow, states, length = self.hybrid["d_inner"], self.hybrid["d_xb"], 16, len(u)

        def linear(x, name):
            return x @ layer[f"mamba.{name}.weight"].T

        def widen(x):
            return np.repeat(x.reshape(length, narrow // states, states), inner // narrow, axis=1)

        z, c = linear(u, "in_proj_z"), linear(u, "C_proj").reshape(length, -1, states)
        x = widen(linear(u, "in_proj_x")).reshape(length, inner)
        b = widen(linear(u, "B_proj"))
        taps = layer["mamba.conv1d.weight"][:, 0, :]
        x = silu(layer["mamba.conv1d.bias"] + convolve(x, taps))
        # The bias twice: once in the projection, once in the scan.
        dt = softplus(linear(linear(u, "dt_proj_down"), "dt_proj") + 2 * layer["mamba.dt_proj.bias"])
        a = -np.exp(layer["mamba.A_log"])
        group = np.arange(inner) // states
        y, s = np.empty((length, inner), self.dtype), np.zeros((inner, states), self.dtype)
        for t in range(length):
            s = np.exp(dt[t, :, None] * a) * s + dt[t, :, None] * b[t, group] * x[t, :, None]
            y[t] = np.sum(s * c[t, group], axis=1) + layer["mamba.D"] * x[t]
        return linear(y * silu(z), "out_proj")


def convolve(x, taps):
    width = taps.shape[1]
    padded = np.concatenate([np.zeros((width - 1, x.shape[1]), x.dtype), x])
    return sum(padded[j : j + len(x)] * taps[:, j] for j in range(width))


class Backbone:
    """What Llamba and state-spaces Mamba2 have in common: names, and a config.json of their own."""

    def __init__(self, folder, dtype=np.float64):
        folder = pathlib.Path(folder)
        self.config = read_json(folder / "config.json")
        self.weights = {name: w.astype(dtype) for name, w in read_checkpoint(folder).items()}
        self.dtype = dtype

    def layer(self, i):
        prefix = f"backbone.layers.{i}."
        return {name[len(prefix) :]: w for name, w in self.weights.items() if name.startswith(prefix)}

    def project(self, h):
        names = ("lm_head.weight", "backbone.lm_head.weight", "backbone.embedding.weight")
        return h @ next(self.weights[name] for name in names if name in self.weights).T


class Llamba(Backbone):
    def logits(self, ids, first=0):
        h = self.weights["backbone.embedding.weight"][np.asarray(ids)]
        for i in range(self.config["n_layer"]):
            layer = self.layer(i)
            h = h + self.mixer(layer, rms_norm(h, layer["input_layernorm.weight"], 1e-5))
            u = rms_norm(h, layer["post_attention_layernorm.weight"], 1e-5)
            gated = silu(u @ layer["mlp.gate_proj.weight"].T) * (u @ layer["mlp.up_proj.weight"].T)
            h = h + gated @ layer["mlp.down_proj.weight"].T
        return self.project(rms_norm(h, self.weights["backbone.final_layernorm.weight"], self.config["norm_epsilon"]))

    def mixer(self, layer, u):
        ssm = self.config["ssm_cfg"]
        heads, groups, states = ssm["n_v_heads"], ssm["n_qk_heads"], ssm["d_state"]
        inner, length = ssm["expand"] * self.config["d_model"], len(u)
        projected = u @ layer["mixer.in_proj.weight"].T + layer.get("mixer.in_proj.bias", self.dtype(0))
        wide = inner + 2 * groups * states
        x_b_c, z, a = np.split(projected, [wide, wide + inner], axis=1)
        x_b_c = layer["mixer.conv1d.bias"] + convolve(x_b_c, layer["mixer.conv1d.weight"][:, 0, :])
        x, b, c = np.split(x_b_c, [inner, inner + groups * states], axis=1)
        x = x.reshape(length, heads, -1)
        b, c = (np.repeat(m.reshape(length, groups, states), heads // groups, axis=1) for m in (b, c))
        decay = np.exp(-softplus(a))
        y, s = np.empty_like(x), np.zeros((heads, x.shape[-1], states), self.dtype)
        for t in range(length):
            s = decay[t, :, None, None] * s + x[t, :, :, None] * b[t, :, None, :]
            y[t] = np.einsum("hpn,hn->hp", s, c[t]) + layer["mixer.D"][:, None] * x[t]
        gated = y.reshape(length, inner) * silu(z + layer.get("mixer.z_bias", self.dtype(0)))
        return gated @ layer["mixer.out_proj.weight"].T + layer.get("mixer.out_proj.bias", self.dtype(0))


class StateSpaces(Backbone):
    """Mamba2, and the library's own attention in the layers of attn_layer_idx."""

    def logits(self, ids, first=0):
        self.first = first
        h = self.weights["backbone.embedding.weight"][np.asarray(ids)]
        for i in range(self.config["n_layer"]):
            layer = self.layer(i)
            mixer = self.attention if i in self.config["attn_layer_idx"] else self.mixer
            h = h + mixer(layer, rms_norm(h, layer["norm.weight"], 1e-5))
        return self.project(rms_norm(h, self.weights["backbone.norm_f.weight"], 1e-5))

    def attention(self, layer, u):
        options, length = self.config["attn_cfg"], len(u)
        heads, groups, width, turned = (
            options[k] for k in ("num_heads", "num_heads_kv", "head_dim", "rotary_emb_dim")
        )
        q_k_v = u @ layer["mixer.in_proj.weight"].T
        if options["d_conv"]:
            q_k_v = layer["mixer.conv1d.bias"] + convolve(q_k_v, layer["mixer.conv1d.weight"][:, 0, :])
        q, k, v = np.split(q_k_v.reshape(length, -1, width), [heads, heads + groups], axis=1)
        dtype = np.float32 if self.first else np.float64
        angle = angles(self.first, length, plain_frequencies(10000.0, turned, dtype)).astype(np.float64)
        cos, sin = (f(angle).astype(self.dtype)[:, None, :] for f in (np.cos, np.sin))

        def rotate(x):
            a, b, rest = np.split(x, [turned // 2, turned], axis=-1)
            return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)

        k, v = (np.repeat(x, heads // groups, axis=1) for x in (rotate(k), v))
        scores = np.einsum("thd,shd->hts", rotate(q), k) * self.dtype(width**-0.5)
        mixed = np.einsum("hts,shd->thd", softmax(np.where(np.tri(length, dtype=bool), scores, -np.inf)), v)
        return mixed.reshape(length, -1) @ layer["mixer.out_proj.weight"].T

    def mixer(self, layer, u):
        ssm = self.config["ssm_cfg"]
        inner, width, groups, states = 2 * self.config["d_model"], ssm["headdim"], ssm["ngroups"], ssm["d_state"]
        heads, length = inner // width, len(u)
        z, x_b_c, dt = np.split(u @ layer["mixer.in_proj.weight"].T, [inner, 2 * inner + 2 * groups * states], axis=1)
        x_b_c = silu(layer["mixer.conv1d.bias"] + convolve(x_b_c, layer["mixer.conv1d.weight"][:, 0, :]))
        x, b, c = np.split(x_b_c, [inner, inner + groups * states], axis=1)
        x = x.reshape(length, heads, width)
        b, c = (np.repeat(m.reshape(length, groups, states), heads // groups, axis=1) for m in (b, c))
        dt = softplus(dt + layer["mixer.dt_bias"])
        decay = np.exp(dt * -np.exp(layer["mixer.A_log"]))
        skip = layer["mixer.D"].reshape(heads, -1)
        y, s = np.empty_like(x), np.zeros((heads, width, states), self.dtype)
        for t in range(length):
            s = decay[t, :, None, None] * s + dt[t, :, None, None] * x[t, :, :, None] * b[t, :, None, :]
            y[t] = np.einsum("hpn,hn->hp", s, c[t]) + skip * x[t]
        gated = (y.reshape(length, inner) * silu(z)).reshape(length, groups, -1)
        gated = rms_norm(gated, np.ones(gated.shape[-1], self.dtype), 1e-5).reshape(length, inner)
        return gated * layer["mixer.norm.weight"] @ layer["mixer.out_proj.weight"].T
