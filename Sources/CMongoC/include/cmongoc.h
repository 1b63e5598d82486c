/// libmongoc for Swift, with what its macros and variadics hide, and JSON text ↔ BSON without libbson's Extended JSON
/// (which would interpret a client's `{"$date": …}` or `{"$oid": …}`).
#pragma once

#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
