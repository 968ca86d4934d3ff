/* dataset_kwargs of tasks whose rows lie in files of the user's own: load_dataset's "json", "csv" and
 * "parquet". */
#include <string.h>

#include "base/text.h"
#include "tasks/config_scoring.h"
#include "tasks/dataset.h"

static bool is_names(const Value *value) {
    if (value->kind == VALUE_STRING)
        return true;
    for (size_t i = 0; value->kind == VALUE_LIST && i < value->n; i++)
        if (value->as.items[i].kind != VALUE_STRING)
            return false;
    return value->kind == VALUE_LIST && value->n > 0;
}

static int check_files(const Reader *reader, const Key *key, const Value *files) {
    bool good = is_names(files);
    if (files->kind == VALUE_DICT) {
        good = files->n > 0;
        for (size_t i = 0; i < files->n; i++)
            good &= is_names(&files->as.pairs[i].value);
    }
    return good ? 0
                : config_fail(
                      reader, key,
                      "data_files: a file's name, a list of names, or splits with either was expected");
}

int config_data_files(const Reader *reader, TaskConfig *out) {
    static const char *const without_effect[] = {"trust_remote_code", "verification_mode", "cache_dir",
                                                 "keep_in_memory", "download_mode"};
    Key key = config_key(reader, "dataset_kwargs");
    if (!dataset_reads_files(out->dataset_path) || !key.value)
        return 0;
    if (key.value->kind != VALUE_DICT)
        return config_fail(reader, &key, "found %s; a mapping was expected",
                           value_kind_name(key.value->kind));
    for (size_t i = 0; i < key.value->n; i++) {
        const ValuePair *pair = &key.value->as.pairs[i];
        size_t k = 0, n = sizeof without_effect / sizeof *without_effect;
        while (k < n && strcmp(without_effect[k], pair->key) != 0)
            k++;
        if (strcmp(pair->key, "data_files") == 0)
            out->data_files = &pair->value;
        else if (k == n && value_truth(&pair->value))
            return config_fail(reader, &key, "'%.100s' is not supported; data_files is", pair->key);
    }
    return out->data_files ? check_files(reader, &key, out->data_files) : 0;
}
