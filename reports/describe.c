/* Facts about a run as short texts for people, the same in every kind of report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/text.h"
#include "reports/results.h"

const char *report_public_name(const char *name, Arena *arena) {
    if (*name != '/' && *name != '.' && *name != '~')
        return name;
    size_t bytes = strlen(name);
    while (bytes > 1 && name[bytes - 1] == '/')
        bytes--;
    return path_name(arena_strndup(arena, name, bytes));
}

const char *report_shots(const ReportRun *run, Arena *arena) {
    int64_t shots = -1;
    for (size_t i = 0; i < run->n_entries; i++) {
        if (run->entries[i].is_group)
            continue;
        if (shots >= 0 && run->entries[i].num_fewshot != shots)
            return "mixed shots";
        shots = run->entries[i].num_fewshot;
    }
    return shots < 0 ? "no tasks" : arena_printf(arena, "%lld-shot", (long long)shots);
}

const char *report_exact(double value, Arena *arena) {
    char text[32];
    if (!isfinite(value))
        return "";
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return arena_strdup(arena, text);
}

const char *report_grouped(int64_t value, Arena *arena) {
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%llu",
                     value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value);
    char *out = arena_alloc(arena, 64), *end = out;
    if (value < 0)
        *end++ = '-';
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    return out;
}

/* Three significant digits and the unit of the thousands: units[0] for what is below 1000. */
static const char *scaled(int64_t value, const char *const units[], size_t n_units, Arena *arena) {
    if (value < 1000)
        return arena_printf(arena, "%lld%s", (long long)value, units[0]);
    double number = (double)value / 1000;
    size_t unit = 1;
    while (number >= 999.5 && unit + 1 < n_units) {
        number /= 1000;
        unit++;
    }
    int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
    return arena_printf(arena, "%.*f%s", decimals, number, units[unit]);
}

const char *report_count(int64_t value, Arena *arena) {
    static const char *const units[] = {"", " k", " M", " B", " T"};
    return scaled(value, units, sizeof units / sizeof *units, arena);
}

const char *report_bytes(int64_t bytes, Arena *arena) {
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB"};
    return scaled(bytes, units, sizeof units / sizeof *units, arena);
}

static const char *describe_limit(double limit, Arena *arena) {
    if (!(limit > 0))
        return "none: every document";
    if (limit < 1)
        return arena_printf(arena, "the first %.6g %% of each task's documents", 100 * limit);
    return arena_printf(arena, "the first %.0f documents of each task", floor(limit));
}

static const char *describe_state(const ReportRun *run, Arena *arena) {
    return arena_printf(arena, "%s per token, %s fixed", report_bytes(run->state_bytes_per_token, arena),
                        report_bytes(run->state_bytes_fixed, arena));
}

static const char *describe_truncated(const ReportRun *run, Arena *arena) {
    if (run->n_dropped > 0)
        return arena_printf(arena, "%s documents lost few-shot examples",
                            report_grouped(run->n_dropped, arena));
    if (run->n_truncated == 0)
        return "none";
    return arena_printf(arena, "%s of %s requests cut on the left", report_grouped(run->n_truncated, arena),
                        report_grouped(run->n_requests, arena));
}

/* For each filter of each task that looks for the answer in a text: how often it found none. "" without such.
 */
static const char *describe_unextracted(const ReportRun *run, Arena *arena) {
    const char *out = "";
    for (size_t i = 0; i < run->n_entries; i++) {
        const ReportEntry *task = &run->entries[i];
        const char *last = "none";
        for (size_t m = 0; m < task->n_metrics && !task->is_group; m++) {
            const ReportMetric *metric = &task->metrics[m];
            if (strcmp(metric->filter, "none") == 0 || strcmp(metric->filter, last) == 0)
                continue;
            last = metric->filter;
            out =
                arena_printf(arena, "%s%s%s, %s: %s of %s", out, *out ? "; " : "", task->name, last,
                             report_grouped(metric->n_unextracted, arena), report_grouped(metric->n, arena));
        }
    }
    return out;
}

