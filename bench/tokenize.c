/* How fast a tokenizer loads and encodes, on one thread.
 *
 *     build/bench/tokenize [TOKENIZER [TEXT]]      default: the built-in model's tokenizer and documents
 *
 * Every line of TEXT is encoded as a text of its own, then the whole file as one. Prints medians of five
 * runs. With ZEVAL_BENCH_PYTHON naming a Python that has the package `tokenizers`, bench/tokenize_hf.py
 * measures the same file in the same way right afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "runner/runner.h"
#include "zoo/zoo.h"

enum { RUNS = 5, MAX_TEXT_BYTES = 1 << 30 };

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, RUNS, sizeof *values, compare_doubles);
    return values[RUNS / 2];
}

static void stop(const Error *error) {
    fprintf(stderr, "tokenize: %s\n", error->message);
    exit(1);
}

static long peak_mib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

static double load_seconds(const char *path) {
    Tokenizer *tokenizer;
    Error error = {0};
    double start = clock_seconds();
    if (tokenizer_open(&tokenizer, path, &error))
        stop(&error);
    double seconds = clock_seconds() - start;
    tokenizer_close(tokenizer);
    return seconds;
}

static void encode(const Tokenizer *tokenizer, const char *text, size_t bytes, TokenIds *ids) {
    Error error = {0};
    if (tokenizer_encode(tokenizer, text, bytes, SPECIAL_NONE, ids, &error))
        stop(&error);
}

/* Encodes the text line by line, or as it is; the number of ids. */
static size_t encode_all(const Tokenizer *tokenizer, const Buffer *text, bool by_line, TokenIds *ids) {
    size_t n = 0, bytes;
    for (size_t at = 0; at < text->size; at += bytes + 1) {
        const char *newline = memchr(text->data + at, '\n', text->size - at);
        bytes = by_line && newline ? (size_t)(newline - text->data) - at : text->size - at;
        ids->n = 0;
        encode(tokenizer, text->data + at, bytes, ids);
        n += ids->n;
    }
    return n;
}

static void measure(const Tokenizer *tokenizer, const Buffer *text, bool by_line) {
    double seconds[RUNS];
    TokenIds ids = {0};
    size_t n = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = clock_seconds();
        n = encode_all(tokenizer, text, by_line, &ids);
        seconds[i] = clock_seconds() - start;
    }
    printf("zeval: %s: %.1f MB/s, %zu tokens\n", by_line ? "by lines" : "as one text",
           (double)text->size * 1e-6 / median(seconds), n);
    token_ids_free(&ids);
}

/* The same with the reference, where there is one. */
static void measure_reference(const char *tokenizer, const char *text) {
    const char *python = getenv("ZEVAL_BENCH_PYTHON");
    if (!python || !*python)
        return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execlp(python, python, "bench/tokenize_hf.py", tokenizer, text, (char *)NULL);
        perror(python);
        _exit(127);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
        fprintf(stderr, "tokenize: %s bench/tokenize_hf.py failed\n", python);
}

/* The built-in documents, as text. */
static void read_builtin(Buffer *text) {
    for (size_t i = 0; i < n_embedded_files; i++)
        if (text_ends_with(embedded_files[i].name, ".jsonl"))
            buffer_append(text, embedded_files[i].data, embedded_files[i].bytes);
    buffer_append(text, "", 0);
}

int main(int argc, char **argv) {
    Error error = {0};
    Buffer text = {0};
    Tokenizer *tokenizer;
    char *folder = NULL;
    double loads[RUNS];
    if (argc < 2 && zoo_resolve("demo", &folder, &error))
        stop(&error);
    const char *path = folder ? folder : argv[1];
    for (int i = 0; i < RUNS; i++)
        loads[i] = load_seconds(path);
    if (tokenizer_open(&tokenizer, path, &error))
        stop(&error);
    printf("tokenizer %s: %lld ids, loaded in %.0f ms, peak %ld MiB\n", path,
           (long long)tokenizer_vocab_size(tokenizer), median(loads) * 1e3, peak_mib());
    if (argc > 2 && file_read(&text, argv[2], MAX_TEXT_BYTES, &error))
        stop(&error);
    if (argc <= 2)
        read_builtin(&text);
    measure(tokenizer, &text, true);
    measure(tokenizer, &text, false);
    if (argc > 2)
        measure_reference(path, argv[2]);
    tokenizer_close(tokenizer);
    buffer_free(&text);
    free(folder);
    return 0;
}
