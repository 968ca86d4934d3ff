/* Times in YAML, which PyYAML reads as dates and times of day. */
#ifndef ZEVAL_TASKS_YAML_TIME_H
#define ZEVAL_TASKS_YAML_TIME_H

#include <stdbool.h>

enum { YAML_TIME_BYTES = 48 };

/* The outcome of yaml_time. */
typedef enum YamlTime { YAML_NO_TIME, YAML_TIME, YAML_BAD_TIME } YamlTime;
/* What Python's str makes of the date or time that a plain scalar is: "2024-01-31", "2024-01-31
 * 12:30:00+02:00". YAML_BAD_TIME: it looks like one, but there is no such day or hour, which PyYAML refuses.
 */
YamlTime yaml_time(const char *text, char out[YAML_TIME_BYTES]);

#endif
