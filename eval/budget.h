/* How much memory states may take. */
#ifndef ZEVAL_EVAL_BUDGET_H
#define ZEVAL_EVAL_BUDGET_H

#include "eval/identity.h"

typedef struct Budget {
    bool is_asked;        /* EvalOptions.memory_bytes says it */
    size_t process_bytes; /* what the whole process may take */
    size_t state_bytes;   /* of these, states */
    size_t narrow_bytes;  /* of these, states that do not have to be there at once (plan_narrow) */
    size_t fixed_bytes;   /* the weights and the program take without any state */
} Budget;

/* From EvalOptions.memory_bytes, or from what the machine has free, less the weights and what the process
 * holds already. */
Budget budget_find(const RunParts *parts);

#endif
