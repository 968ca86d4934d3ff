/* What the tokenizer's tests share. */
#ifndef ZEVAL_TESTS_RUNNER_TEST_TOKENIZER_SUPPORT_H
#define ZEVAL_TESTS_RUNNER_TEST_TOKENIZER_SUPPORT_H

#include "base/base.h"
#include "runner/tokenizer/tokenizer.h"

#define TOKENIZER_FIXTURES "tests/fixtures/tokenizer"

/* A folder that one test writes into; the name is kept by the caller. */
char *make_temporary_folder(void);
void remove_folder(char *folder);
/* Writes text as FOLDER/NAME. */
void write_text(const char *folder, const char *name, const char *text);

/* Opens a tokenizer and fails the test if it does not open. */
Tokenizer *open_tokenizer(const char *path);
/* Writes {"key": value} parts over a fixture's tokenizer and opens the result. */
Tokenizer *open_changed_fixture(const char *fixture, const char *changes);
/* Fails, printing both lists, unless text has exactly these ids. */
void expect_ids(const Tokenizer *tokenizer, const char *label, const char *text, size_t bytes,
                SpecialPolicy policy, const cJSON *expected);
/* Fails, printing both texts, unless the ids decode to this. */
void expect_decoded(const Tokenizer *tokenizer, const char *label, const cJSON *ids, bool skip_special,
                    const char *expected, size_t bytes);
/* Pushes the ids one by one: what comes out must be whole characters and the decoded text at the end. */
void expect_stream(const Tokenizer *tokenizer, const char *label, const int32_t *ids, size_t n);
TokenIds ids_of_json(const cJSON *list);
/* The folder of shared data, NULL (and a line on stdout) if it is absent. */
const char *shared_folder(void);

#endif
