/* Checkpoints of real shapes with random weights: what the benchmarks run on where no published weights are.
 *
 *     build/bench/make_checkpoint SHAPE FOLDER [--dtype bfloat16|float16|float32] [--tokenizer PATH]
 *
 * Without arguments it lists the shapes. FOLDER gets config.json, the side file of a hybrid, and
 * model.safetensors: matrices normal with sigma 0.02, norms 1, and for state-space layers the values their
 * training starts from. The same shape and dtype give the same bytes everywhere. --tokenizer copies a
 * tokenizer.json, gunzipped if need be (or those tokenizer files that a folder has), so that tasks can be
 * scored as well; its vocabulary may be smaller than the model's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "runner/runner.h"

/* Sizes of a Llama trunk; a Zebra-Llama hybrid is one whose layers are latent attention or Mamba-2. */
typedef struct Shape {
    const char *name;
    int hidden, ffn, layers, heads, kv_heads, head_width, vocab;
    double rope_theta;
    const char *config;     /* further keys of config.json */
    const char *mla_layers; /* NULL: not a hybrid; else a JSON array's inside, and as a set of bits: */
    unsigned mla_bits;
    int q_rank, kv_rank, nope_width, rope_width, value_width;
} Shape;

#define LLAMA3_ROPE                                                                                          \
    "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":32.0,\"low_freq_factor\":1.0,"                    \
    "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192},\"max_position_embeddings\":131072"
#define LLAMA_1B                                                                                             \
    .hidden = 2048, .ffn = 8192, .layers = 16, .heads = 32, .kv_heads = 8, .head_width = 64,                 \
    .vocab = 128256, .rope_theta = 500000, .config = LLAMA3_ROPE
#define ZEBRA_1B .q_rank = 1344, .kv_rank = 128, .nope_width = 32, .rope_width = 32, .value_width = 64

static const Shape shapes[] = {
    {.name = "smollm2-135m",
     .hidden = 576,
     .ffn = 1536,
     .layers = 30,
     .heads = 9,
     .kv_heads = 3,
     .head_width = 64,
     .vocab = 49152,
     .rope_theta = 100000,
     .config = "\"max_position_embeddings\":8192"},
    {.name = "llama-3.2-1b", LLAMA_1B},
    {.name = "zebra-llama-1b-8mla-8mamba",
     LLAMA_1B,
     ZEBRA_1B,
     .mla_layers = "0,2,4,6,8,10,12,14",
     .mla_bits = 0x5555},
    {.name = "zebra-llama-1b-4mla-12mamba",
     LLAMA_1B,
     ZEBRA_1B,
     .mla_layers = "0,5,10,14",
     .mla_bits = 0x4421},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

typedef enum Fill { FILL_NORMAL, FILL_ONE, FILL_A_LOG, FILL_DT_BIAS } Fill;

typedef struct Maker {
    const Shape *shape;
    Dtype dtype;
    Buffer header; /* the safetensors header, without its closing brace */
    uint64_t offset;
    FILE *file; /* NULL while the header is being made */
    uint64_t random;
    uint32_t normal[1 << 16]; /* quantiles of the normal distribution, in the checkpoint's type */
} Maker;

static void stop(const Error *error) {
    fprintf(stderr, "make_checkpoint: %s\n", error->message);
    exit(1);
}

static size_t dtype_bytes(Dtype dtype) {
    return dtype == DTYPE_FLOAT32 ? 4 : 2;
}

/* The bits of a value in a type, rounded to nearest even; magnitudes here are normal in all three types. */
static uint32_t encode(Dtype dtype, double value) {
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    if (dtype == DTYPE_FLOAT32)
        return bits;
    if (dtype == DTYPE_BFLOAT16)
        return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest < 0x38800000) /* below the smallest normal half: a multiple of 2^-24 */
        return sign | (uint32_t)lrint(fabs(value) * 0x1p24);
    return sign | ((rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13);
}

/* The normal quantile at p (Acklam's rational approximation, relative error 1e-9): enough for a table. */
static double normal_quantile(double p) {
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                               1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00},
                        b[] = {-5.447609879822406e+01, 1.615858368580409e+02,  -1.556989798598866e+02,
                               6.680131188771972e+01,  -1.328068155288572e+01, 1},
                        c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                               -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00},
                        d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00, 1};
    double tail = p < 0.5 ? p : 1 - p, top = 0, bottom = 0;
    if (tail < 0.02425) {
        double q = sqrt(-2 * log(tail));
        for (int i = 0; i < 6; i++)
            top = top * q + c[i];
        for (int i = 0; i < 5; i++)
            bottom = bottom * q + d[i];
        return p < 0.5 ? top / bottom : -top / bottom;
    }
    double q = p - 0.5, r = q * q;
    for (int i = 0; i < 6; i++) {
        top = top * r + a[i];
        bottom = bottom * r + b[i];
    }
    return top * q / bottom;
}

