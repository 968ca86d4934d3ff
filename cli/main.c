/* zeval: finds the subcommand, runs it, prints the error once, and turns it into the exit code. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/options.h"

static const struct {
    const char *name;
    CommandFunction *function;
    const char *summary;
} commands[] = {
    {"demo", command_demo, "score the built-in model on the built-in tasks: no network, no files"},
    {"run", command_run, "score a model on tasks and keep every result in a database"},
    {"rescore", command_rescore, "compute a run's metrics anew from its stored answers, without a model"},
    {"report", command_report, "show results from a database, or a paper's table with ours beside it"},
    {"published", command_published, "list the numbers that papers printed"},
    {"reproduce", command_reproduce, "pull and run a paper's table, and lay ours beside it"},
    {"compare", command_compare, "compare runs on the same documents, with paired statistics"},
    {"runs", command_runs, "list the runs in a database and how far each got"},
    {"export-run", command_export_run,
     "write a run as lm-eval's files, a database of its own, or a model card"},
    {"db", command_db, "check, vacuum or merge results databases"},
    {"tasks", command_tasks, "list the tasks, groups and tags that can be named"},
    {"requests", command_requests, "print every request of tasks as JSON Lines, without a model"},
    {"tokenize", command_tokenize, "turn JSON Lines of {\"text\"} into {\"ids\"}"},
    {"logits", command_logits, "write a model's logits for given token ids to a .npy file"},
    {"show", command_show, "say what a checkpoint is: layers, parameters, memory of its states"},
    {"generate", command_generate, "continue a prompt"},
    {"pull", command_pull, "fetch a model or a data set from the hub, every file verified"},
    {"list", command_list, "list what was pulled, or with --available what can be"},
    {"verify", command_verify, "hash what was pulled again: exit code 3 if a file differs"},
    {"remove", command_remove, "remove a pulled revision and the files that only it uses"},
    {"prune", command_prune, "remove what no pulled revision needs: unfinished downloads, unused files"},
    {"du", command_du, "say how much disk pulled repositories take"},
    {"export", command_export, "copy a pulled model or data set to a folder, for another machine"},
    {"import", command_import, "take in what was exported, every file verified"},
    {"doctor", command_doctor, "say what this machine and this build can do"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

/* Signal handlers can reach nothing else. */
static volatile sig_atomic_t interrupted, at_terminal;

static void on_signal(int signal_number) {
    static const char text[] = "\nzeval: stopping after what is in hand; once more stops at once\n";
    if (interrupted)
        _exit(128 + signal_number);
    interrupted = 1;
    if (at_terminal && write(STDERR_FILENO, text, sizeof text - 1) < 0)
        at_terminal = 0;
}

const volatile sig_atomic_t *interrupts_catch(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    at_terminal = isatty(STDERR_FILENO);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &interrupted;
}

static void print_help(FILE *stream) {
    fprintf(stream,
            "zeval scores language models, hybrids and Transformers, on LM-harness tasks, and keeps where\n"
            "each number came from.\n\nUsage: zeval COMMAND [options]\n\nCommands:\n");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(stream, "  %-11s %s\n", commands[i].name, commands[i].summary);
    fprintf(stream,
            "\n`zeval COMMAND --help` explains a command; `zeval --version` names this build.\n"
            "New here? Start with `zeval demo`.\n"
            "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 done but a check did not hold, 130 stopped.\n");
}

static int exit_code(ErrorKind kind) {
    static const int codes[] = {
        [ERROR_NONE] = 0, [ERROR_FAILED] = 1, [ERROR_USAGE] = 2, [ERROR_CHECK] = 3, [ERROR_STOPPED] = 130};
    return codes[kind];
}

static CommandFunction *find_command(const char *name, Error *error) {
    const char *names[N_COMMANDS + 1] = {0};
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].function;
        names[i] = commands[i].name;
    }
    const char *near = nearest_name(name, names);
    error_set_kind(error, ERROR_USAGE, "there is no command \"%s\"%s%s%s; `zeval --help` lists them", name,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

/* The words that are no subcommand; true if the first argument was one of them. */
static bool answer_directly(const char *word) {
    if (strcmp(word, "--version") == 0) {
        puts(version_text());
        return true;
    }
    if (strcmp(word, "--help") != 0 && strcmp(word, "-h") != 0 && strcmp(word, "help") != 0)
        return false;
    print_help(stdout);
    return true;
}

static int run(int argc, char **argv, Error *error) {
    if (answer_directly(argv[1]))
        return 0;
    CommandFunction *command = find_command(argv[1], error);
    return command ? command(argc - 1, argv + 1, error) : -1;
}

int main(int argc, char **argv) {
    Error error = {0};
    if (argc < 2) {
        print_help(stderr);
        return exit_code(ERROR_USAGE);
    }
    int failed = run(argc, argv, &error);
    if (!failed && (fflush(stdout) != 0 || ferror(stdout)))
        failed = error_set(&error, "cannot write the output: %s", strerror(errno));
    if (!failed)
        return 0;
    fprintf(stderr, "zeval: %s\n", error.message);
    return exit_code(error.kind == ERROR_NONE ? ERROR_FAILED : error.kind);
}
