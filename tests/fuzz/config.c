/* Any text as a model's configuration: the bytes before the first NUL are config.json, those after it, where
 * there is one, are hybrid_config.json. What is accepted must lie within the bounds that the layers count on.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const ModelConfig *config) {
    if (config->hidden_size < 1 || config->vocab_size < 1 || config->n_layers < 1 ||
        config->n_layers > CONFIG_MAX_LAYERS || config->rope.width < 0 || config->rope.width % 2)
        abort();
    if (config->rope.width > 0) {
        Rope rope;
        Error error = {0};
        rope_init(&rope, &config->rope);
        if (rope_extend(&rope, 2, &error))
            abort();
        rope_free(&rope);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ModelConfig model;
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t first = zero ? (size_t)(zero - data) : size;
    cJSON *config = NULL, *side = NULL;
    Error error = {0};
    const Family *family = NULL;
    if (json_parse(&config, (const char *)data, first, "config.json", &error))
        return 0;
    if (zero &&
        json_parse(&side, (const char *)zero + 1, size - first - 1, "hybrid_config.json", &error) == 0)
        family = &family_zebra_llama;
    else
        family = family_of_architecture(config, "config.json", &error);
    if (family &&
        family_read_config(&model, config, "config.json", family, side, "hybrid_config.json", &error) == 0)
        check(&model);
    else if (error.kind == ERROR_NONE)
        abort();
    cJSON_Delete(config);
    cJSON_Delete(side);
    return 0;
}
