// libmongoc is loaded when the first store is opened, not linked. Its constructor, which runs before `main`, sets up OpenSSL, SASL with
// its plug-ins and a file in /dev/shm, and writes to stderr if that file exists. A process without MongoDB must not run it.
//
// Each libmongoc function that is called is listed here, and its declaration is checked against the header. A function that is missing
// here does not link. libbson has no such constructor and is linked.
#include "cmongoc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define FUNCTIONS(F)                                                                                                               \
  F(void, init, (void), ())                                                                                                        \
  F(void, log_set_handler, (mongoc_log_func_t a, void *b), (a, b))                                                                 \
  /* connection strings and concerns */                                                                                            \
  F(mongoc_uri_t *, uri_new_with_error, (const char *a, bson_error_t *b), (a, b))                                                  \
  F(mongoc_uri_t *, uri_copy, (const mongoc_uri_t *a), (a))                                                                        \
  F(void, uri_destroy, (mongoc_uri_t * a), (a))                                                                                    \
  F(const char *, uri_get_database, (const mongoc_uri_t *a), (a))                                                                  \
  F(int32_t, uri_get_option_as_int32, (const mongoc_uri_t *a, const char *b, int32_t c), (a, b, c))                                \
  F(const char *, uri_get_option_as_utf8, (const mongoc_uri_t *a, const char *b, const char *c), (a, b, c))                        \
  F(bool, uri_set_option_as_int32, (mongoc_uri_t * a, const char *b, int32_t c), (a, b, c))                                        \
  F(const mongoc_write_concern_t *, uri_get_write_concern, (const mongoc_uri_t *a), (a))                                           \
  F(void, uri_set_write_concern, (mongoc_uri_t * a, const mongoc_write_concern_t *b), (a, b))                                      \
  F(void, uri_set_read_concern, (mongoc_uri_t * a, const mongoc_read_concern_t *b), (a, b))                                        \
  F(void, uri_set_read_prefs_t, (mongoc_uri_t * a, const mongoc_read_prefs_t *b), (a, b))                                          \
  F(mongoc_write_concern_t *, write_concern_new, (void), ())                                                                       \
  F(void, write_concern_destroy, (mongoc_write_concern_t * a), (a))                                                                \
  F(bool, write_concern_get_journal, (const mongoc_write_concern_t *a), (a))                                                       \
  F(int32_t, write_concern_get_w, (const mongoc_write_concern_t *a), (a))                                                          \
  F(const char *, write_concern_get_wtag, (const mongoc_write_concern_t *a), (a))                                                  \
  F(bool, write_concern_journal_is_set, (const mongoc_write_concern_t *a), (a))                                                    \
  F(void, write_concern_set_journal, (mongoc_write_concern_t * a, bool b), (a, b))                                                 \
  F(void, write_concern_set_wmajority, (mongoc_write_concern_t * a, int32_t b), (a, b))                                            \
  F(mongoc_read_concern_t *, read_concern_new, (void), ())                                                                         \
  F(void, read_concern_destroy, (mongoc_read_concern_t * a), (a))                                                                  \
  F(bool, read_concern_set_level, (mongoc_read_concern_t * a, const char *b), (a, b))                                              \
  F(mongoc_read_prefs_t *, read_prefs_new, (mongoc_read_mode_t a), (a))                                                            \
  F(void, read_prefs_destroy, (mongoc_read_prefs_t * a), (a))                                                                      \
  /* clients */                                                                                                                    \
  F(mongoc_client_pool_t *, client_pool_new_with_error, (const mongoc_uri_t *a, bson_error_t *b), (a, b))                          \
  F(void, client_pool_destroy, (mongoc_client_pool_t * a), (a))                                                                    \
  F(void, client_pool_max_size, (mongoc_client_pool_t * a, uint32_t b), (a, b))                                                    \
  F(bool, client_pool_set_appname, (mongoc_client_pool_t * a, const char *b), (a, b))                                              \
  F(bool, client_pool_set_error_api, (mongoc_client_pool_t * a, int32_t b), (a, b))                                                \
  F(mongoc_client_t *, client_pool_pop, (mongoc_client_pool_t * a), (a))                                                           \
  F(void, client_pool_push, (mongoc_client_pool_t * a, mongoc_client_t * b), (a, b))                                               \
  /* sessions */                                                                                                                 \
  F(mongoc_client_session_t *, client_start_session,                                                                               \
    (mongoc_client_t * a, const mongoc_session_opt_t *b, bson_error_t *c), (a, b, c))                                              \
  F(bool, client_session_append, (const mongoc_client_session_t *a, bson_t *b, bson_error_t *c), (a, b, c))                        \
  F(const bson_t *, client_session_get_lsid, (const mongoc_client_session_t *a), (a))                                              \
  F(void, client_session_get_operation_time, (const mongoc_client_session_t *a, uint32_t *b, uint32_t *c), (a, b, c))              \
  F(void, client_session_advance_operation_time, (mongoc_client_session_t * a, uint32_t b, uint32_t c), (a, b, c))                 \
  F(const bson_t *, client_session_get_cluster_time, (const mongoc_client_session_t *a), (a))                                      \
  F(void, client_session_advance_cluster_time, (mongoc_client_session_t * a, const bson_t *b), (a, b))                             \
  F(void, client_session_destroy, (mongoc_client_session_t * a), (a))                                                              \
  /* commands, reads, writes */                                                                                                    \
  F(bool, client_command_simple,                                                                                                   \
    (mongoc_client_t * a, const char *b, const bson_t *c, const mongoc_read_prefs_t *d, bson_t *e, bson_error_t *f),               \
    (a, b, c, d, e, f))                                                                                                            \
  F(bool, client_write_command_with_opts,                                                                                          \
    (mongoc_client_t * a, const char *b, const bson_t *c, const bson_t *d, bson_t *e, bson_error_t *f), (a, b, c, d, e, f))        \
  F(mongoc_collection_t *, client_get_collection, (mongoc_client_t * a, const char *b, const char *c), (a, b, c))                  \
  F(void, collection_destroy, (mongoc_collection_t * a), (a))                                                                      \
  F(mongoc_cursor_t *, collection_find_with_opts,                                                                                  \
    (mongoc_collection_t * a, const bson_t *b, const bson_t *c, const mongoc_read_prefs_t *d), (a, b, c, d))                       \
  F(mongoc_cursor_t *, collection_aggregate,                                                                                       \
    (mongoc_collection_t * a, mongoc_query_flags_t b, const bson_t *c, const bson_t *d, const mongoc_read_prefs_t *e),             \
    (a, b, c, d, e))                                                                                                               \
  F(mongoc_cursor_t *, collection_find_indexes_with_opts, (mongoc_collection_t * a, const bson_t *b), (a, b))                      \
  F(bool, cursor_next, (mongoc_cursor_t * a, const bson_t **b), (a, b))                                                            \
  F(bool, cursor_error, (mongoc_cursor_t * a, bson_error_t *b), (a, b))                                                            \
  F(void, cursor_destroy, (mongoc_cursor_t * a), (a))                                                                              \
  F(mongoc_bulk_operation_t *, collection_create_bulk_operation_with_opts, (mongoc_collection_t * a, const bson_t *b), (a, b))     \
  F(bool, bulk_operation_insert_with_opts,                                                                                         \
    (mongoc_bulk_operation_t * a, const bson_t *b, const bson_t *c, bson_error_t *d), (a, b, c, d))                                \
  F(bool, bulk_operation_update_many_with_opts,                                                                                    \
    (mongoc_bulk_operation_t * a, const bson_t *b, const bson_t *c, const bson_t *d, bson_error_t *e), (a, b, c, d, e))            \
  F(bool, bulk_operation_update_one_with_opts,                                                                                               \
    (mongoc_bulk_operation_t * a, const bson_t *b, const bson_t *c, const bson_t *d, bson_error_t *e), (a, b, c, d, e))                      \
  F(bool, bulk_operation_remove_many_with_opts,                                                                                    \
    (mongoc_bulk_operation_t * a, const bson_t *b, const bson_t *c, bson_error_t *d), (a, b, c, d))                                \
  F(uint32_t, bulk_operation_execute, (mongoc_bulk_operation_t * a, bson_t *b, bson_error_t *c), (a, b, c))                        \
  F(void, bulk_operation_destroy, (mongoc_bulk_operation_t * a), (a))