static uint64_t next_random(Maker *maker) { /* xorshift64*, enough for weights */
    maker->random ^= maker->random >> 12;
    maker->random ^= maker->random << 25;
    maker->random ^= maker->random >> 27;
    return maker->random * 0x2545f4914f6cdd1dULL;
}

static double fill_value(Fill fill, size_t i, size_t n) {
    double part = n > 1 ? (double)i / (double)(n - 1) : 0, step = 0.001 * pow(100, part);
    if (fill == FILL_A_LOG)
        return log(1 + 15 * part);
    return fill == FILL_DT_BIAS ? log(expm1(step)) : 1;
}

static void write_values(Maker *maker, Fill fill, size_t n) {
    enum { CHUNK = 1 << 16 };
    static unsigned char bytes[CHUNK * 4];
    size_t each = dtype_bytes(maker->dtype);
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t part = n - done < CHUNK ? n - done : CHUNK;
        uint64_t bits = 0;
        for (size_t i = 0; i < part; i++, bits >>= 16) {
            if (i % 4 == 0)
                bits = next_random(maker);
            uint32_t value = fill == FILL_NORMAL ? maker->normal[bits & 0xffff]
                                                 : encode(maker->dtype, fill_value(fill, done + i, n));
            memcpy(bytes + i * each, &value, each); /* little-endian, as the format is */
        }
        if (fwrite(bytes, each, part, maker->file) != part) {
            perror("make_checkpoint");
            exit(1);
        }
    }
}

/* One tensor: into the header while there is no file, into the file afterwards. cols 0: a vector. */
static void tensor(Maker *maker, Fill fill, size_t rows, size_t cols, const char *name, int layer) {
    size_t n = rows * (cols ? cols : 1), bytes = n * dtype_bytes(maker->dtype);
    if (maker->file) {
        write_values(maker, fill, n);
        return;
    }
    char prefix[64] = "model.";
    if (layer >= 0)
        snprintf(prefix, sizeof prefix, "model.layers.%d.", layer);
    static const char *const stored[] = {
        [DTYPE_FLOAT32] = "F32", [DTYPE_BFLOAT16] = "BF16", [DTYPE_FLOAT16] = "F16"};
    bool convolution = strstr(name, "conv1d.weight") != NULL;
    buffer_printf(&maker->header, ",\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%zu", prefix, name,
                  stored[maker->dtype], rows);
    if (cols)
        buffer_printf(&maker->header, convolution ? ",1,%zu" : ",%zu", cols);
    buffer_printf(&maker->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)maker->offset,
                  (unsigned long long)(maker->offset + bytes));
    maker->offset += bytes;
}

static void attention_tensors(Maker *maker, int layer) {
    const Shape *s = maker->shape;
    size_t d = (size_t)s->hidden, q = (size_t)(s->heads * s->head_width),
           kv = (size_t)(s->kv_heads * s->head_width);
    tensor(maker, FILL_NORMAL, q, d, "self_attn.q_proj.weight", layer);
    tensor(maker, FILL_NORMAL, kv, d, "self_attn.k_proj.weight", layer);
    tensor(maker, FILL_NORMAL, kv, d, "self_attn.v_proj.weight", layer);
    tensor(maker, FILL_NORMAL, d, q, "self_attn.o_proj.weight", layer);
}

static void mla_tensors(Maker *maker, int layer) {
    const Shape *s = maker->shape;
    size_t d = (size_t)s->hidden, rank = (size_t)s->q_rank, latent = (size_t)s->kv_rank;
    tensor(maker, FILL_NORMAL, rank, d, "mla.q_a_proj.weight", layer);
    tensor(maker, FILL_NORMAL, (size_t)(s->heads * (s->nope_width + s->rope_width)), rank,
           "mla.q_b_proj.weight", layer);
    tensor(maker, FILL_NORMAL, latent + (size_t)s->rope_width, d, "mla.kv_a_proj_with_mqa.weight", layer);
    tensor(maker, FILL_NORMAL, (size_t)(s->kv_heads * (s->nope_width + s->value_width)), latent,
           "mla.kv_b_proj.weight", layer);
    tensor(maker, FILL_NORMAL, d, (size_t)(s->heads * s->value_width), "mla.out_proj.weight", layer);
}

