/* Weights are mapped and used where they lie, so loading a model is what happens when their pages are first
 * touched. This touches them in the background, while the program still reads documents and tokenises. */
#ifndef ZEVAL_RUNNER_CHECKPOINT_WARM_UP_H
#define ZEVAL_RUNNER_CHECKPOINT_WARM_UP_H

#include "runner/checkpoint/checkpoint.h"

typedef struct WarmUp WarmUp;

/* Begins to bring the checkpoint's files into memory, in their order; the checkpoint stays open until
 * warm_up_end. NULL, which is as well, for a small checkpoint or if no thread can be had: then pages come as
 * they are used. */
WarmUp *warm_up_begin(const Checkpoint *checkpoint);
/* Stops soon, done or not. NULL is fine. */
void warm_up_end(WarmUp *warm_up);

#endif
