/* Contexts. As upstream does, a context is built as a list of messages, each with the delimiter that follows
 * it in plain text: the system's (system instruction and description), two for each example, and the
 * question. v0.4.0 knew no messages; what it did is the same list with other delimiters. */
#include <string.h>

#include "base/text.h"
#include "tasks/prompt.h"
#include "tasks/strings.h"

typedef struct Message {
    const char *role;
    Value text;
    const char *delimiter; /* in plain text */
} Message;

/* A list on its way to a context; there is room for all that a document can need. */
typedef struct Conversation {
    const Task *task;
    Arena *arena;
    Message *messages;
    size_t n;
    Error *error;
} Conversation;

static void add(Conversation *to, const char *role, Value text, const char *delimiter) {
    to->messages[to->n++] = (Message){role, text, delimiter};
}

static bool space_at_end(const Value *text) {
    const char *at = text->as.text;
    size_t bytes = text->n;
    text_rstrip(&at, &bytes);
    return bytes < text->n;
}

static bool space_at_start(const Value *text) {
    const char *at = text->as.text;
    size_t bytes = text->n;
    text_lstrip(&at, &bytes);
    return bytes < text->n;
}

/* False where a side is empty or white space already parts them. */
static bool needs_delimiter(const Value *left, const Value *right) {
    return left->n > 0 && right->n > 0 && !space_at_end(left) && !space_at_start(right);
}

static Value join_with(Arena *arena, const Value *left, const char *delimiter, const Value *right) {
    if (left->n == 0 || right->n == 0)
        return left->n == 0 ? *right : *left;
    return value_string(arena_printf(arena, "%s%s%s", left->as.text,
                                     needs_delimiter(left, right) ? delimiter : "", right->as.text));
}

/* System instruction and description. */
static int add_system(Conversation *to, const Value *document) {
    const TaskConfig *config = &to->task->config;
    const Value instruction = value_string(to->task->system_instruction);
    Value description = value_string("");
    bool rendered;
    if (config->description.kind != SOURCE_NONE &&
        source_value(&config->description, document, to->arena, &description, &rendered, to->error))
        return -1;
    if (description.kind != VALUE_STRING)
        return error_set(to->error, "description gave %s; a string was expected",
                         value_kind_name(description.kind));
    Value text = join_with(to->arena, &instruction, config->prompt.fewshot_delimiter, &description);
    if (text.n > 0)
        add(to, "system", text, "");
    return 0;
}

/* A turn whose answer is known. */
static void add_answered(Conversation *to, const Prompt *prompt, const Value *text, const Turn *turn,
                         const Value *answer) {
    bool old = to->task->config.compat == COMPAT_V0_4_0;
    bool none = turn->target.kind == VALUE_NULL || (turn->target.kind == VALUE_STRING && turn->target.n == 0);
    bool answered = old || !none;
    bool delimits = turn->prefix.n > 0 ? needs_delimiter(text, &turn->prefix) : answered;
    add(to, "user", *text, delimits ? prompt->target_delimiter : "");
    if (answered)
        add(to, "assistant", join_with(to->arena, &turn->prefix, " ", answer), prompt->fewshot_delimiter);
    else if (turn->prefix.n > 0)
        add(to, "assistant", turn->prefix, "");
}

static int add_example(Conversation *to, size_t index) {
    const Prompt *prompt = &to->task->config.fewshot;
    Value document, text, answer = value_null();
    Turn turn;
    if (pool_document(to->task, index, to->arena, &document, to->error) ||
        turn_read(prompt, &document, to->arena, &turn, to->error) || turn_question(&turn, &text, to->error) ||
        turn_answer(&turn, to->task->config.compat, to->arena, &answer, to->error))
        return error_prefix(to->error, "few-shot example %zu", index);
    add_answered(to, prompt, &text, &turn, &answer);
    return 0;
}

static int add_examples(Conversation *to, size_t i) {
    size_t n = (size_t)to->task->info.num_fewshot, n_before = to->n;
    for (size_t e = to->task->n_dropped; e < n; e++) {
        size_t index = to->task->draws[i * n + e];
        if (index != SIZE_MAX && add_example(to, index))
            return -1;
    }
    /* v0.4.0 ends even no examples with the delimiter */
    if (n > 0 && to->n == n_before && to->task->config.compat == COMPAT_V0_4_0)
        add(to, "user", value_string(""), to->task->config.prompt.fewshot_delimiter);
    return 0;
}

