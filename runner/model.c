/* Puts a model together: config, checkpoint, layers, and where each layer's memory lies in a State. */
#include "runner/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const MixerType *const mixer_types[] = {[MIXER_ATTENTION] = &mixer_attention,
                                               [MIXER_MLA] = &mixer_mla,
                                               [MIXER_MAMBA2] = &mixer_mamba2,
                                               [MIXER_MAMBA1] = &mixer_mamba1,
                                               [MIXER_LLAMBA] = &mixer_llamba};
static const MlpType *const mlp_types[] = {
    [MLP_SWIGLU] = &mlp_swiglu, [MLP_SQUARED_RELU] = &mlp_squared_relu};

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static int load_layer(Model *model, size_t i, Error *error) {
    const ModelConfig *config = &model->config;
    const TensorNames *names = &config->names;
    Layer *layer = &model->layers[i];
    MixerKind kind = config->mixers[i];
    char layer_prefix[128], prefix[256];
    snprintf(layer_prefix, sizeof layer_prefix, "%s%zu.", names->layers, i);
    if (norm_load(&layer->input_norm, config, config->norm_eps, &model->checkpoint, layer_prefix,
                  names->input_norm, error) ||
        mixer_types[kind]->load(&layer->mixer, config, i, &model->checkpoint,
                                tensor_name(prefix, layer_prefix, names->mixer[kind]), error))
        return -1;
    layer->type = mixer_types[kind];
    Place place = {model->block_floats, layer->type->cache_floats(layer->mixer) * BLOCK_TOKENS,
                   model->recurrent_floats, layer->type->recurrent_floats(layer->mixer)};
    layer->place = place;
    model->block_floats += place.cache_floats;
    model->recurrent_floats += place.recurrent_floats;
    model->layer.cache_floats = larger(model->layer.cache_floats, place.cache_floats);
    model->layer.recurrent_floats = larger(model->layer.recurrent_floats, place.recurrent_floats);
    model->workspace_floats = larger(model->workspace_floats, layer->type->workspace_floats(layer->mixer));
    if (config->mlp == MLP_NONE)
        return 0;
    const MlpType *mlp = mlp_types[config->mlp];
    if (norm_load(&layer->post_norm, config, config->norm_eps, &model->checkpoint, layer_prefix,
                  names->post_norm, error) ||
        mlp->load(&layer->mlp, config, &model->checkpoint, tensor_name(prefix, layer_prefix, names->mlp),
                  error))
        return -1;
    layer->mlp_type = mlp;
    model->workspace_floats = larger(model->workspace_floats, mlp->workspace_floats(layer->mlp));
    return 0;
}

/* An output matrix of its own if there is one; else the embedding, if the config ties them. */
static int load_head(Model *model, Error *error) {
    const ModelConfig *config = &model->config;
    const char *name = config->names.head, *other = config->names.other_head;
    if (other && checkpoint_find(&model->checkpoint, other))
        name = other;
    if (checkpoint_find(&model->checkpoint, name))
        return matrix_load(&model->head, &model->head_owned, config, &model->checkpoint, name,
                           config->vocab_size, config->hidden_size, error);
    if (!config->tied_head)
        return error_set(error,
                         "%s: tensor %s is missing, and config.json does not tie it to the embedding "
                         "(tie_word_embeddings)",
                         model->checkpoint.folder, config->names.head);
    model->head = model->embedding;
    return 0;
}

static int load_embedding(Model *model, Error *error) {
    const ModelConfig *config = &model->config;
    const char *name = config->names.embedding;
    if (checkpoint_weight(&model->checkpoint, name, config->vocab_size, config->hidden_size,
                          &model->embedding, error))
        return -1;
    model->stored_dtype = model->embedding.dtype;
    return config->dtype == DTYPE_BFLOAT16
               ? weight_to_bfloat16(&model->embedding, &model->embedding_owned, name, error)
               : 0;
}

static int load_all(Model *model, const char *folder, Dtype dtype, Error *error) {
    const ModelConfig *config = &model->config;
    if (model_config_read(&model->config, folder, error))
        return -1;
    model->config.dtype = dtype;
    if (checkpoint_open(&model->checkpoint, folder, error) || load_embedding(model, error) ||
        norm_load(&model->final_norm, config, config->final_norm_eps, &model->checkpoint, "",
                  config->names.final_norm, error) ||
        load_head(model, error))
        return -1;
    /* Models of mixers alone come from a library that keeps the sum in float32 (residual_in_fp32). */
    model->float32_residual = config->mlp == MLP_NONE;
    model->n_layers = (size_t)config->n_layers;
    model->layers = mem_alloc_zero(model->n_layers, sizeof *model->layers);
    for (size_t i = 0; i < model->n_layers; i++)
        if (load_layer(model, i, error))
            return -1;
    model->n_parameters = checkpoint_used_elements(&model->checkpoint);
    return checkpoint_check_all_used(&model->checkpoint, config->names.ignored, error);
}

int model_open(Model *out, const char *folder, Dtype dtype, Error *error) {
    memset(out, 0, sizeof *out);
    if (load_all(out, folder, dtype, error) == 0)
        return 0;
    model_close(out);
    return -1;
}

void model_close(Model *model) {
    for (size_t i = 0; i < model->n_layers; i++) {
        Layer *layer = &model->layers[i];
        norm_free(&layer->input_norm);
        norm_free(&layer->post_norm);
        if (layer->type)
            layer->type->free(layer->mixer);
        if (layer->mlp_type)
            layer->mlp_type->free(layer->mlp);
    }
    free(model->layers);
    free(model->embedding_owned);
    free(model->head_owned);
    norm_free(&model->final_norm);
    checkpoint_close(&model->checkpoint);
    memset(model, 0, sizeof *model);
}
