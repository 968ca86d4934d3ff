/* zeval run */
#include "cli/commands.h"
#include "cli/fetch.h"
#include "cli/scoring.h"
#include "cli/selection.h"

typedef struct RunArguments {
    Selection selection;
    Verbosity verbosity;
    Fetch fetch;
    const char *model, *db, *isa, *dtype, *backend, *bos, *on_truncation;
    ScoringFiles files;
    int64_t threads, max_length, batch_tokens;
    double memory_gib;
    bool json, dry_run, no_reuse, pin, copy_weights, profile;
} RunArguments;

static int parse_bos(const char *name, BosPolicy *out, Error *error) {
    static const char *const names[] = {[BOS_DEFAULT] = "default", [BOS_ADD] = "add", [BOS_NONE] = "none"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_equal(name, names[i])) {
            *out = (BosPolicy)i;
            return 0;
        }
    return error_set_kind(error, ERROR_USAGE, "--bos: found \"%s\", expected default, add or none", name);
}

static int run(const RunArguments *arguments, Error *error) {
    Log log = verbosity_log(&arguments->verbosity);
    EvalOptions options = {.model = arguments->model,
                           .tasks = selection_task_options(&arguments->selection, &log),
                           .db_path = arguments->db,
                           .backend = arguments->backend,
                           .n_threads = (int)arguments->threads,
                           .max_length = arguments->max_length,
                           .batch_tokens = (size_t)arguments->batch_tokens,
                           .memory_bytes = (size_t)(arguments->memory_gib * (double)(1 << 30)),
                           .no_reuse = arguments->no_reuse,
                           .pin_threads = arguments->pin,
                           .copy_weights = arguments->copy_weights,
                           .instruction_set = arguments->isa,
                           .profile = arguments->profile,
                           .build = version_text(),
                           .stop = interrupts_catch(),
                           .progress = verbosity_progress(&arguments->verbosity),
                           .log = &log};
    if (dtype_parse(arguments->dtype, &options.dtype, error) ||
        parse_bos(arguments->bos, &options.bos, error))
        return -1;
    if (arguments->files.samples && !arguments->files.lm_eval)
        return error_set_kind(error, ERROR_USAGE, "--log-samples needs --output-path, where to write them");
    if (!truncation_parse(arguments->on_truncation, &options.on_truncation))
        return error_set_kind(error, ERROR_USAGE,
                              "--on-truncation: found \"%s\", expected match, error or drop-shots",
                              arguments->on_truncation);
    if (arguments->dry_run)
        return scoring_plan(&options, arguments->json, error);
    return scoring_run(&options, arguments->json ? SCORING_JSON : SCORING_TABLE, &arguments->files, error);
}

int command_run(int argc, char **argv, Error *error) {
    RunArguments a = {.selection = SELECTION_DEFAULTS,
                      .db = "results.db",
                      .dtype = "float32",
                      .backend = "cpu",
                      .bos = "default",
                      .on_truncation = "match"};
    const Option options[] = {
        {"model", "NAME", OPTION_TEXT, &a.model, 0, 0, true,
         "checkpoint folder (config.json, *.safetensors, tokenizer.json), a name\nof `zeval list`, \"demo\" "
         "for "
         "the built-in one, or replay:FILE for\nrecorded answers"},
        SELECTION_OPTIONS(a.selection),
        {"db", "FILE", OPTION_TEXT, &a.db, 0, 0, false,
         "database that keeps the results (default results.db)"},
        {"dtype", "NAME", OPTION_TEXT, &a.dtype, 0, 0, false,
         "type of the arithmetic: float32 (default), the reference;\nweights stay as they are stored"},
        {"backend", "NAME", OPTION_TEXT, &a.backend, 0, 0, false, "cpu (default)"},
        {"isa", "NAME", OPTION_TEXT, &a.isa, 0, 0, false,
         "instruction set: avx512_bf16, avx512, avx2 or portable (default: $ZEVAL_ISA, or the best)"},
        {"threads", "N", OPTION_INT, &a.threads, 1, 1024, false, "threads (default: one per processor)"},
        {"pin", NULL, OPTION_FLAG, &a.pin, 0, 0, false,
         "keep each thread on a processor: for machines with several sockets\nand nothing else to do"},
        {"copy-weights", NULL, OPTION_FLAG, &a.copy_weights, 0, 0, false,
         "read the weights into memory in large pages instead of mapping their\nfiles: text is generated "
         "faster, each "
         "thread's part lies near it; the\nprogram starts later and shares nothing with others that run the "
         "model"},
        {"max-length", "N", OPTION_INT, &a.max_length, 2, 1e9, false,
         "longest input in tokens; longer ones are cut on the left and\ncounted (default: the model's "
         "max_position_embeddings)"},
        {"on-truncation", "POLICY", OPTION_TEXT, &a.on_truncation, 0, 0, false,
         "what is longer than that: match (default) cuts it on the left, as\nlm-eval does; error refuses the "
         "run "
         "before anything is scored;\ndrop-shots leaves out few-shot examples until it fits"},
        {"bos", "POLICY", OPTION_TEXT, &a.bos, 0, 0, false,
         "BOS before each context: default (as the tokenizer does), add, none"},
        {"batch-tokens", "N", OPTION_INT, &a.batch_tokens, 1, 1e7, false,
         "tokens per engine call (default 4096); scores do not depend on it"},
        {"memory", "GIB", OPTION_NUMBER, &a.memory_gib, 0.001, 1e6, false,
         "memory that the program may take, weights included; what does not\nfit is computed again (default: "
         "the weights and half of what is free)"},
        {"no-reuse", NULL, OPTION_FLAG, &a.no_reuse, 0, 0, false,
         "score everything anew; an answer that differs from one that the\ndatabase has is an error"},
        {"dry-run", NULL, OPTION_FLAG, &a.dry_run, 0, 0, false,
         "print how much there is to compute and about how long it takes;\nscore nothing, write nothing"},
        {"profile", NULL, OPTION_FLAG, &a.profile, 0, 0, false,
         "print where the time went, stage by stage and within the engine,\nagainst what this machine can "
         "do; "
         "to standard error"},
        LM_EVAL_OPTIONS(a.files),
        {"json", NULL, OPTION_FLAG, &a.json, 0, 0, false,
         "print the results (or the plan) as JSON instead of a table"},
        FETCH_OPTIONS(a.fetch),
        VERBOSITY_OPTIONS(a.verbosity),
        {0}};
    const Usage usage = {
        .command = "run",
        .synopsis = "--model NAME --tasks LIST [options]",
        .about =
            "Scores a model on tasks. Every prompt, answer and score is committed to the database as it\n"
            "comes: a run that was stopped or killed goes on where it was when the same command is given\n"
            "again, and a finished one costs nothing. Answers are reused wherever model, tokens and\n"
            "arithmetic are the same. Several runs may use one database at once: an answer that another one\n"
            "is computing is waited for. The table goes to standard output, the rest to standard error.",
        .examples = "  zeval run --model ./Llama-3.2-1B --tasks arc_easy,piqa --data ./datasets\n"
                    "  zeval run --model demo --tasks demo --limit 20\n"
                    "  zeval run --model ./m --tasks mmlu --num-fewshot 5 --data ./datasets --db mmlu.db",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    int result = parsed;
    if (!parsed)
        result = selection_prepare(&a.selection, error) ||
                         fetch_for_run(&a.fetch, a.model, &a.selection, &a.verbosity, error) ||
                         selection_chat(&a.selection, a.model, error) || run(&a, error)
                     ? -1
                     : 0;
    selection_free(&a.selection);
    return result < 0 ? -1 : 0;
}