static void mamba2_tensors(Maker *maker, int layer) {
    const Shape *s = maker->shape;
    size_t d = (size_t)s->hidden, heads = (size_t)s->heads, inner = heads * (size_t)s->head_width,
           xb = (size_t)(s->kv_heads * s->head_width), channels = inner + 2 * xb;
    tensor(maker, FILL_NORMAL, 2 * inner + 2 * xb + heads, d, "mamba.in_proj.weight", layer);
    tensor(maker, FILL_NORMAL, channels, 4, "mamba.conv1d.weight", layer);
    tensor(maker, FILL_NORMAL, channels, 0, "mamba.conv1d.bias", layer);
    tensor(maker, FILL_DT_BIAS, heads, 0, "mamba.dt_bias", layer);
    tensor(maker, FILL_A_LOG, heads, 0, "mamba.A_log", layer);
    tensor(maker, FILL_ONE, heads, 0, "mamba.D", layer);
    tensor(maker, FILL_ONE, inner, 0, "mamba.norm.weight", layer);
    tensor(maker, FILL_NORMAL, d, inner, "mamba.out_proj.weight", layer);
}

static void all_tensors(Maker *maker) {
    const Shape *s = maker->shape;
    size_t d = (size_t)s->hidden, ffn = (size_t)s->ffn;
    tensor(maker, FILL_NORMAL, (size_t)s->vocab, d, "embed_tokens.weight", -1);
    for (int i = 0; i < s->layers; i++) {
        tensor(maker, FILL_ONE, d, 0, "input_layernorm.weight", i);
        if (!s->mla_layers)
            attention_tensors(maker, i);
        else if (s->mla_bits >> i & 1)
            mla_tensors(maker, i);
        else
            mamba2_tensors(maker, i);
        tensor(maker, FILL_ONE, d, 0, "post_attention_layernorm.weight", i);
        tensor(maker, FILL_NORMAL, ffn, d, "mlp.gate_proj.weight", i);
        tensor(maker, FILL_NORMAL, ffn, d, "mlp.up_proj.weight", i);
        tensor(maker, FILL_NORMAL, d, ffn, "mlp.down_proj.weight", i);
    }
    tensor(maker, FILL_ONE, d, 0, "norm.weight", -1);
}

static void write_weights(Maker *maker, const char *folder) {
    char *path = path_join(folder, "model.safetensors");
    for (int i = 0; i < 1 << 16; i++)
        maker->normal[i] = encode(maker->dtype, 0.02 * normal_quantile((i + 0.5) / (1 << 16)));
    buffer_append_text(&maker->header, "{\"__metadata__\":{\"format\":\"pt\"}");
    all_tensors(maker);
    buffer_append_char(&maker->header, '}');
    while (maker->header.size % 8)
        buffer_append_char(&maker->header, ' ');
    uint64_t length = maker->header.size;
    maker->file = fopen(path, "wb");
    if (!maker->file || fwrite(&length, sizeof length, 1, maker->file) != 1 ||
        fwrite(maker->header.data, 1, length, maker->file) != length) {
        perror(path);
        exit(1);
    }
    all_tensors(maker);
    if (fclose(maker->file)) {
        perror(path);
        exit(1);
    }
    printf("%s: %.1f MB of weights\n", path, (double)maker->offset * 1e-6);
    free(path);
}

static void write_text(const char *folder, const char *name, const Buffer *text) {
    Error error = {0};
    char *path = path_join(folder, name);
    if (file_write_atomic(path, text->data, text->size, &error))
        stop(&error);
    free(path);
}

