/* The stack machine. Invariants: every operation reads inside the pickle, pops only what lies above the last
 * open mark, and adds at most a constant amount of memory per byte of pickle. A NULL `run` in the table is
 * the refusal. */
#include "runner/checkpoint/pickle.h"

#include <stdlib.h>
#include <string.h>

enum { PROTOCOL = 2, STACK_MAX = 1 << 20, GLOBAL_MAX_BYTES = 256 };

typedef struct Machine {
    const uint8_t *data;
    size_t bytes, at;
    Arena *arena;
    PickleValue **stack;
    size_t n_stack, stack_capacity;
    size_t *marks; /* heights of the stack at the open marks */
    size_t n_marks, marks_capacity;
    PickleValue **memo; /* NULL where nothing is remembered */
    size_t n_memo;
    PickleValue *result; /* set by STOP */
} Machine;

typedef int Operation(Machine *machine, Error *error);

const char *pickle_kind_name(PickleKind kind) {
    static const char *const names[] = {
        [PICKLE_BOOL] = "a truth value",   [PICKLE_INT] = "a whole number", [PICKLE_TEXT] = "text",
        [PICKLE_TUPLE] = "a tuple",        [PICKLE_LIST] = "a list",        [PICKLE_DICT] = "a dictionary",
        [PICKLE_GLOBAL] = "a global name", [PICKLE_STORAGE] = "a storage",  [PICKLE_TENSOR] = "a tensor"};
    return names[kind];
}

const char *pickle_printable(char out[static 81], const char *text, size_t bytes) {
    size_t n = bytes < 80 ? bytes : 80;
    for (size_t i = 0; i < n; i++)
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    out[n] = '\0';
    return out;
}

/* ---- the machine's parts */

/* The next n bytes of the pickle; NULL and an Error if it ends before. */
static const uint8_t *take(Machine *machine, size_t n, Error *error) {
    if (n > machine->bytes - machine->at) {
        error_set(error, "ends in the middle of an operation");
        return NULL;
    }
    machine->at += n;
    return machine->data + machine->at - n;
}

/* A little-endian number of n bytes. */
static int take_number(Machine *machine, size_t n, uint32_t *out, Error *error) {
    const uint8_t *bytes = take(machine, n, error);
    if (!bytes)
        return -1;
    *out = 0;
    while (n-- > 0)
        *out = *out << 8 | bytes[n];
    return 0;
}

static PickleValue *new_value(Machine *machine, PickleKind kind) {
    PickleValue *value = arena_alloc(machine->arena, sizeof *value);
    value->kind = kind;
    return value;
}

static int push(Machine *machine, PickleValue *value, Error *error) {
    if (machine->n_stack == STACK_MAX)
        return error_set(error, "has more than %d values on its stack", STACK_MAX);
    if (machine->n_stack == machine->stack_capacity) {
        machine->stack_capacity *= 2;
        machine->stack = mem_realloc(machine->stack, machine->stack_capacity * sizeof *machine->stack);
    }
    machine->stack[machine->n_stack++] = value;
    return 0;
}

/* The values above the last open mark, which stay where they are. */
static size_t n_above_mark(const Machine *machine) {
    return machine->n_stack - (machine->n_marks ? machine->marks[machine->n_marks - 1] : 0);
}

static int require(const Machine *machine, size_t n, Error *error) {
    return n_above_mark(machine) < n ? error_set(error, "takes a value from an empty stack") : 0;
}

/* Closes the last mark; its values are items[n], valid until the next push. */
static int pop_mark(Machine *machine, PickleValue ***items, size_t *n, Error *error) {
    if (machine->n_marks == 0)
        return error_set(error, "closes a mark that was never set");
    *n = n_above_mark(machine);
    machine->n_marks--;
    machine->n_stack -= *n;
    *items = machine->stack + machine->n_stack;
    return 0;
}

static void append(Machine *machine, PickleSequence *sequence, PickleValue *item) {
    if (sequence->n == sequence->capacity) {
        size_t capacity = sequence->capacity * 2 + 4;
        PickleValue **items = arena_alloc(machine->arena, capacity * sizeof *items);
        if (sequence->n)
            memcpy(items, sequence->items, sequence->n * sizeof *items);
        sequence->items = items;
        sequence->capacity = capacity;
    }
    sequence->items[sequence->n++] = item;
}

/* ---- numbers, text, names */

static int push_integer(Machine *machine, PickleKind kind, int64_t integer, Error *error) {
    PickleValue *value = new_value(machine, kind);
    value->integer = integer;
    return push(machine, value, error);
}

static int run_binint(Machine *machine, Error *error) {
    uint32_t number;
    return take_number(machine, 4, &number, error)
               ? -1
               : push_integer(machine, PICKLE_INT, (int32_t)number, error);
}

