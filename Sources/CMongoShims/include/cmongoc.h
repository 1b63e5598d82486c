/// libmongoc for Swift, with what its macros and variadics hide, and JSON text ↔ BSON without libbson's Extended JSON
/// (which would interpret a client's `{"$date": …}` or `{"$oid": …}`).
#pragma once

#include <libmongoc-1.0/mongoc/mongoc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Loads libmongoc, by the name of its file. To be called once, before any other function of it: there is nothing behind them until then.
/// Returns false when the file cannot be loaded or lacks a function; `failure`, of `size` bytes, then says which.
bool cmongoc_load(const char *library, char *failure, size_t size);

/// Appends JSON text (any value: object, array, string, number, true, false, null) to `document` under `key`.
/// Keys with `$` and `.` and empty keys are taken as they are; integers become int64, other numbers doubles.
/// `text` needs no padding (it is copied if it must be). Returns false when it is not valid JSON, nests beyond 100, holds
/// a NUL in a key or the document would exceed BSON's size; `document` is then to be thrown away.
bool cmongoc_append_json(bson_t *document, const char *key, size_t key_length, const char *text, size_t length);

/// Writes a BSON document's (or array's) bytes as JSON text, the inverse of `cmongoc_append_json`: doubles keep a `.` or
/// an exponent and read back the same; keys keep their order.
/// Returns malloc'd bytes, to be freed with `free`, and their number; NULL when `bson` is not valid BSON or holds a type
/// that JSON text does not make.
char *cmongoc_json_from_bson(const uint8_t *bson, size_t length, bool is_array, size_t *out_length);

// What follows stands here because `bson_t` is 128-byte aligned: Swift sees an opaque pointer, neither its length nor a way
// to have one on the stack for a reply.

/// The bytes of a document, as `bson_get_data` gives them, are this many.
static inline uint32_t cmongoc_length(const bson_t *document) { return document->len; }

/// `mongoc_bulk_operation_execute`. Returns the reply, to be freed with `bson_destroy`; `*ok` says whether everything went well.
static inline bson_t *cmongoc_bulk_execute(mongoc_bulk_operation_t *bulk, bool *ok, bson_error_t *error) {
  bson_t reply;
  *ok = mongoc_bulk_operation_execute(bulk, &reply, error) != 0;
  bson_t *copy = bson_copy(&reply);
  bson_destroy(&reply);
  return copy;
}

/// `mongoc_client_write_command_with_opts` (under the client's write concern) or, for reads, `mongoc_client_command_simple` on
/// the primary. Returns the reply, to be freed with `bson_destroy`; `*ok` says whether it went well.
static inline bson_t *cmongoc_command(mongoc_client_t *client, const char *database, const bson_t *command, bool writes, bool *ok,
                                      bson_error_t *error) {
  bson_t reply;
  *ok = writes ? mongoc_client_write_command_with_opts(client, database, command, NULL, &reply, error)
               : mongoc_client_command_simple(client, database, command, NULL, &reply, error);
  bson_t *copy = bson_copy(&reply);
  bson_destroy(&reply);
  return copy;
}

/// Tells the server to stop what the sessions with these ids (documents) are doing, and to close their cursors.
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
