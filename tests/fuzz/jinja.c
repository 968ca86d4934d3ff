/* Fuzz target: any text is a template; compiling and rendering it ends without harm. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char row[] =
        "{\"q\": \"a b \\u00e9\", \"n\": 3, \"x\": 1.5, \"l\": [\"a\", \"b\", [1]], \"d\": {\"k\": \"v\"}, "
        "\"t\": true, \"z\": null}";
    Arena arena = {0};
    Error error = {0};
    Value variables, out;
    const Template *template;
    char *text = mem_strndup((const char *)data, size);
    if (size < 4096 && !value_from_json(&variables, &arena, row, sizeof row - 1, "row", 1, &error) &&
        !template_compile(&template, &arena, text, TEMPLATE_TASK, "t", &error)) {
        if (!template_render(template, &variables, &arena, &out, &error) && strlen(out.as.text) != out.n)
            abort();
        if (template_is_expression(template))
            template_evaluate(template, &variables, &arena, &out, &error);
        if (value_from_python(&out, &arena, text, strlen(text), &error) && !error.message[0])
            abort();
    }
    free(text);
    arena_free(&arena);
    return 0;
}
