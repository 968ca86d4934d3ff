/* See yaml_time.h. The grammar is YAML 1.1's timestamp as PyYAML has it. */
#include "tasks/yaml_time.h"

#include <stdio.h>
#include <string.h>

/* Takes between `least` and `most` digits. */
static bool take_number(const char **at, int least, int most, int *out) {
    int n = 0;
    for (*out = 0; n < most && **at >= '0' && **at <= '9'; n++)
        *out = *out * 10 + (*(*at)++ - '0');
    return n >= least;
}

static bool take(const char **at, char c) {
    bool found = **at == c;
    *at += found;
    return found;
}

static void skip_blanks(const char **at) {
    *at += strspn(*at, " \t");
}

typedef struct Moment {
    int year, month, day, hour, minute, second, micro;
    bool has_zone;
    int zone_sign, zone_hour, zone_minute;
} Moment;

/* "Z", "+2", "-05:30"; none is fine. */
static bool take_zone(const char **at, Moment *moment) {
    const char *start = *at;
    skip_blanks(at);
    moment->zone_sign = **at == '-' ? -1 : 1;
    if (take(at, 'Z')) {
        moment->has_zone = true;
        return true;
    }
    if (**at != '+' && **at != '-') {
        *at = start;
        return true;
    }
    ++*at;
    moment->has_zone = true;
    return take_number(at, 1, 2, &moment->zone_hour) &&
           (!take(at, ':') || take_number(at, 2, 2, &moment->zone_minute));
}

/* Six digits of the fraction count. */
static void take_fraction(const char **at, Moment *moment) {
    if (!take(at, '.'))
        return;
    for (int unit = 100000; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        moment->micro += (**at - '0') * unit;
}

/* What stands behind "YYYY-M-D". */
static bool take_clock(const char **at, Moment *moment) {
    if (**at == 'T' || **at == 't')
        ++*at;
    else if (**at == ' ' || **at == '\t')
        skip_blanks(at);
    else
        return false;
    if (!take_number(at, 1, 2, &moment->hour) || !take(at, ':') || !take_number(at, 2, 2, &moment->minute) ||
        !take(at, ':') || !take_number(at, 2, 2, &moment->second))
        return false;
    take_fraction(at, moment);
    return take_zone(at, moment);
}

static bool is_possible(const Moment *moment) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = moment->year;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1 || moment->month < 1 || moment->month > 12 || moment->day < 1 ||
        moment->day > days[moment->month - 1] + (moment->month == 2 && leap))
        return false;
    return moment->hour < 24 && moment->minute < 60 && moment->second < 60 &&
           moment->zone_hour * 60 + moment->zone_minute < 24 * 60;
}

YamlTime yaml_time(const char *text, char out[YAML_TIME_BYTES]) {
    Moment moment = {0};
    const char *at = text;
    if (!take_number(&at, 4, 4, &moment.year) || !take(&at, '-'))
        return YAML_NO_TIME;
    const char *month = at;
    if (!take_number(&at, 1, 2, &moment.month) || !take(&at, '-') || !take_number(&at, 1, 2, &moment.day))
        return YAML_NO_TIME;
    bool is_date = !*at;
    if (is_date ? at - month != 5 : !take_clock(&at, &moment) || *at)
        return YAML_NO_TIME;
    if (!is_possible(&moment))
        return YAML_BAD_TIME;
    int n = snprintf(out, YAML_TIME_BYTES, "%04d-%02d-%02d", moment.year, moment.month, moment.day);
    if (!is_date)
        n += snprintf(out + n, (size_t)(YAML_TIME_BYTES - n), " %02d:%02d:%02d", moment.hour, moment.minute,
                      moment.second);
    if (moment.micro)
        n += snprintf(out + n, (size_t)(YAML_TIME_BYTES - n), ".%06d", moment.micro);
    if (moment.has_zone)
        snprintf(out + n, (size_t)(YAML_TIME_BYTES - n), "%c%02d:%02d",
                 moment.zone_sign < 0 && (moment.zone_hour || moment.zone_minute) ? '-' : '+',
                 moment.zone_hour, moment.zone_minute);
    return YAML_TIME;
}
