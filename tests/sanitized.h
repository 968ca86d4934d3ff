/* Whether the build is for AddressSanitizer, which takes memory and addresses of its own. */
#ifndef ZEVAL_TESTS_SANITIZED_H
#define ZEVAL_TESTS_SANITIZED_H

#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#endif
