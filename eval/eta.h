/* How long the rest of a run takes, from how long its steps so far took.
 *
 * A step's time is taken for a sum: the operations of each kind times what an operation of that kind costs
 * here. The costs are fitted to the steps so far, and where these cannot tell the kinds apart, kinds cost
 * the same. Then all costs are multiplied by how the last quarter of the run compares with them, so that a
 * machine that became slower or faster is followed; a step that took many times what was expected counts as a
 * few times that, for it may have been interrupted. No clock is read here: the caller says what took how
 * long. */
#ifndef ZEVAL_EVAL_ETA_H
#define ZEVAL_EVAL_ETA_H

typedef enum WorkKind {
    WORK_LINEAR,    /* each token through the weights */
    WORK_ATTENTION, /* each token's look back at each earlier one */
    WORK_HEAD,      /* each output row that somebody wants */
    WORK_GENERATING /* texts, a token of each at a time, which uses the machine otherwise */
} WorkKind;
enum { ETA_KINDS = WORK_GENERATING + 1 };

/* In operations of the engine. */
typedef struct EtaWork {
    double operations[ETA_KINDS];
} EtaWork;

EtaWork eta_work_sum(EtaWork a, EtaWork b);
EtaWork eta_work_difference(EtaWork a, EtaWork b);

/* Zero-initialise. */
typedef struct Eta {
    double products[ETA_KINDS][ETA_KINDS]; /* of the kinds' operations, summed over the steps by weight */
    double with_seconds[ETA_KINDS];        /* of operations and seconds, likewise */
    EtaWork done;
    double seconds; /* that took */
    EtaWork recent; /* what was done lately counts most */
    double recent_seconds;
} Eta;

/* A step that did `work` took `seconds`. */
void eta_note(Eta *eta, EtaWork work, double seconds);
/* Seconds that `left` will take; 0 before anything was noted. */
double eta_left(const Eta *eta, EtaWork left);

#endif
