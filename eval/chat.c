/* See chat.h. */
#include "eval/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/json.h"
#include "eval/special_tokens.h"
#include "zoo/zoo.h"

enum { TEMPLATE_BYTES_MAX = 4 << 20 };

/* The file's text if it is there, NULL if it is not. */
static int read_text(const char *folder, const char *name, char **out, Error *error) {
    char *path = path_join(folder, name);
    Buffer text = {0};
    *out = NULL;
    int result = file_exists(path) ? file_read(&text, path, TEMPLATE_BYTES_MAX, error) : 0;
    if (result == 0 && file_exists(path)) {
        buffer_append_char(&text, '\0');
        *out = buffer_take(&text);
    }
    buffer_free(&text);
    free(path);
    return result;
}

/* The template of that name ("default" if NULL) in a string or a list of {"name", "template"}; *names gathers
 * those that there are. */
static const char *pick(const cJSON *item, const char *name, Buffer *names) {
    const cJSON *named;
    const char *found = NULL;
    if (cJSON_IsString(item))
        return item->valuestring; /* the only one, whatever it is called */
    cJSON_ArrayForEach(named, item) {
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(named, "name");
        const cJSON *source = cJSON_GetObjectItemCaseSensitive(named, "template");
        if (!cJSON_IsString(own) || !cJSON_IsString(source))
            continue;
        buffer_printf(names, "%s%.100s", names->size ? ", " : "", own->valuestring);
        if (strcmp(own->valuestring, name ? name : "default") == 0)
            found = source->valuestring;
    }
    return found;
}

static void read_tokens(ChatTemplate *out, const cJSON *config, const cJSON *map) {
    static const char *const others[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    cJSON *variables = cJSON_CreateObject();
    const char *bos = special_token_text(config, map, "bos_token"),
               *eos = special_token_text(config, map, "eos_token");
    out->bos_token = mem_strdup(bos ? bos : "");
    out->eos_token = mem_strdup(eos ? eos : "");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const char *text = special_token_text(config, map, others[i]);
        if (text)
            cJSON_AddStringToObject(variables, others[i], text);
    }
    char *json = cJSON_PrintUnformatted(variables);
    out->variables = mem_strdup(json);
    cJSON_free(json);
    cJSON_Delete(variables);
}

/* The template in a file of its own, NULL if there is none. */
static int read_template_file(const char *folder, const char *name, char **out, Error *error) {
    char path[256] = "chat_template.jinja";
    *out = NULL;
    if (name && (strpbrk(name, "/\\") || strlen(name) > 100))
        return 0;
    if (name)
        snprintf(path, sizeof path, "additional_chat_templates/%s.jinja", name);
    return read_text(folder, path, out, error);
}

static int read_folder(ChatTemplate *out, const char *folder, const char *model, const char *name,
                       Error *error) {
    cJSON *config = NULL, *map = NULL, *json = NULL;
    Buffer names = {0};
    int result = special_tokens_read_file(folder, "tokenizer_config.json", &config, error) ||
                 special_tokens_read_file(folder, "special_tokens_map.json", &map, error) ||
                 special_tokens_read_file(folder, "chat_template.json", &json, error) ||
                 read_template_file(folder, name, &out->source, error);
    const char *found = NULL;
    if (!result && !out->source)
        found = pick(cJSON_GetObjectItemCaseSensitive(json, "chat_template"), name, &names);
    if (!result && !out->source && !found)
        found = pick(cJSON_GetObjectItemCaseSensitive(config, "chat_template"), name, &names);
    if (!result && !out->source && found)
        out->source = mem_strdup(found);
    if (!result && !out->source && names.size)
        result = error_set_kind(error, ERROR_USAGE, "%s: there is no chat template '%s'; there are: %s",
                                model, name ? name : "default", names.data);
    else if (!result && !out->source)
        result = error_set_kind(error, ERROR_USAGE,
                                "%s: the model's files hold no chat template (chat_template.jinja, or "
                                "chat_template in tokenizer_config.json)",
                                model);
    if (!result)
        read_tokens(out, config, map);
    if (!result && name)
        out->name = mem_strdup(name);
    buffer_free(&names);
    cJSON_Delete(config);
    cJSON_Delete(map);
    cJSON_Delete(json);
    return result ? -1 : 0;
}

int chat_template_read(ChatTemplate *out, const char *model, const char *name, Error *error) {
    char *folder = NULL;
    *out = (ChatTemplate){0};
    int result = 0;
    if (file_is_directory(model))
        folder = mem_strdup(model);
    else
        result = zoo_resolve(model, &folder, error);
    if (!result)
        result = read_folder(out, folder, model, name && *name ? name : NULL, error);
    free(folder);
    if (result)
        chat_template_free(out);
    return result;
}

void chat_template_free(ChatTemplate *chat) {
    free(chat->source);
    free(chat->name);
    free(chat->bos_token);
    free(chat->eos_token);
    free(chat->variables);
    *chat = (ChatTemplate){0};
}