/* The turn to be answered. */
static void add_question(Conversation *to, const Value *text, const Value *prefix, const char *delimiter) {
    add(to, "user", *text, needs_delimiter(text, prefix) ? delimiter : "");
    if (prefix->n > 0)
        add(to, "assistant", *prefix, "");
}

static const char *plain_text(const Conversation *from) {
    size_t bytes = 0, at = 0;
    for (size_t i = 0; i < from->n; i++)
        bytes += from->messages[i].text.n + strlen(from->messages[i].delimiter);
    char *text = arena_alloc(from->arena, bytes + 1);
    for (size_t i = 0; i < from->n; i++) {
        const Message *message = &from->messages[i];
        size_t delimiter = strlen(message->delimiter);
        memcpy(text + at, message->text.as.text, message->text.n);
        memcpy(text + at + message->text.n, message->delimiter, delimiter);
        at += message->text.n + delimiter;
    }
    text[at] = '\0';
    return text;
}

static Value message_value(Arena *arena, const char *role, Value text) {
    const ValuePair pairs[] = {{"role", 0, value_string(role)}, {"content", 0, text}};
    Value message = {.kind = VALUE_DICT, .n = 2, .as.pairs = arena_alloc(arena, sizeof pairs)};
    memcpy(message.as.pairs, pairs, sizeof pairs);
    return message;
}

/* The messages of a chat: as they are, or all but the system's and the begun answer as one of the user's. */
static Value chat_messages(Conversation *from, bool begun) {
    Value list = value_list(from->arena, from->n);
    size_t n_first = from->n > 0 && strcmp(from->messages[0].role, "system") == 0, n_last = begun;
    list.n = 0;
    for (size_t i = 0; i < from->n; i++) {
        const Message *message = &from->messages[i];
        if (from->task->multiturn || i < n_first || i >= from->n - n_last)
            list.as.items[list.n++] = message_value(from->arena, message->role, message->text);
        else if (i + 1 == from->n - n_last) {
            Conversation merged = *from;
            merged.messages += n_first;
            merged.n = from->n - n_first - n_last;
            merged.messages[merged.n - 1].delimiter = "";
            list.as.items[list.n++] = message_value(from->arena, "user", value_string(plain_text(&merged)));
        }
    }
    return list;
}

static int finish(Conversation *conversation, bool begun, const char **out) {
    Value text;
    const Task *task = conversation->task;
    if (!task->chat) {
        *out = plain_text(conversation);
        return 0;
    }
    const Value messages = chat_messages(conversation, begun);
    if (chat_render(task->chat, &messages, !begun, conversation->arena, &text, conversation->error))
        return -1;
    *out = text.as.text;
    return 0;
}

int context_build(const Task *task, size_t i, const Value *document, const Turn *turn, Arena *arena,
                  const char *const **out, Error *error) {
    size_t room = 2 * (size_t)task->info.num_fewshot + 3;
    Conversation conversation = {task, arena, arena_alloc(arena, room * sizeof(Message)), 0, error};
    bool of_choices = task->many_contexts;
    Value question = turn->text;
    if (!of_choices && question.kind == VALUE_INT && task->config.compat == COMPAT_MAIN)
        return error_set(error, "doc_to_text gave the number %lld; a string was expected, as in document 0",
                         (long long)question.as.integer);
    if (!of_choices && turn_question(turn, &question, error))
        return -1;
    size_t n = of_choices ? turn->choices.n : 1;
    const char **contexts = arena_alloc(arena, n * sizeof *contexts);
    /* v0.4.0 makes the bare choices the contexts, with nothing before them */
    bool bare = of_choices && task->config.compat == COMPAT_V0_4_0;
    if (!bare && (add_system(&conversation, document) || add_examples(&conversation, i)))
        return -1;
    size_t n_before = conversation.n;
    for (size_t k = 0; k < n; k++) {
        conversation.n = n_before;
        if (of_choices)
            add_question(&conversation, &turn->choices.as.items[k], &turn->prefix, "");
        else
            add_question(&conversation, &question, &turn->prefix, task->config.prompt.target_delimiter);
        if (finish(&conversation, turn->prefix.n > 0, &contexts[k]))
            return -1;
    }
    *out = contexts;
    return 0;
}
