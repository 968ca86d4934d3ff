/* The build's identity, in a file of its own so that a new commit recompiles only this. */
#include "cli/commands.h"

const char *version_text(void) {
    return "zeval " ZEVAL_VERSION " (" ZEVAL_COMMIT ")";
}
