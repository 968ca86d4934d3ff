/* Recorded answers in place of a model: `--model replay:FILE`. */
#ifndef ZEVAL_EVAL_REPLAY_H
#define ZEVAL_EVAL_REPLAY_H

#include "eval/metrics.h"

typedef struct Replay Replay;

/* What follows "replay:" in a model's name; NULL if it does not begin so. */
const char *replay_path(const char *model);

/* Reads a file of answers, JSON Lines (gzip allowed), or every *.jsonl and *.jsonl.gz of a folder. A line is
 *
 *   {"task": NAME, "doc_id": N, "idx": N, "response": TEXT | [LOGLIKELIHOOD, IS_GREEDY] | LOGLIKELIHOOD}
 *
 * where idx, which counts a document's requests and the repeats of a generated text, may be left out for 0,
 * or a line of lm-evaluation-harness's samples_TASK_TIME.jsonl, whose name then says which task. The same
 * answer twice is fine, two different ones to one request are an error. */
int replay_open(Replay **out, const char *path, Error *error);
void replay_close(Replay *replay);
/* The files it was read from. */
size_t replay_file_count(const Replay *replay);
const char *replay_file(const Replay *replay, size_t i);

/* The answer to a document's request, whose text lives as long as the replay. A missing answer, one of
 * another kind than the request, and one that was given to another prompt (where the record says which) are
 * errors. */
int replay_answer(const Replay *replay, const char *task, const TaskDocument *document, size_t request,
                  Answer *out, Error *error);

#endif
