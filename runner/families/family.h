/* Model families: each is one entry of a table saying how to recognise its checkpoints and how to read their
 * configuration. Adding a family adds a file with its entry. */
#ifndef ZEVAL_RUNNER_FAMILIES_FAMILY_H
#define ZEVAL_RUNNER_FAMILIES_FAMILY_H

#include <cjson/cJSON.h>

#include "runner/model_config.h"

typedef struct Family {
    const char *name;
    const char *side_file; /* a file whose presence makes a checkpoint this family's; NULL: by architecture */
    const char *architecture; /* the word in config.json's "architectures", where side_file is NULL */
    /* Fills *out from config.json and the side file (NULL if the family has none). */
    int (*read)(ModelConfig *out, const cJSON *config, const char *where, const cJSON *side,
                const char *side_where, Error *error);
} Family;

extern const Family family_llama, family_zebra_llama;

/* model_config_read once the files are in memory: `side_names` and `sides` list the JSON files of the folder
 * that some family wants. */
int family_read_config(ModelConfig *out, const cJSON *config, const char *where, const Family *family,
                       const cJSON *side, const char *side_where, Error *error);
/* The family of a config.json without side files; NULL with an Error naming what was found and what is
 * supported. */
const Family *family_of_architecture(const cJSON *config, const char *where, Error *error);

/* Fields that several families share. */
int read_common_fields(ModelConfig *out, const cJSON *config, const char *where, Error *error);
/* rms_norm_eps; absent leaves *out as it is. */
int read_norm_eps(const cJSON *object, double *out, const char *where, Error *error);
/* A number that must be finite and positive; absent leaves *out as it is. */
int read_positive(const cJSON *object, const char *key, double *out, const char *where, Error *error);
/* rope_theta and rope_scaling, or the newer rope_parameters that holds both. `width` is a head's rotated
 * part. */
int read_rope(RopeConfig *out, const cJSON *config, int64_t width, const char *where, Error *error);

#endif
