/* Text that grows and ends before any of some stop strings. */
#ifndef ZEVAL_RUNNER_STOP_TEXT_H
#define ZEVAL_RUNNER_STOP_TEXT_H

#include <stdbool.h>

#include "base/buffer.h"

/* Zero-initialise, set the stops, append to `text`, and call stop_text_update after each time. Free the text.
 */
typedef struct StopText {
    const char *const *stops; /* [n_stops] none empty */
    size_t n_stops;
    Buffer text;    /* everything so far; once stopped, what came before the stop string */
    size_t checked; /* bytes of text that the last update saw */
    size_t safe;    /* bytes of text that no stop string can begin in any more: these may be shown */
    bool stopped;
} StopText;

/* Looks for stop strings in what was appended since the last call; the one that begins first counts. Takes
 * time for the new bytes and the stop strings, not for the text. */
void stop_text_update(StopText *stop);
/* Nothing more will come: all of the text may be shown. */
void stop_text_finish(StopText *stop);

#endif
