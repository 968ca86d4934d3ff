/* Conversations into text with a model's chat template, in transformers' way. */
#include <string.h>

#include "base/text.h"
#include "tasks/prompt.h"
#include "tasks/strings.h"

struct Chat {
    const Template *template;
    Value variables; /* all but messages and add_generation_prompt, for which there is room behind */
};

enum { ROOM = 2 };

/* Names that every chat template has, and the caller's own. */
static int read_variables(Chat *chat, Arena *arena, const TaskChat *settings, Error *error) {
    Value own = {.kind = VALUE_DICT};
    const char *json = settings->variables;
    if (json && value_from_json(&own, arena, json, strlen(json), "the chat template's variables", 1, error))
        return -1;
    if (own.kind != VALUE_DICT)
        return error_set_kind(error, ERROR_USAGE,
                              "the chat template's variables: a JSON object was expected");
    const ValuePair given[] = {
        {"tools", 0, value_null()},
        {"documents", 0, value_null()},
        {"bos_token", 0, value_string(settings->bos_token ? settings->bos_token : "")},
        {"eos_token", 0, value_string(settings->eos_token ? settings->eos_token : "")}};
    enum { N_GIVEN = sizeof given / sizeof *given };
    ValuePair *pairs = arena_alloc(arena, (N_GIVEN + own.n + ROOM) * sizeof *pairs);
    chat->variables = (Value){.kind = VALUE_DICT, .as.pairs = pairs};
    for (size_t i = 0; i < own.n; i++)
        pairs[chat->variables.n++] = own.as.pairs[i];
    for (size_t i = 0; i < N_GIVEN; i++)
        if (!value_get(&own, given[i].key))
            pairs[chat->variables.n++] = given[i];
    return 0;
}

int chat_open(const Chat **out, Arena *arena, const TaskChat *settings, Error *error) {
    Chat *chat = arena_alloc(arena, sizeof *chat);
    const char *where = "chat template";
    if (settings->name)
        where = arena_printf(arena, "chat template '%s'", settings->name);
    *out = chat;
    if (template_compile_chat(&chat->template, arena, settings->source, settings->date, where, error))
        return -1;
    return read_variables(chat, arena, settings, error);
}

static int render(const Chat *chat, const Value *messages, bool generation_prompt, Arena *arena, Value *out,
                  Error *error) {
    size_t n = chat->variables.n;
    Value variables = {
        .kind = VALUE_DICT, .n = n + ROOM, .as.pairs = arena_alloc(arena, (n + ROOM) * sizeof(ValuePair))};
    memcpy(variables.as.pairs, chat->variables.as.pairs, n * sizeof(ValuePair));
    variables.as.pairs[n] = (ValuePair){.key = "messages", .value = *messages};
    variables.as.pairs[n + 1] =
        (ValuePair){.key = "add_generation_prompt", .value = value_bool(generation_prompt)};
    return template_render(chat->template, &variables, arena, out, error);
}

/* The messages that are not the system's. */
static Value without_system(const Value *messages, Arena *arena) {
    Value kept = value_list(arena, messages->n);
    kept.n = 0;
    for (size_t i = 0; i < messages->n; i++)
        if (strcmp(value_get(&messages->as.items[i], "role")->as.text, "system") != 0)
            kept.as.items[kept.n++] = messages->as.items[i];
    return kept;
}

/* Where `part` is last in `text`; NULL if nowhere. */
static const char *find_last(const Value *text, const Value *part) {
    for (size_t at = text->n >= part->n ? text->n - part->n + 1 : 0; at-- > 0;)
        if (memcmp(text->as.text + at, part->as.text, part->n) == 0)
            return text->as.text + at;
    return NULL;
}

/* Cuts off what the template puts behind the last message. */
static int cut_behind(Value *text, const Value *message, Arena *arena, Error *error) {
    const Value stripped = string_strip(arena, message, STRIP_BOTH, NULL),
                left = string_strip(arena, message, STRIP_LEFT, NULL);
    const char *found = find_last(text, &stripped);
    if (!found)
        return error_set(error,
                         "the chat template does not show the last message, which the answer goes on from");
    size_t at = (size_t)(found - text->as.text);
    bool kept = text->n - at >= left.n && left.n == message->n && memcmp(found, left.as.text, left.n) == 0;
    *text = string_copy(arena, text->as.text, at + (kept ? left.n : stripped.n));
    return 0;
}

int chat_render(const Chat *chat, const Value *messages, bool generation_prompt, Arena *arena, Value *out,
                Error *error) {
    Value shown = *messages;
    Error first = {0};
    if (render(chat, &shown, generation_prompt, arena, out, &first)) {
        shown = without_system(messages, arena);
        if (shown.n == messages->n || shown.n == 0) {
            *error = first;
            return -1;
        }
        if (render(chat, &shown, generation_prompt, arena, out, error))
            return -1;
    }
    if (generation_prompt)
        return 0;
    return cut_behind(out, value_get(&shown.as.items[shown.n - 1], "content"), arena, error);
}