static int run_binint1(Machine *machine, Error *error) {
    uint32_t number;
    return take_number(machine, 1, &number, error) ? -1 : push_integer(machine, PICKLE_INT, number, error);
}

static int run_binint2(Machine *machine, Error *error) {
    uint32_t number;
    return take_number(machine, 2, &number, error) ? -1 : push_integer(machine, PICKLE_INT, number, error);
}

/* A byte count and a little-endian number in two's complement. */
static int run_long1(Machine *machine, Error *error) {
    uint32_t n;
    const uint8_t *bytes;
    if (take_number(machine, 1, &n, error) || !(bytes = take(machine, n, error)))
        return -1;
    if (n > 8)
        return error_set(error, "has a whole number of %u bytes, expected at most 8", n);
    uint64_t number = n && bytes[n - 1] & 0x80 ? UINT64_MAX : 0;
    while (n-- > 0)
        number = number << 8 | bytes[n];
    return push_integer(machine, PICKLE_INT, (int64_t)number, error);
}

static int run_newtrue(Machine *machine, Error *error) {
    return push_integer(machine, PICKLE_BOOL, 1, error);
}

static int run_newfalse(Machine *machine, Error *error) {
    return push_integer(machine, PICKLE_BOOL, 0, error);
}

static int run_binunicode(Machine *machine, Error *error) {
    uint32_t n;
    const uint8_t *bytes;
    if (take_number(machine, 4, &n, error) || !(bytes = take(machine, n, error)))
        return -1;
    PickleValue *value = new_value(machine, PICKLE_TEXT);
    value->text.data = (const char *)bytes;
    value->text.bytes = n;
    return push(machine, value, error);
}

static int take_line(Machine *machine, const char **line, size_t *bytes, Error *error) {
    size_t left = machine->bytes - machine->at;
    const uint8_t *begin = machine->data + machine->at;
    const uint8_t *end = left ? memchr(begin, '\n', left < GLOBAL_MAX_BYTES ? left : GLOBAL_MAX_BYTES) : NULL;
    if (!end)
        return error_set(error, "has a global name without an end");
    *line = (const char *)begin;
    *bytes = (size_t)(end - begin);
    machine->at += *bytes + 1;
    return 0;
}

static int run_global(Machine *machine, Error *error) {
    const char *module, *name;
    size_t module_bytes, name_bytes;
    PickleValue *value = new_value(machine, PICKLE_GLOBAL);
    if (take_line(machine, &module, &module_bytes, error) || take_line(machine, &name, &name_bytes, error) ||
        pickle_find_global(&value->global, module, module_bytes, name, name_bytes, error))
        return -1;
    return push(machine, value, error);
}

/* ---- containers */

static int run_mark(Machine *machine, Error *error) {
    if (machine->n_marks == STACK_MAX)
        return error_set(error, "has more than %d open marks", STACK_MAX);
    if (machine->n_marks == machine->marks_capacity) {
        machine->marks_capacity = machine->marks_capacity * 2 + 64;
        machine->marks = mem_realloc(machine->marks, machine->marks_capacity * sizeof *machine->marks);
    }
    machine->marks[machine->n_marks++] = machine->n_stack;
    return 0;
}

static int push_tuple(Machine *machine, PickleValue **items, size_t n, Error *error) {
    PickleValue *value = new_value(machine, PICKLE_TUPLE);
    value->sequence = (PickleSequence){arena_alloc(machine->arena, n * sizeof *items), n, n};
    if (n)
        memcpy(value->sequence.items, items, n * sizeof *items);
    return push(machine, value, error);
}

static int run_tuple(Machine *machine, Error *error) {
    PickleValue **items = NULL;
    size_t n = 0;
    return pop_mark(machine, &items, &n, error) ? -1 : push_tuple(machine, items, n, error);
}

static int pop_tuple(Machine *machine, size_t n, Error *error) {
    if (require(machine, n, error))
        return -1;
    machine->n_stack -= n;
    return push_tuple(machine, machine->stack + machine->n_stack, n, error);
}

static int run_empty_tuple(Machine *machine, Error *error) {
    return pop_tuple(machine, 0, error);
}

static int run_tuple1(Machine *machine, Error *error) {
    return pop_tuple(machine, 1, error);
}

static int run_tuple2(Machine *machine, Error *error) {
    return pop_tuple(machine, 2, error);
}

static int run_tuple3(Machine *machine, Error *error) {
    return pop_tuple(machine, 3, error);
}

static int run_empty_dict(Machine *machine, Error *error) {
    return push(machine, new_value(machine, PICKLE_DICT), error);
}

static int run_empty_list(Machine *machine, Error *error) {
    return push(machine, new_value(machine, PICKLE_LIST), error);
}

