/* Where a model's chat template is looked for, and what is said when it is not there. */
#include <stdlib.h>
#include <string.h>

#include "tests/cli/tests.h"

static void write_file(const char *model, const char *name, const char *text) {
    Error error = {0};
    char *folder = path_join(test_folder, model), *path = path_join(folder, name),
         *inside = path_folder(path);
    if (file_make_directories(inside, &error) || file_write_atomic(path, text, strlen(text), &error))
        fail_msg("%s", error.message);
    free(inside);
    free(path);
    free(folder);
}

/* Asks for the requests of one document; `name` is the NAME of --apply-chat-template, or empty. */
static void expect(int status, const char *model, const char *name, const char *part) {
    Output output;
    test_run_expecting(
        status, &output,
        "requests --tasks demo_recall --limit 1 --quiet --model %s/%s --apply-chat-template %s", test_folder,
        model, name);
    const char *found = status ? output.error.data : output.out.data;
    if (!found || !strstr(found, part))
        fail_msg("'%s' is not in: %s", part, found ? found : "");
    test_output_free(&output);
}

static void test_each_place_of_a_template(void **state) {
    (void)state;
    const char *const named = "{\"chat_template\": [{\"name\": \"default\", \"template\": \"LISTED\"}, "
                              "{\"name\": \"tool_use\", \"template\": \"TOOLS\"}]}";
    write_file("m", "tokenizer_config.json",
               "{\"chat_template\": \"{{ bos_token }}ONLY\", \"bos_token\": "
               "{\"content\": \"<s>\"}}");
    expect(0, "m", "", "\"<s>ONLY");
    write_file("m", "tokenizer_config.json", named);
    expect(0, "m", "", "\"LISTED");
    expect(0, "m", "tool_use", "\"TOOLS");
    expect(2, "m", "rag", "there is no chat template 'rag'; there are: default, tool_use");
    write_file("m", "chat_template.json", "{\"chat_template\": \"JSON\"}");
    expect(0, "m", "", "\"JSON");
    write_file("m", "chat_template.jinja", "JINJA");
    expect(0, "m", "", "\"JINJA");
    write_file("m", "additional_chat_templates/rag.jinja", "RAG");
    expect(0, "m", "rag", "\"RAG");
}

/* As upstream warns, but only of a template that is there. */
static void test_instruct_models_without_their_template_are_warned_of(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "hybrid_config.json", "tokenizer.json",
                                        "tokenizer_config.json", "model.safetensors"};
    const struct {
        const char *name, *template, *options;
        bool warned;
    } cases[] = {{"m-Instruct", "{{ messages[0].content }}", "", true},
                 {"m-Instruct", "{{ messages[0].content }}", "--apply-chat-template", false},
                 {"m-Instruct2", NULL, "", false},
                 {"m-base", "{{ messages[0].content }}", "", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Error error = {0};
        for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
            char *from = path_join("zoo/demo/model", files[f]);
            Buffer bytes = {0};
            if (file_read(&bytes, from, 1 << 26, &error))
                fail_msg("%s", error.message);
            char *folder = path_join(test_folder, cases[i].name), *to = path_join(folder, files[f]);
            if (file_make_directories(folder, &error) ||
                file_write_atomic(to, bytes.data, bytes.size, &error))
                fail_msg("%s", error.message);
            free(folder);
            free(to);
            free(from);
            buffer_free(&bytes);
        }
        if (cases[i].template)
            write_file(cases[i].name, "chat_template.jinja", cases[i].template);
        Output output;
        test_run_expecting(0, &output,
                           "run --model %s/%s --tasks demo_recall --limit 1 --db %s/chat.db --no-reuse %s",
                           test_folder, cases[i].name, test_folder, cases[i].options);
        assert_int_equal(strstr(output.error.data, "was taught to converse") != NULL, cases[i].warned);
        test_output_free(&output);
    }
}

static void test_models_without_a_usable_template(void **state) {
    (void)state;
    write_file("none", "tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
    expect(2, "none", "", "the model's files hold no chat template");
    write_file("broken", "tokenizer_config.json", "{\"chat_template\": ");
    expect(1, "broken", "", "tokenizer_config.json");
    write_file("faulty", "chat_template.jinja", "a\n{% for %}");
    expect(1, "faulty", "", "line 2");
}

int run_chat_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_place_of_a_template),
        cmocka_unit_test(test_instruct_models_without_their_template_are_warned_of),
        cmocka_unit_test(test_models_without_a_usable_template)};
    return cmocka_run_group_tests_name("chat templates", tests, test_make_folder, test_remove_folder);
}
