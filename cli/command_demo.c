/* zeval demo */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/scoring.h"
#include "cli/selection.h"

static int demo(const char *db, const char *html, const Verbosity *verbosity, Error *error) {
    static const char *const tasks[] = {"demo"};
    Log log = verbosity_log(verbosity);
    EvalOptions options = {
        .model = "demo",
        .tasks = {.names = tasks, .n_names = 1, .num_fewshot = -1, .fewshot_seed = 1234, .log = &log},
        .db_path = db,
        .dtype = DTYPE_FLOAT32,
        .backend = "cpu",
        .build = version_text(),
        .stop = interrupts_catch(),
        .progress = verbosity_progress(verbosity),
        .log = &log};
    if (scoring_run(&options, SCORING_TABLE, &(ScoringFiles){.html = html}, error))
        return -1;
    printf(
        "\nThe same as a page: %s\nEvery prompt and score: %s\n\n"
        "Next, with a real model (a folder with config.json, *.safetensors, tokenizer.json) and data sets\n"
        "(a folder laid out as ORG/NAME/CONFIG/SPLIT.jsonl):\n\n"
        "  zeval tasks\n"
        "  zeval run --model ./Llama-3.2-1B --tasks arc_easy,piqa --data ./datasets --db results.db\n"
        "  zeval report --db results.db --format html --output results.html\n",
        html, db);
    return 0;
}

int command_demo(int argc, char **argv, Error *error) {
    const char *db = "zeval-demo.db", *html = "zeval-demo.html";
    Verbosity verbosity = {0};
    const Option options[] = {{"db", "FILE", OPTION_TEXT, &db, 0, 0, false,
                               "database that keeps the results (default zeval-demo.db)"},
                              {"html", "FILE", OPTION_TEXT, &html, 0, 0, false,
                               "where the HTML report goes (default zeval-demo.html)"},
                              VERBOSITY_OPTIONS(verbosity),
                              {0}};
    const Usage usage = {
        .command = "demo",
        .synopsis = "[options]",
        .about = "Scores the small hybrid model that ships inside the program (latent attention and\n"
                 "Mamba2 layers, trained on a toy world) on tasks from that world. Needs no network\n"
                 "and no files; shows what a real run looks like.",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return demo(db, html, &verbosity, error);
}
