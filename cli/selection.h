/* Options that several commands share: which tasks, and how much to say. */
#ifndef ZEVAL_CLI_SELECTION_H
#define ZEVAL_CLI_SELECTION_H

#include <stdio.h>

#include "base/base.h"
#include "cli/options.h"
#include "eval/chat.h"
#include "tasks/tasks.h"

typedef struct Selection {
    OptionList tasks;
    const char *data, *include_path;
    int64_t num_fewshot, fewshot_seed; /* num_fewshot -1: the task's own */
    double limit;
    const char *profile; /* as given; NULL: main */
    const char *samples, *system_instruction;
    const char *chat_name, *multiturn, *date; /* as given, "" without a value; NULL: not given */
    ChatTemplate chat_template;               /* what selection_chat read */
    TaskChat chat;
    Compat compat;     /* what selection_prepare made of it */
    bool data_is_ours; /* no data folder was named: those that were pulled are read */
    char *pulled;      /* the folder of them; NULL if there is none */
} Selection;

#define SELECTION_DEFAULTS                                                                                   \
    { .num_fewshot = -1, .fewshot_seed = 1234 }

/* clang-format off */
#define SELECTION_OPTIONS(s) \
    {"tasks", "LIST", OPTION_LIST, &(s).tasks, 0, 0, true, \
     "tasks, groups, tags, wildcards or .yaml files, separated by commas\n(`zeval tasks` lists the built-in ones)"}, \
    {"data", "DIR", OPTION_TEXT, &(s).data, 0, 0, false, \
     "folder with data sets as ORG/NAME/CONFIG/SPLIT.jsonl, .parquet, .json or .csv\n(default: $ZEVAL_DATA, else what was pulled and the built-in demo data)"}, \
    {"include-path", "DIR", OPTION_TEXT, &(s).include_path, 0, 0, false, \
     "folder with more task files, searched before the built-in ones"}, \
    {"num-fewshot", "N", OPTION_INT, &(s).num_fewshot, 0, 1000, false, \
     "examples before each question (default: the task's own)"}, \
    {"fewshot-seed", "N", OPTION_INT, &(s).fewshot_seed, 0, 4294967295.0, false, \
     "seed of the draw of examples (default 1234, lm-eval's)"}, \
    {"limit", "N", OPTION_NUMBER, &(s).limit, 1e-9, 1e12, false, \
     "only the first N documents of each task; below 1, that fraction"}, \
    {"samples", "FILE", OPTION_TEXT, &(s).samples, 0, 0, false, \
     "JSON {\"TASK\": [document ids]}: only these documents of the tasks it names"}, \
    {"system-instruction", "TEXT", OPTION_TEXT, &(s).system_instruction, 0, 0, false, \
     "text before the description, lm-eval's --system_instruction"}, \
    COMPAT_OPTION((s).profile), \
    {"apply-chat-template", "[NAME]", OPTION_MAYBE, &(s).chat_name, 0, 0, false, \
     "prompts as conversations in the model's chat template, or in its\ntemplate of that name"}, \
    {"fewshot-as-multiturn", "[BOOL]", OPTION_MAYBE, &(s).multiturn, 0, 0, false, \
     "with a chat template: examples are turns of their own (default true);\nfalse: they are part of the user's one turn"}, \
    {"chat-date", "DATE", OPTION_TEXT, &(s).date, 0, 0, false, \
     "what a chat template that prints the date is told, YYYY-MM-DD\n(default 2024-07-26: prompts do not change from day to day)"}
#define COMPAT_OPTION(profile) \
    {"compat", "NAME", OPTION_TEXT, &(profile), 0, 0, false, \
     "whose prompts and numbers: main, or v0.4.0 of December 2023\n(default main)"}
/* clang-format on */

/* Checks what the options say and settles it; before selection_task_options. */
int selection_prepare(Selection *selection, Error *error);
/* Reads the chat template, if one is asked for, from the files of `model`, which must be on this machine by
 * then; NULL: no model was named. Before selection_task_options. */
int selection_chat(Selection *selection, const char *model, Error *error);
void selection_free(Selection *selection);
/* NULL is main. */
int selection_compat(const char *profile, Compat *out, Error *error);
/* The tasks room's options; they borrow from `selection`. */
TaskOptions selection_task_options(const Selection *selection, Log *log);

typedef struct Verbosity {
    bool quiet, verbose;
} Verbosity;

#define VERBOSITY_OPTIONS(v)                                                                                 \
    {"quiet", NULL, OPTION_FLAG, &(v).quiet, 0, 0, false, "no progress line, no warnings"}, {                \
        "verbose", NULL, OPTION_FLAG, &(v).verbose, 0, 0, false, "say more about what is done"               \
    }

Log verbosity_log(const Verbosity *verbosity);
/* Where the progress line goes: stderr, or NULL when quiet. */
FILE *verbosity_progress(const Verbosity *verbosity);

#endif
