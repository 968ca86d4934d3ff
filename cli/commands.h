/* The subcommands. Each parses its options, calls the rooms, prints; logic lives below. */
#ifndef ZEVAL_CLI_COMMANDS_H
#define ZEVAL_CLI_COMMANDS_H

#include <signal.h>

#include "base/error.h"

/* argv[0] is the subcommand's own name. Return 0, or -1 with an Error. */
typedef int CommandFunction(int argc, char **argv, Error *error);

CommandFunction command_demo, command_run, command_rescore, command_report, command_runs, command_tasks,
    command_requests, command_tokenize, command_logits, command_generate, command_show, command_doctor,
    command_published, command_compare, command_reproduce, command_db, command_export_run;
CommandFunction command_pull, command_list, command_verify, command_remove, command_prune, command_du,
    command_export, command_import;

/* Set by SIGINT and SIGTERM once interrupts_catch was called; a second signal ends the program at once. */
const volatile sig_atomic_t *interrupts_catch(void);

/* "zeval 0.1.0 (commit)". */
const char *version_text(void);

#endif
