/* base: what the C library lacks. Everything else in the house may use it; it uses nothing of the house. */
#ifndef ZEVAL_BASE_BASE_H
#define ZEVAL_BASE_BASE_H

#include "base/buffer.h"
#include "base/embedded.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/text.h"
#include "base/threads.h"

#endif
