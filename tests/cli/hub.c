/* The hub of the zoo's tests, for commands that pull. */
#include "tests/zoo/hub/server.c"