/* items[n] are keys and values of the dictionary on top of the stack. */
static int set_items(Machine *machine, PickleValue **items, size_t n, Error *error) {
    if (require(machine, 1, error))
        return -1;
    PickleValue *dict = machine->stack[machine->n_stack - 1];
    if (dict->kind != PICKLE_DICT || n % 2)
        return error_set(error, "sets %zu keys and values of %s, expected pairs and a dictionary", n,
                         pickle_kind_name(dict->kind));
    for (size_t i = 0; i < n; i++)
        append(machine, &dict->sequence, items[i]);
    return 0;
}

static int run_setitems(Machine *machine, Error *error) {
    PickleValue **items = NULL;
    size_t n = 0;
    return pop_mark(machine, &items, &n, error) ? -1 : set_items(machine, items, n, error);
}

static int run_setitem(Machine *machine, Error *error) {
    if (require(machine, 3, error))
        return -1;
    machine->n_stack -= 2;
    return set_items(machine, machine->stack + machine->n_stack, 2, error);
}

/* ---- objects */

static int run_binpersid(Machine *machine, Error *error) {
    if (require(machine, 1, error))
        return -1;
    PickleValue *value = new_value(machine, PICKLE_STORAGE);
    if (pickle_load_storage(value, machine->stack[--machine->n_stack], error))
        return -1;
    return push(machine, value, error);
}

static int run_reduce(Machine *machine, Error *error) {
    if (require(machine, 2, error))
        return -1;
    PickleValue *value = new_value(machine, PICKLE_DICT);
    machine->n_stack -= 2;
    PickleValue **operands = machine->stack + machine->n_stack;
    if (pickle_call(value, operands[0], operands[1], machine->arena, error))
        return -1;
    return push(machine, value, error);
}

/* Attributes of the state dictionary, such as _metadata (versions of modules): nothing here needs them. */
static int run_build(Machine *machine, Error *error) {
    if (require(machine, 2, error))
        return -1;
    PickleValue **operands = machine->stack + machine->n_stack - 2;
    if (operands[0]->kind != PICKLE_DICT || operands[1]->kind != PICKLE_DICT)
        return error_set(error, "BUILD sets attributes of %s from %s, expected two dictionaries",
                         pickle_kind_name(operands[0]->kind), pickle_kind_name(operands[1]->kind));
    machine->n_stack--;
    return 0;
}

/* ---- the memo */

static int put(Machine *machine, size_t index_bytes, Error *error) {
    uint32_t index;
    if (take_number(machine, index_bytes, &index, error) || require(machine, 1, error))
        return -1;
    if (index >= machine->at) /* numbers count up from 0, so this many cannot have been given yet */
        return error_set(error, "remembers a value as number %u after %zu bytes", index, machine->at);
    if (index >= machine->n_memo) {
        size_t n = 2 * (size_t)index + 64;
        machine->memo = mem_realloc(machine->memo, n * sizeof *machine->memo);
        memset(machine->memo + machine->n_memo, 0, (n - machine->n_memo) * sizeof *machine->memo);
        machine->n_memo = n;
    }
    machine->memo[index] = machine->stack[machine->n_stack - 1];
    return 0;
}

static int get(Machine *machine, size_t index_bytes, Error *error) {
    uint32_t index;
    if (take_number(machine, index_bytes, &index, error))
        return -1;
    if (index >= machine->n_memo || !machine->memo[index])
        return error_set(error, "recalls value number %u, which was never remembered", index);
    return push(machine, machine->memo[index], error);
}

static int run_binput(Machine *machine, Error *error) {
    return put(machine, 1, error);
}

static int run_long_binput(Machine *machine, Error *error) {
    return put(machine, 4, error);
}

static int run_binget(Machine *machine, Error *error) {
    return get(machine, 1, error);
}

static int run_long_binget(Machine *machine, Error *error) {
    return get(machine, 4, error);
}

/* ---- beginning and end */

static int run_proto(Machine *machine, Error *error) {
    uint32_t version;
    if (take_number(machine, 1, &version, error))
        return -1;
    if (machine->at != 2 || version != PROTOCOL)
        return error_set(error, "declares pickle protocol %u at byte %zu, expected %d at byte 0", version,
                         machine->at - 2, PROTOCOL);
    return 0;
}

static int run_stop(Machine *machine, Error *error) {
    if (machine->n_stack != 1 || machine->n_marks || machine->at != machine->bytes)
        return error_set(error,
                         "stops with %zu values, %zu open marks and %zu more bytes, expected 1, 0 and 0",
                         machine->n_stack, machine->n_marks, machine->bytes - machine->at);
    machine->result = machine->stack[0];
    return 0;
}

