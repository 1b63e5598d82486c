/// libmongoc for Swift, including what its macros and variadics hide, and JSON text ↔ BSON without libbson's Extended JSON
/// (which would interpret a client's `{"$date": …}` or `{"$oid": …}`).
#pragma once

#include <libmongoc-1.0/mongoc/mongoc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Loads libmongoc by its file name. Must be called once, before any other function of it; they crash without it.
/// Returns false if the file cannot be loaded or lacks a function; the reason is then in `failure`, which has `size` bytes.
bool cmongoc_load(const char *library, char *failure, size_t size);

/// Appends JSON text (any value: object, array, string, number, true, false, null) to `document` under `key`.
/// Keys with `$` and `.` and empty keys are kept unchanged; integers become int64, other numbers doubles.
/// `text` needs no padding (it is copied if necessary). Returns false if it is not valid JSON, nests beyond 100, has
/// a NUL in a key, or if the document would exceed BSON's size; `document` must then be discarded.
bool cmongoc_append_json(bson_t *document, const char *key, size_t key_length, const char *text, size_t length);

/// Writes a BSON document's (or array's) bytes as JSON text, the inverse of `cmongoc_append_json`: doubles keep a `.` or
/// an exponent and read back the same; keys keep their order.
/// Returns malloc'd bytes, which the caller frees with `free`, and their number; NULL if `bson` is not valid BSON or has a type
/// that JSON text does not produce.
char *cmongoc_json_from_bson(const uint8_t *bson, size_t length, bool is_array, size_t *out_length);

// The following functions are in C because `bson_t` is 128-byte aligned: Swift sees an opaque pointer. It cannot read its length or
// put one on the stack for a reply.

/// The number of bytes of a document, whose address `bson_get_data` returns.
static inline uint32_t cmongoc_length(const bson_t *document) { return document->len; }

/// `mongoc_bulk_operation_execute`. Returns the reply, which the caller frees with `bson_destroy`; `*ok` is whether all succeeded.
static inline bson_t *cmongoc_bulk_execute(mongoc_bulk_operation_t *bulk, bool *ok, bson_error_t *error) {
  bson_t reply;
  *ok = mongoc_bulk_operation_execute(bulk, &reply, error) != 0;
  bson_t *copy = bson_copy(&reply);
  bson_destroy(&reply);
  return copy;
}

/// `mongoc_client_write_command_with_opts` (with the client's write concern) or, for reads, `mongoc_client_command_simple` on
/// the primary. Returns the reply, which the caller frees with `bson_destroy`; `*ok` is whether it succeeded.
static inline bson_t *cmongoc_command(mongoc_client_t *client, const char *database, const bson_t *command, bool writes, bool *ok,
                                      bson_error_t *error) {
  bson_t reply;
  *ok = writes ? mongoc_client_write_command_with_opts(client, database, command, NULL, &reply, error)
               : mongoc_client_command_simple(client, database, command, NULL, &reply, error);
  bson_t *copy = bson_copy(&reply);
  bson_destroy(&reply);
  return copy;
}

/// Stops the operations of the sessions with these ids (documents) on the server, and closes their cursors.
/// https://www.mongodb.com/docs/v6.0/reference/command/killSessions/
static inline bool cmongoc_kill_sessions(mongoc_client_t *client, const bson_t *ids, bson_error_t *error) {
  bson_t command = BSON_INITIALIZER;
  bson_append_array(&command, "killSessions", -1, ids);
  bool ok = mongoc_client_command_simple(client, "admin", &command, NULL, NULL, error);
  bson_destroy(&command);
  return ok;
}

#ifdef __cplusplus
}
#endif