/* Paths in settings, such as a task file's, are of the machine of the run: their names are kept. */
static void hide_paths(cJSON *item, Arena *arena, int depth) {
    if (cJSON_IsString(item) && item->valuestring[0] == '/')
        cJSON_SetValuestring(item, report_public_name(item->valuestring, arena));
    for (cJSON *child = item->child; child && depth < 16; child = child->next)
        hide_paths(child, arena, depth + 1);
}

static const char *describe_settings(const ReportRun *run, Arena *arena) {
    cJSON *json = NULL;
    if (json_parse(&json, run->settings_json, strlen(run->settings_json), "settings", NULL) != 0)
        return run->settings_json;
    hide_paths(json, arena, 0);
    char *text = cJSON_PrintUnformatted(json);
    const char *out = arena_strdup(arena, text ? text : "");
    cJSON_free(text);
    cJSON_Delete(json);
    return out;
}

static const char *describe_chat(const ReportRun *run, Arena *arena) {
    if (!*run->chat_template_sha256)
        return "";
    return arena_printf(arena, "%s, SHA-256 %s%s",
                        *run->chat_template_name ? run->chat_template_name : "the tokenizer's own",
                        run->chat_template_sha256,
                        run->fewshot_as_multiturn ? ", examples as turns of the conversation" : "");
}

static const char *describe_tokens(const ReportRun *run, Arena *arena) {
    if (run->tokens_alone < 0 || run->tokens_distinct < 0)
        return "";
    return arena_printf(arena, "%s distinct prefixes of %s tokens%s%s",
                        report_grouped(run->tokens_distinct, arena), report_grouped(run->tokens_alone, arena),
                        run->tokens_computed >= 0 ? "; computed " : "",
                        run->tokens_computed >= 0 ? report_grouped(run->tokens_computed, arena) : "");
}

const char *report_duration(double seconds, Arena *arena) {
    Buffer text = {0};
    if (!isfinite(seconds) || seconds < 0)
        return "";
    progress_format_duration(seconds, &text);
    const char *out = arena_strdup(arena, text.data);
    buffer_free(&text);
    return out;
}

size_t report_settings(const ReportRun *run, Arena *arena, ReportSetting out[REPORT_MAX_SETTINGS]) {
    const ReportSetting all[] = {
        {"Model", run->model},
        {"Architecture", arena_printf(arena, "%s (%s)", run->family, run->architecture)},
        {"Parameters", report_grouped(run->n_parameters, arena)},
        {"Sequence state", describe_state(run, arena)},
        {"Data type", run->dtype},
        {"Backend", run->backend},
        {"Few-shot", report_shots(run, arena)},
        {"Few-shot seed", arena_printf(arena, "%lld", (long long)run->fewshot_seed)},
        {"Limit", describe_limit(run->limit, arena)},
        {"Documents", report_grouped(run->n_documents, arena)},
        {"Requests", report_grouped(run->n_requests, arena)},
        {"Truncated", describe_truncated(run, arena)},
        {"No answer found", describe_unextracted(run, arena)},
        {"When too long", run->on_truncation},
        {"Longest request", arena_printf(arena, "%s tokens", report_grouped(run->max_length, arena))},
        {"BOS token", run->add_bos ? "added" : "not added"},
        {"Profile", arena_printf(arena, "lm-eval %s", run->compat)},
        {"Chat template", describe_chat(run, arena)},
        {"System instruction", run->system_instruction},
        {"Tokens", describe_tokens(run, arena)},
        {"Time", report_duration(run->scoring_seconds, arena)},
        {"Numerics", arena_printf(arena, "version %lld", (long long)run->numerics_version)},
        {"Build", run->build},
        {"Model SHA-256", run->model_sha256},
        {"Run fingerprint", run->fingerprint},
        {"Settings", describe_settings(run, arena)},
    };
    size_t n = sizeof all / sizeof *all;
    memcpy(out, all, sizeof all);
    return n;
}
