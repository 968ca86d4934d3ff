/* Any text as a model's configuration: the bytes before the first NUL are config.json, those up to the next
 * one are a side file, and so on. Every family that wants that many side files reads them. What is accepted
 * must lie within the bounds that the layers count on. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shapes(const ModelConfig *config) {
    const Mamba2Config *mamba2 = &config->mamba2;
    const LlambaConfig *llamba = &config->llamba;
    if (has_mixer(config, MIXER_ATTENTION) &&
        (config->attention.n_heads % config->attention.n_kv_heads || config->rope.width < 2 ||
         config->rope.width > config->attention.head_dim || config->attention.window < 0))
        abort();
    if (has_mixer(config, MIXER_MLA) && config->mla.n_heads % config->mla.n_kv_heads)
        abort();
    if (has_mixer(config, MIXER_MAMBA2) &&
        (mamba2->n_heads % mamba2->x_groups || mamba2->n_heads % mamba2->b_groups ||
         mamba2->n_heads % mamba2->c_groups || mamba2->n_heads % mamba2->norm_groups ||
         mamba2->n_heads * mamba2->head_width > CONFIG_MAX_WIDTH))
        abort();
    if (has_mixer(config, MIXER_MAMBA1) && (config->mamba1.inner % config->mamba1.shared ||
                                            config->mamba1.shared % 16 || config->mamba1.dt_rank < 1))
        abort();
    if (has_mixer(config, MIXER_LLAMBA) && (llamba->n_heads % llamba->n_groups || llamba->head_width < 1))
        abort();
}

static void check(const ModelConfig *config) {
    if (config->hidden_size < 1 || config->vocab_size < 1 || config->n_layers < 1 ||
        config->n_layers > CONFIG_MAX_LAYERS || config->rope.width < 0 || config->rope.width % 2)
        abort();
    check_shapes(config);
    if (config->rope.width > 0) {
        Rope rope;
        Error error = {0};
        rope_init(&rope, &config->rope);
        if (rope_extend(&rope, 2, &error))
            abort();
        rope_free(&rope);
    }
}

static void read_as(const Family *family, const ConfigFile *files) {
    static ModelConfig model;
    Error error = {0};
    if (family_read_config(&model, family, files, &error) == 0)
        check(&model);
    else if (error.kind == ERROR_NONE)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cJSON *parsed[FAMILY_FILES] = {0};
    ConfigFile files[FAMILY_FILES] = {{.where = "config.json"}, {.where = "one.json"}, {.where = "two.json"}};
    Error error = {0};
    size_t n = 0;
    for (bool more = true; more && n < FAMILY_FILES; n++) {
        const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
        size_t bytes = zero ? (size_t)(zero - data) : size;
        if (json_parse(&parsed[n], (const char *)data, bytes, files[n].where, &error))
            break;
        files[n].json = parsed[n];
        more = zero != NULL;
        data += bytes + more;
        size -= bytes + more;
    }
    if (n == 1) {
        const Family *family = family_of_config(parsed[0], "config.json", &error);
        if (family)
            read_as(family, files);
        else if (error.kind == ERROR_NONE)
            abort();
    } else if (n == 2) {
        read_as(&family_zebra_llama, files);
        read_as(&family_mamba_in_llama, files);
    } else if (n == 3) {
        read_as(&family_x_ecomla, files);
    }
    for (size_t i = 0; i < FAMILY_FILES; i++)
        cJSON_Delete(parsed[i]);
    return 0;
}
