/* Fuzz target: any text is a template; compiling and rendering it ends without harm, with the settings of
 * task files over a row of a data set and with those of chat templates over a conversation. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/template.h"

enum { SIZE_MAX_TEMPLATE = 16384 };

static const char row[] =
    "{\"q\": \"a b \\u00e9\", \"n\": 3, \"x\": 1.5, \"l\": [\"a\", \"b\", [1]], \"d\": {\"k\": \"v\"}, "
    "\"t\": true, \"z\": null, \"question\": \"Why?\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": "
    "[\"A\", \"B\"]}, \"answer\": 1}";

static const char conversation[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": "
    "\" Hi \\u706b \"}, {\"role\": \"assistant\", \"content\": \"<think>a</think>Yes\", \"tool_calls\": "
    "[{\"type\": \"function\", \"id\": \"abcdefghi\", \"function\": {\"name\": \"f\", \"arguments\": {\"a\": "
    "1}}}]}, {\"role\": \"tool\", \"name\": \"f\", \"tool_call_id\": \"abcdefghi\", \"content\": \"2\"}, "
    "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"and?\"}]}], \"tools\": [{\"type\": "
    "\"function\", \"function\": {\"name\": \"f\", \"description\": \"d\", \"parameters\": {\"type\": "
    "\"object\", \"properties\": {\"a\": {\"type\": \"number\"}}}}}], \"documents\": null, \"bos_token\": "
    "\"<s>\", \"eos_token\": \"</s>\", \"add_generation_prompt\": true, \"enable_thinking\": false}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const char *text, TemplateStyle style, const char *json, size_t n_json) {
    Arena arena = {0};
    Error error = {0};
    Value variables, out;
    const Template *template;
    if (value_from_json(&variables, &arena, json, n_json, "row", 1, &error))
        abort();
    if (!template_compile(&template, &arena, text, style, "t", &error)) {
        if (!template_render(template, &variables, &arena, &out, &error) && strlen(out.as.text) != out.n)
            abort();
        if (template_is_expression(template))
            template_evaluate(template, &variables, &arena, &out, &error);
    } else if (!error.message[0]) {
        abort();
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena arena = {0};
    Error error = {0};
    Value out;
    if (size > SIZE_MAX_TEMPLATE)
        return 0;
    char *text = mem_strndup((const char *)data, size);
    render(text, TEMPLATE_TASK, row, sizeof row - 1);
    render(text, TEMPLATE_CHAT, conversation, sizeof conversation - 1);
    if (value_from_python(&out, &arena, text, strlen(text), &error) && !error.message[0])
        abort();
    free(text);
    arena_free(&arena);
    return 0;
}