static void write_configs(const Shape *s, Dtype dtype, const char *folder) {
    Buffer text = {0};
    buffer_printf(&text,
                  "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":%d,"
                  "\"intermediate_size\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":%d,"
                  "\"num_key_value_heads\":%d,\"head_dim\":%d,\"vocab_size\":%d,\"rope_theta\":%.1f,%s,"
                  "\"hidden_act\":\"silu\",\"rms_norm_eps\":1e-05,\"tie_word_embeddings\":true,"
                  "\"bos_token_id\":0,\"eos_token_id\":0,\"torch_dtype\":\"%s\"}\n",
                  s->hidden, s->ffn, s->layers, s->heads, s->kv_heads, s->head_width, s->vocab, s->rope_theta,
                  s->config, dtype_name(dtype));
    write_text(folder, "config.json", &text);
    buffer_clear(&text);
    if (s->mla_layers) {
        buffer_printf(&text,
                      "{\"hidden_size\":%d,\"d_model\":%d,\"intermediate_size\":%d,\"hidden_act\":\"silu\","
                      "\"n_layer\":%d,\"mla_layers\":[%s],\"rms_norm_eps\":1e-05,\"num_attention_heads\":%d,"
                      "\"num_key_value_heads\":%d,\"q_lora_rank\":%d,\"kv_lora_rank\":%d,",
                      s->hidden, s->hidden, s->ffn, s->layers, s->mla_layers, s->heads, s->kv_heads,
                      s->q_rank, s->kv_rank);
        buffer_printf(&text,
                      "\"qk_rope_head_dim\":%d,\"qk_nope_head_dim\":%d,\"v_head_dim\":%d,"
                      "\"use_lora_layer_norm\":false,\"use_full_kv_head\":false,\"attention_bias\":false,"
                      "\"max_position_embeddings\":131072,\"rope_theta\":%.1f,"
                      "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":32.0,"
                      "\"original_max_position_embeddings\":8192},\"d_inner\":%d,\"d_xb\":%d,"
                      "\"ssm_cfg\":{\"expand\":1,\"ngroups\":%d,\"d_state\":%d,"
                      "\"repeat_kv_before_conv\":false}}\n",
                      s->rope_width, s->nope_width, s->value_width, s->rope_theta, s->heads * s->head_width,
                      s->kv_heads * s->head_width, s->heads, s->head_width);
        write_text(folder, "hybrid_config.json", &text);
    }
    buffer_free(&text);
}

/* Copies PATH as tokenizer.json, or the tokenizer files of the folder PATH; .gz is unpacked. */
static void copy_tokenizer(const char *path, const char *folder) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                        "tokenizer.model", NULL};
    Error error = {0};
    int n_copied = 0;
    for (const char *const *name = names; *name; name++) {
        char *plain = file_is_directory(path) ? path_join(path, *name) : mem_strdup(path);
        Buffer packed = {0}, text = {0};
        buffer_printf(&packed, "%s.gz", plain);
        const char *from = file_exists(plain) ? plain : packed.data;
        if (file_exists(from)) {
            if (file_read(&text, from, (size_t)1 << 28, &error))
                stop(&error);
            write_text(folder, *name, &text);
            n_copied++;
        }
        buffer_free(&text);
        buffer_free(&packed);
        free(plain);
        if (!file_is_directory(path))
            break;
    }
    if (!n_copied) {
        error_set(&error, "%s: no tokenizer file is there", path);
        stop(&error);
    }
}

static int usage(void) {
    fprintf(stderr, "usage: make_checkpoint SHAPE FOLDER [--dtype bfloat16|float16|float32] "
                    "[--tokenizer PATH]\nshapes:");
    for (int i = 0; i < N_SHAPES; i++)
        fprintf(stderr, " %s", shapes[i].name);
    fprintf(stderr, "\n");
    return 2;
}

int main(int argc, char **argv) {
    Error error = {0};
    static Maker maker = {.dtype = DTYPE_BFLOAT16, .random = 0x9e3779b97f4a7c15ULL};
    const char *tokenizer = NULL;
    for (int i = 0; argc > 2 && i < N_SHAPES; i++)
        if (strcmp(argv[1], shapes[i].name) == 0)
            maker.shape = &shapes[i];
    if (!maker.shape || argc % 2 == 0)
        return usage();
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--tokenizer") == 0)
            tokenizer = argv[i + 1];
        else if (strcmp(argv[i], "--dtype"))
            return usage();
        else if (dtype_parse(argv[i + 1], &maker.dtype, &error))
            stop(&error);
    }
    if (file_make_directories(argv[2], &error))
        stop(&error);
    write_configs(maker.shape, maker.dtype, argv[2]);
    if (tokenizer)
        copy_tokenizer(tokenizer, argv[2]);
    write_weights(&maker, argv[2]);
    buffer_free(&maker.header);
    return 0;
}