struct functions {
#define FIELD(result, name, parameters, arguments) __typeof__(mongoc_##name) *name;
  FUNCTIONS(FIELD)
};

static struct functions functions;

#define TRAMPOLINE(result, name, parameters, arguments)                                                                            \
  result mongoc_##name parameters { return functions.name arguments; }

// Not exported: libmongoc's calls of its own functions must not come back here.
#pragma GCC visibility push(hidden)
FUNCTIONS(TRAMPOLINE)
#pragma GCC visibility pop

// Runs before any thread can read the environment. Nothing reads the counters that libmongoc would share through /dev/shm, and kill -9
// would leave the file behind.
__attribute__((constructor)) static void keep_counters_private(void) { setenv("MONGOC_DISABLE_SHM", "1", 1); }

bool cmongoc_load(const char *library, char *failure, size_t size) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, size, "%s", dlerror());
    return false;
  }
  struct functions found;
#define RESOLVE(result, symbol, parameters, arguments)                                                                             \
  if (!(found.symbol = (__typeof__(mongoc_##symbol) *)dlsym(handle, "mongoc_" #symbol))) {                                         \
    snprintf(failure, size, "%s has no function mongoc_%s", library, #symbol);                                                     \
    dlclose(handle);                                                                                                               \
    return false;                                                                                                                  \
  }
  FUNCTIONS(RESOLVE)
  functions = found;
  return true;
}
