/* Chat templates against Python's jinja2 as transformers sets it up (chat_goldens.py): those that published
 * models ship, over several conversations, and some hundred small ones. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/template.h"

static Value to_value(const cJSON *item, Arena *arena) {
    Error error = {0};
    Value value;
    char *text = cJSON_PrintUnformatted(item);
    if (value_from_json(&value, arena, text, strlen(text), "fixture", 1, &error))
        fail_msg("%s", error.message);
    cJSON_free(text);
    return value;
}

/* NULL with an error where there is none. */
static const char *render(const char *source, const Value *variables, Arena *arena, Error *error) {
    const Template *template;
    Value out;
    if (template_compile_chat(&template, arena, source, NULL, "chat", error) ||
        template_render(template, variables, arena, &out, error))
        return NULL;
    return out.as.text;
}

static int n_different;

static void compare_small(const cJSON *item, const Value *variables) {
    Arena arena = {0};
    Error error = {0};
    const cJSON *expected = cJSON_GetObjectItem(item, "output");
    const char *source = cJSON_GetObjectItem(item, "template")->valuestring;
    const char *found = render(source, variables, &arena, &error);
    bool same = cJSON_IsString(expected) ? found && strcmp(found, expected->valuestring) == 0 : !found;
    if (!same) {
        n_different++;
        printf("template: %s\n  expected: %s\n  found:    %s\n", source,
               cJSON_IsString(expected) ? expected->valuestring : "an error", found ? found : error.message);
    }
    if (!found && !strstr(error.message, "line "))
        fail_msg("no line in: %s", error.message);
    arena_free(&arena);
}

static cJSON *read_fixture(const char *name) {
    Error error = {0};
    cJSON *json;
    char *path = path_join("tests/fixtures/chat", name);
    if (json_parse_file(&json, path, 4 << 20, &error))
        fail_msg("%s", error.message);
    free(path);
    return json;
}

static void test_small_chat_templates_are_jinjas(void **state) {
    (void)state;
    cJSON *renders = read_fixture("renders.json");
    const cJSON *item, *small = cJSON_GetObjectItem(renders, "small");
    Arena arena = {0};
    const Value variables = to_value(cJSON_GetObjectItem(renders, "variables"), &arena);
    n_different = 0;
    cJSON_ArrayForEach(item, small) compare_small(item, &variables);
    assert_true(cJSON_GetArraySize(small) > 500);
    assert_int_equal(n_different, 0);
    arena_free(&arena);
    cJSON_Delete(renders);
}

/* The variables of a case: the template's own, and a conversation, if it is not one of its own. */
static Value case_variables(const cJSON *item, const cJSON *template, const cJSON *renders, Arena *arena) {
    cJSON *object = cJSON_Duplicate(cJSON_GetObjectItem(template, "variables"), true);
    const cJSON *which = cJSON_GetObjectItem(item, "conversation");
    const char *const tokens[][2] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    for (int i = 0; i < 2; i++)
        if (!cJSON_GetObjectItem(object, tokens[i][0]))
            cJSON_AddStringToObject(object, tokens[i][0], tokens[i][1]);
    cJSON_DeleteItemFromObject(object, "documents");
    cJSON_AddNullToObject(object, "documents");
    if (which) {
        const cJSON *messages =
            cJSON_GetArrayItem(cJSON_GetObjectItem(renders, "conversations"), which->valueint);
        const cJSON *tools = which->valueint == 8 ? cJSON_GetObjectItem(renders, "tools") : NULL;
        static const char *const given[] = {"messages", "add_generation_prompt", "tools"};
        for (int i = 0; i < 3; i++)
            cJSON_DeleteItemFromObject(object, given[i]);
        cJSON_AddItemToObject(object, "messages", cJSON_Duplicate(messages, true));
        cJSON_AddItemToObject(object, "add_generation_prompt",
                              cJSON_Duplicate(cJSON_GetObjectItem(item, "prompt"), true));
        cJSON_AddItemToObject(object, "tools", tools ? cJSON_Duplicate(tools, true) : cJSON_CreateNull());
    } else if (!cJSON_GetObjectItem(object, "tools")) {
        cJSON_AddNullToObject(object, "tools");
    }
    Value variables = to_value(object, arena);
    cJSON_Delete(object);
    return variables;
}

static bool check_case(const cJSON *item, const cJSON *templates, const cJSON *renders) {
    Arena arena = {0};
    Error error = {0};
    char hex[SHA256_HEX] = "an error";
    const cJSON *template = cJSON_GetArrayItem(templates, cJSON_GetObjectItem(item, "template")->valueint);
    const cJSON *expected = cJSON_GetObjectItem(item, "sha256");
    const Value variables = case_variables(item, template, renders, &arena);
    const char *found =
        render(cJSON_GetObjectItem(template, "source")->valuestring, &variables, &arena, &error);
    if (found)
        sha256_text(found, strlen(found), hex);
    if (found)
        hex[16] = '\0';
    bool same = strcmp(hex, cJSON_IsString(expected) ? expected->valuestring : "an error") == 0;
    if (!same) {
        char *which = cJSON_PrintUnformatted(item);
        printf("%s: %s: found %s\n%s\n", cJSON_GetObjectItem(template, "name")->valuestring, which, hex,
               found ? found : error.message);
        cJSON_free(which);
    }
    arena_free(&arena);
    return same;
}

static void test_published_chat_templates_are_rendered_as_transformers_does(void **state) {
    (void)state;
    cJSON *renders = read_fixture("renders.json"), *file = read_fixture("templates.json");
    const cJSON *item, *templates = cJSON_GetObjectItem(file, "templates");
    int n = 0, n_same = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(renders, "cases")) {
        n++;
        n_same += check_case(item, templates, renders);
    }
    printf("%d chat templates, %d conversations are equal\n", cJSON_GetArraySize(templates), n_same);
    assert_true(n > 900);
    assert_int_equal(n_same, n);
    cJSON_Delete(renders);
    cJSON_Delete(file);
}

const struct CMUnitTest chat_template_tests[] = {
    cmocka_unit_test(test_small_chat_templates_are_jinjas),
    cmocka_unit_test(test_published_chat_templates_are_rendered_as_transformers_does)};
const size_t n_chat_template_tests = sizeof chat_template_tests / sizeof *chat_template_tests;
