/* What the files of db share: the connection with its cached statements, and the one way to run a statement
 * and to turn SQLite's codes into sentences. */
#ifndef ZEVAL_DB_INTERNAL_H
#define ZEVAL_DB_INTERNAL_H

#include "base/hash.h"
#include "db/db.h"

/* Every statement that the room runs more than once: db/statements.c holds their SQL. */
typedef enum Statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_RUN_FIND,
    STATEMENT_RUN_INSERT,
    STATEMENT_RUN_FINISH,
    STATEMENT_RUN_PROGRESS,
    STATEMENT_RUN_PLAN,
    STATEMENT_RUN_WORK,
    STATEMENT_WORKER_INSERT,
    STATEMENT_WORKER_DELETE,
    STATEMENT_CLAIM_FIND,
    STATEMENT_CLAIM_INSERT,
    STATEMENT_FILE_PUT,
    STATEMENT_TASK_PUT,
    STATEMENT_TASK_FIND,
    STATEMENT_GROUP_PUT,
    STATEMENT_GROUP_FIND,
    STATEMENT_GROUP_CLEAR,
    STATEMENT_GROUP_MEMBER,
    STATEMENT_TEXT_FIND,
    STATEMENT_TEXT_INSERT,
    STATEMENT_DOCUMENT_PUT,
    STATEMENT_REQUEST_PUT,
    STATEMENT_RESPONSE_FIND,
    STATEMENT_RESPONSE_PUT,
    STATEMENT_METRIC_PUT,
    STATEMENT_OUTPUT_PUT,
    STATEMENT_RESULT_PUT,
    STATEMENT_METRICS_CLEAR,
    STATEMENT_OUTPUTS_CLEAR,
    STATEMENT_RESULTS_CLEAR,
    STATEMENT_TASK_FILES_CLEAR,
    STATEMENT_RUN_FINGERPRINT,
    N_STATEMENTS
} Statement;

/* Ids that the last calls looked up: documents come task by task, and the requests of a document share their
 * context. They name rows that a rollback may take away, so db_forget clears them. */
typedef struct DbRecent {
    int64_t run_id, task_id; /* task_id 0: nothing remembered */
    char *task;
    int64_t text_id; /* 0: nothing remembered */
    char *text;
} DbRecent;

struct Db {
    sqlite3 *connection;
    sqlite3_stmt *statements[N_STATEMENTS];
    char *path;      /* as the user gave it, for messages */
    char *full_path; /* absolute, links resolved */
    int lock;        /* file descriptor of the lock file; -1 for readers */
    int64_t worker;  /* our own number; 0: none */
    DbRecent recent;
    char *found_text; /* of the response found last */
};

/* A value to bind. Texts and keys are not copied: they must live until the statement is reset. */
typedef enum DbValueKind { VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_KEY } DbValueKind;
typedef struct DbValue {
    DbValueKind kind;
    int64_t integer;
    double real;
    const char *text;
    const uint8_t *key; /* SHA256_BYTES bytes */
} DbValue;

DbValue value_integer(int64_t integer);
DbValue value_real(double real);
DbValue value_text(const char *text); /* NULL becomes NULL */
DbValue value_key(const uint8_t key[SHA256_BYTES]);

#define VALUES(...)                                                                                          \
    (const DbValue[]){__VA_ARGS__}, (int)(sizeof((const DbValue[]){__VA_ARGS__}) / sizeof(DbValue))

/* The statement, prepared on first use, reset and bound; NULL on failure. Step it, then reset it. */
sqlite3_stmt *db_statement(Db *db, Statement which, const DbValue *values, int n_values, Error *error);
/* Runs a statement that returns no rows. */
int db_execute(Db *db, Statement which, const DbValue *values, int n_values, Error *error);
/* Runs a statement that returns one integer: 1 and *out, 0 if there is no row, -1 on failure. */
int db_query_integer(Db *db, Statement which, const DbValue *values, int n_values, int64_t *out,
                     Error *error);

/* Turns the connection's last failure into a sentence. Always returns -1. */
int db_fail(Db *db, int code, Error *error);

/* A call outside db_begin..db_commit is a transaction of its own: scope_open begins one unless one is open,
 * scope_close commits it when `result` is 0 and rolls it back otherwise. */
int scope_open(Db *db, bool *opened, Error *error);
int scope_close(Db *db, bool opened, int result, Error *error);

/* Forgets remembered ids. */
void db_forget(Db *db);

/* The id of a run's task; a task that was not stored is an error. */
int db_task_id(Db *db, int64_t run_id, const char *task, int64_t *task_id, Error *error);

/* Checks that the open file is ours and of a version that can be used in this mode. */
int schema_check(Db *db, DbMode mode, Error *error);
/* Brings an older schema, or an empty file, up to DB_SCHEMA_VERSION. */
int schema_migrate(Db *db, Error *error);

/* Opens the lock file beside `full_path`. */
int lock_open(int *lock, const char *full_path, const char *path, Error *error);
/* Takes one byte of it, waiting for a while; gives it back; tells whether another process has it. */
int lock_byte(int lock, int64_t byte, const char *path, Error *error);
void unlock_byte(int lock, int64_t byte);
bool lock_is_held(int lock, int64_t byte);

/* A key's 32 bytes from its 64 digits. */
int db_parse_key(Db *db, const char *hex, uint8_t key[SHA256_BYTES], Error *error);

#endif
