"""The hybrids in bfloat16, in PyTorch: the formulas of zebra.py and hybrids.py with a rounding wherever the published
modules store a tensor in the model's dtype.

Linear layers, norms, the rotation, residual sums and gates are PyTorch's own operations on bfloat16 tensors.
Attention takes its softmax in float32 and rounds the probabilities, as the fused kernels do; convolutions and scans
run in float32 on rounded inputs and round their outputs. As after model.to(torch.bfloat16), every weight is rounded.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

import hybrids
import zebra
from checkpoint_io import round_to

BF16, F32 = torch.bfloat16, torch.float32


def rms_once(x, weight, eps):
    x = x.to(F32)
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight.to(F32)).to(BF16)


def rms_twice(x, weight, eps):
    wide = x.to(F32)
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(BF16)


def rotate_halves(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    turned = torch.cat([-b, a], dim=-1)
    return x * torch.cat([cos, cos], dim=-1) + turned * torch.cat([sin, sin], dim=-1)


def attend(q, k, v, scale, window=None):
    """q, k, v [T, heads, width]; returns [T, heads * value width]."""
    length = len(q)
    scores = torch.einsum("thd,shd->hts", q.to(F32), k.to(F32)) * scale
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    if window:
        seen &= torch.ones(length, length, dtype=torch.bool).triu(1 - window)
    weights = scores.masked_fill(~seen, -math.inf).softmax(-1).to(BF16)
    return torch.einsum("hts,shd->thd", weights.to(F32), v.to(F32)).to(BF16).reshape(length, -1)


def convolve(x, weight, bias, silu):
    wide = F.conv1d(x.to(F32).T[None], weight.to(F32), bias.to(F32), padding=weight.shape[-1] - 1, groups=x.shape[1])
    wide = wide[0, :, : len(x)].T
    return (F.silu(wide) if silu else wide).to(BF16)


def scan(x, b, c, step, decay):
    """x [T, heads, P], b and c [T, heads, N], step and decay [T, heads], all float32."""
    y, s = torch.empty_like(x), torch.zeros(x.shape[1], x.shape[2], b.shape[2])
    for t in range(len(x)):
        s = decay[t, :, None, None] * s + (step[t, :, None] * x[t])[:, :, None] * b[t, :, None, :]
        y[t] = torch.einsum("hpn,hn->hp", s, c[t])
    return y


def swiglu(layer, u):
    gate, up = F.linear(u, layer["mlp.gate_proj.weight"]), F.linear(u, layer["mlp.up_proj.weight"])
    return F.linear(F.silu(gate) * up, layer["mlp.down_proj.weight"])


def tables(angle, gain=1.0):
    """cos and sin [T, 1, width / 2]."""
    angle = torch.from_numpy(np.asarray(angle, dtype=np.float64))
    return ((gain * f(angle)).to(BF16)[:, None, :] for f in (torch.cos, torch.sin))


class Rounded:
    """Mixed into a float64 model: weights become bfloat16 tensors."""

    def __init__(self, folder):
        super().__init__(folder, np.float32)
        self.weights = {name: torch.from_numpy(w).to(BF16) for name, w in self.weights.items()}

    def layer(self, i, prefix):
        prefix = f"{prefix}{i}."
        return {name[len(prefix) :]: w for name, w in self.weights.items() if name.startswith(prefix)}


class Blocks(Rounded):
    """Zebra-Llama, X-EcoMLA and MambaInLlama: norms of mamba_ssm's kernel in the layers, of the base model at the end."""

    def logits(self, ids, first=0):
        self.first, w, eps = first, self.weights, self.hybrid["rms_norm_eps"]
        h = w["model.embed_tokens.weight"][torch.tensor(ids)]
        for i in range(self.config["num_hidden_layers"]):
            layer = self.layer(i, "model.layers.")
            h = h + self.mixer(i, layer, rms_once(h, layer["input_layernorm.weight"], eps))
            h = h + swiglu(layer, rms_once(h, layer["post_attention_layernorm.weight"], eps))
        h = rms_twice(h, w["model.norm.weight"], self.config["rms_norm_eps"])
        return F.linear(h, w.get("lm_head.weight", w["model.embed_tokens.weight"])).to(F32).numpy()

    def angles(self, length, frequencies):
        return zebra.angles(self.first, length, frequencies)

    def mla(self, layer, u):
        heads, groups = self.hybrid["num_attention_heads"], self.hybrid["num_key_value_heads"]
        n, r, v = (self.hybrid[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
        length = len(u)

        def linear(x, name):
            return F.linear(x, layer[f"mla.{name}.weight"], layer.get(f"mla.{name}.bias"))

        def rank_norm(x, name):
            return rms_twice(x, layer[f"mla.{name}.weight"], 1e-6) if self.hybrid["use_lora_layer_norm"] else x

        q = linear(rank_norm(linear(u, "q_a_proj"), "q_a_layernorm"), "q_b_proj").view(length, heads, n + r)
        down = linear(u, "kv_a_proj_with_mqa")
        kv = linear(rank_norm(down[:, :-r], "kv_a_layernorm"), "kv_b_proj").view(length, groups, n + v)
        kv = kv.repeat_interleave(heads // groups, dim=1)
        frequencies, gain, scale_gain = zebra.rope_of(self.hybrid, np.float32)
        cos, sin = tables(self.angles(length, frequencies), gain)

        def rotate(x):
            return rotate_halves(torch.cat([x[..., 0::2], x[..., 1::2]], dim=-1), cos, sin)

        k_pe = rotate(down[:, None, -r:]).expand(length, heads, r)
        q = torch.cat([q[..., :n], rotate(q[..., n:])], dim=-1)
        mixed = attend(q, torch.cat([kv[..., :n], k_pe], dim=-1), kv[..., n:], (n + r) ** -0.5 * scale_gain)
        return linear(mixed, "out_proj")

    def attention(self, layer, u):
        heads, groups, length = self.config["num_attention_heads"], self.config["num_key_value_heads"], len(u)
        q, k, v = (F.linear(u, layer[f"self_attn.{name}_proj.weight"]) for name in "qkv")
        q, k, v = q.view(length, heads, -1), k.view(length, groups, -1), v.view(length, groups, -1)
        width = q.shape[-1]
        # The cast of the whole module, which made the weights bfloat16, made this buffer so, too.
        frequencies = round_to("BF16", hybrids.llama3_frequencies(self.config, width, np.float32))
        cos, sin = tables(zebra.angles(self.first, length, frequencies))
        k, v = (x.repeat_interleave(heads // groups, dim=1) for x in (rotate_halves(k, cos, sin), v))
        mixed = attend(rotate_halves(q, cos, sin), k, v, width**-0.5, self.config.get("sliding_window"))
        return F.linear(mixed, layer["self_attn.o_proj.weight"])

    def mamba2(self, layer, u):
        heads, state = self.hybrid["ssm_cfg"]["ngroups"], self.hybrid["ssm_cfg"]["d_state"]
        inner, narrow = self.hybrid["d_inner"], self.hybrid["d_xb"]
        length, repeat = len(u), inner // narrow
        z, x_b_c, dt = F.linear(u, layer["mamba.in_proj.weight"]).split([inner, inner + 2 * narrow, heads], dim=1)
        x_b_c = convolve(x_b_c, layer["mamba.conv1d.weight"], layer["mamba.conv1d.bias"], True).to(F32)
        x, b, c = x_b_c.split([narrow, narrow, inner], dim=1)
        x, b = (m.view(length, -1, state).repeat_interleave(repeat, dim=1) for m in (x, b))
        return self.gated(layer, "mamba.", x, b, c.view(length, heads, state), dt, z, heads)

    def gated(self, layer, prefix, x, b, c, dt, z, groups):
        """The scan, the skip, the gate and the norm of each group."""
        length, inner = z.shape
        dt = F.softplus(dt.to(F32) + layer[prefix + "dt_bias"].to(F32))
        y = scan(x, b, c, dt, torch.exp(dt * -torch.exp(layer[prefix + "A_log"].to(F32))))
        skip = layer[prefix + "D"].to(F32).view(x.shape[1], -1)
        y = (y + skip * x).reshape(length, inner).to(BF16)
        gated = (y.to(F32) * F.silu(z.to(F32))).view(length, groups, -1)
        gated = gated * torch.rsqrt(gated.pow(2).mean(-1, keepdim=True) + 1e-5)
        gated = (gated.view(length, inner) * layer[prefix + "norm.weight"].to(F32)).to(BF16)
        return F.linear(gated, layer[prefix + "out_proj.weight"])

    def mamba1(self, layer, u):
        inner, narrow, states, length = self.hybrid["d_inner"], self.hybrid["d_xb"], 16, len(u)

        def linear(x, name, bias=None):
            return F.linear(x, layer[f"mamba.{name}.weight"], bias)

        def widen(x):
            return x.view(length, narrow // states, states).repeat_interleave(inner // narrow, dim=1)

        z, c = linear(u, "in_proj_z"), linear(u, "C_proj").view(length, -1, states).to(F32)
        x = widen(linear(u, "in_proj_x")).reshape(length, inner)
        b = widen(linear(u, "B_proj")).to(F32)
        x = convolve(x, layer["mamba.conv1d.weight"], layer["mamba.conv1d.bias"], True).to(F32)
        bias = layer["mamba.dt_proj.bias"]
        dt = F.softplus(linear(linear(u, "dt_proj_down"), "dt_proj", bias).to(F32) + bias.to(F32))
        a = -torch.exp(layer["mamba.A_log"].to(F32))
        group = torch.arange(inner) // states
        y, s = torch.empty(length, inner), torch.zeros(inner, states)
        for t in range(length):
            s = torch.exp(dt[t, :, None] * a) * s + (dt[t] * x[t])[:, None] * b[t, group]
            y[t] = (s * c[t, group]).sum(1) + layer["mamba.D"].to(F32) * x[t]
        return linear((y * F.silu(z.to(F32))).to(BF16), "out_proj")


class Zebra(Blocks, zebra.Zebra):
    def mixer(self, i, layer, u):
        return self.mla(layer, u) if i in self.hybrid["mla_layers"] else self.mamba2(layer, u)


class XEcoMla(Blocks, hybrids.XEcoMla):
    def angles(self, length, frequencies):
        if self.hybrid["rope_scaling"]:
            return super().angles(length, frequencies)
        # Without YaRN the table is made in the type of the cast buffer: positions and products are rounded, too.
        positions = torch.arange(self.first, self.first + length, dtype=BF16)
        return torch.outer(positions, torch.from_numpy(frequencies).to(BF16)).to(F32).numpy()

    def mixer(self, i, layer, u):
        return self.mla(layer, u)


class MambaInLlama(Blocks, hybrids.MambaInLlama):
    pass


class Llamba(Rounded, hybrids.Llamba):
    def logits(self, ids, first=0):
        h = self.weights["backbone.embedding.weight"][torch.tensor(ids)]
        for i in range(self.config["n_layer"]):
            layer = self.layer(i, "backbone.layers.")
            h = h + self.mixer(layer, rms_twice(h, layer["input_layernorm.weight"], 1e-5))
            h = h + swiglu(layer, rms_twice(h, layer["post_attention_layernorm.weight"], 1e-5))
        h = rms_twice(h, self.weights["backbone.final_layernorm.weight"], self.config["norm_epsilon"])
        return self.project(h).to(F32).numpy()

    def mixer(self, layer, u):
        ssm = self.config["ssm_cfg"]
        heads, groups, states = ssm["n_v_heads"], ssm["n_qk_heads"], ssm["d_state"]
        inner, length = ssm["expand"] * self.config["d_model"], len(u)
        projected = F.linear(u, layer["mixer.in_proj.weight"], layer.get("mixer.in_proj.bias"))
        x_b_c, z, a = projected.split([inner + 2 * groups * states, inner, heads], dim=1)
        x_b_c = convolve(x_b_c, layer["mixer.conv1d.weight"], layer["mixer.conv1d.bias"], False).to(F32)
        x, b, c = x_b_c.split([inner, groups * states, groups * states], dim=1)
        x = x.view(length, heads, -1)
        b, c = (m.view(length, groups, states).repeat_interleave(heads // groups, dim=1) for m in (b, c))
        y = scan(x, b, c, torch.ones(length, heads), torch.sigmoid(-a.to(F32)))
        y = (y + layer["mixer.D"].to(F32)[:, None] * x).reshape(length, inner).to(BF16)
        gate = F.silu(z + layer["mixer.z_bias"]) if "mixer.z_bias" in layer else F.silu(z)
        return F.linear(y * gate, layer["mixer.out_proj.weight"], layer.get("mixer.out_proj.bias"))


class StateSpaces(Rounded, hybrids.StateSpaces):
    """The sum over the layers stays float32 (residual_in_fp32)."""

    gated = Blocks.gated

    def logits(self, ids, first=0):
        self.first = first
        h = self.weights["backbone.embedding.weight"][torch.tensor(ids)].to(F32)
        for i in range(self.config["n_layer"]):
            layer = self.layer(i, "backbone.layers.")
            mixer = self.attention if i in self.config["attn_layer_idx"] else self.mixer
            h = h + mixer(layer, rms_once(h, layer["norm.weight"], 1e-5)).to(F32)
        return self.project(rms_once(h, self.weights["backbone.norm_f.weight"], 1e-5)).to(F32).numpy()

    def attention(self, layer, u):
        options, length = self.config["attn_cfg"], len(u)
        heads, groups, width, turned = (
            options[k] for k in ("num_heads", "num_heads_kv", "head_dim", "rotary_emb_dim")
        )
        q_k_v = F.linear(u, layer["mixer.in_proj.weight"])
        if options["d_conv"]:
            q_k_v = convolve(q_k_v, layer["mixer.conv1d.weight"], layer["mixer.conv1d.bias"], False)
        q, k, v = q_k_v.view(length, -1, width).split([heads, groups, groups], dim=1)
        frequencies = zebra.plain_frequencies(10000.0, turned, np.float32)
        cos, sin = tables(zebra.angles(self.first, length, frequencies))

        def rotate(x):
            return torch.cat([rotate_halves(x[..., :turned], cos, sin), x[..., turned:]], dim=-1)

        k, v = (x.repeat_interleave(heads // groups, dim=1) for x in (rotate(k), v))
        return F.linear(attend(rotate(q), k, v, width**-0.5), layer["mixer.out_proj.weight"])

    def mixer(self, layer, u):
        ssm = self.config["ssm_cfg"]
        inner, width, groups, states = 2 * self.config["d_model"], ssm["headdim"], ssm["ngroups"], ssm["d_state"]
        heads, length = inner // width, len(u)
        wide = inner + 2 * groups * states
        z, x_b_c, dt = F.linear(u, layer["mixer.in_proj.weight"]).split([inner, wide, heads], dim=1)
        x_b_c = convolve(x_b_c, layer["mixer.conv1d.weight"], layer["mixer.conv1d.bias"], True).to(F32)
        x, b, c = x_b_c.split([inner, groups * states, groups * states], dim=1)
        b, c = (m.view(length, groups, states).repeat_interleave(heads // groups, dim=1) for m in (b, c))
        return self.gated(layer, "mixer.", x.view(length, heads, width), b, c, dt, z, groups)