static const struct {
    const char *name;
    Operation *run; /* NULL: refused */
} operations[256] = {
    [0x80] = {"PROTO", run_proto},
    ['.'] = {"STOP", run_stop},
    ['('] = {"MARK", run_mark},
    ['c'] = {"GLOBAL", run_global},
    ['q'] = {"BINPUT", run_binput},
    ['r'] = {"LONG_BINPUT", run_long_binput},
    ['h'] = {"BINGET", run_binget},
    ['j'] = {"LONG_BINGET", run_long_binget},
    ['X'] = {"BINUNICODE", run_binunicode},
    ['J'] = {"BININT", run_binint},
    ['K'] = {"BININT1", run_binint1},
    ['M'] = {"BININT2", run_binint2},
    [0x8a] = {"LONG1", run_long1},
    [0x88] = {"NEWTRUE", run_newtrue},
    [0x89] = {"NEWFALSE", run_newfalse},
    [')'] = {"EMPTY_TUPLE", run_empty_tuple},
    ['t'] = {"TUPLE", run_tuple},
    [0x85] = {"TUPLE1", run_tuple1},
    [0x86] = {"TUPLE2", run_tuple2},
    [0x87] = {"TUPLE3", run_tuple3},
    [']'] = {"EMPTY_LIST", run_empty_list},
    ['}'] = {"EMPTY_DICT", run_empty_dict},
    ['s'] = {"SETITEM", run_setitem},
    ['u'] = {"SETITEMS", run_setitems},
    ['Q'] = {"BINPERSID", run_binpersid},
    ['R'] = {"REDUCE", run_reduce},
    ['b'] = {"BUILD", run_build},
    /* the rest of the language (CPython's Lib/pickletools.py), for messages */
    ['0'] = {"POP", NULL},
    ['1'] = {"POP_MARK", NULL},
    ['2'] = {"DUP", NULL},
    ['F'] = {"FLOAT", NULL},
    ['G'] = {"BINFLOAT", NULL},
    ['I'] = {"INT", NULL},
    ['L'] = {"LONG", NULL},
    [0x8b] = {"LONG4", NULL},
    ['N'] = {"NONE", NULL},
    ['P'] = {"PERSID", NULL},
    ['S'] = {"STRING", NULL},
    ['T'] = {"BINSTRING", NULL},
    ['U'] = {"SHORT_BINSTRING", NULL},
    ['V'] = {"UNICODE", NULL},
    [0x8c] = {"SHORT_BINUNICODE", NULL},
    [0x8d] = {"BINUNICODE8", NULL},
    ['B'] = {"BINBYTES", NULL},
    ['C'] = {"SHORT_BINBYTES", NULL},
    [0x8e] = {"BINBYTES8", NULL},
    [0x96] = {"BYTEARRAY8", NULL},
    [0x97] = {"NEXT_BUFFER", NULL},
    [0x98] = {"READONLY_BUFFER", NULL},
    ['a'] = {"APPEND", NULL},
    ['e'] = {"APPENDS", NULL},
    ['d'] = {"DICT", NULL},
    ['l'] = {"LIST", NULL},
    [0x8f] = {"EMPTY_SET", NULL},
    [0x90] = {"ADDITEMS", NULL},
    [0x91] = {"FROZENSET", NULL},
    ['g'] = {"GET", NULL},
    ['p'] = {"PUT", NULL},
    [0x94] = {"MEMOIZE", NULL},
    [0x95] = {"FRAME", NULL},
    ['i'] = {"INST", NULL},
    ['o'] = {"OBJ", NULL},
    [0x81] = {"NEWOBJ", NULL},
    [0x92] = {"NEWOBJ_EX", NULL},
    [0x93] = {"STACK_GLOBAL", NULL},
    [0x82] = {"EXT1", NULL},
    [0x83] = {"EXT2", NULL},
    [0x84] = {"EXT4", NULL},
};

static int run(Machine *machine, Error *error) {
    while (!machine->result) {
        const uint8_t *code = take(machine, 1, error);
        if (!code)
            return -1;
        if (!operations[*code].run)
            return error_set(error, "uses the operation %s (0x%02x), which no table of tensors needs",
                             operations[*code].name ? operations[*code].name : "without a name", *code);
        if (operations[*code].run(machine, error))
            return -1;
    }
    return 0;
}

int pickle_read(PickleValue **out, Arena *arena, const uint8_t *data, size_t bytes, const char *where,
                Error *error) {
    Machine machine = {.data = data, .bytes = bytes, .arena = arena, .stack_capacity = 64};
    int status = 0;
    *out = NULL;
    if (bytes > PICKLE_MAX_BYTES)
        return error_set(error, "%s: the pickle is %zu bytes long, expected at most %d", where, bytes,
                         PICKLE_MAX_BYTES);
    machine.stack = mem_alloc(machine.stack_capacity * sizeof *machine.stack);
    if (run(&machine, error))
        status = error_prefix(error, "%s: the pickle, before byte %zu", where, machine.at);
    *out = machine.result;
    free(machine.stack);
    free(machine.marks);
    free(machine.memo);
    return status;
}
