/// JSON for the hot path: a C interface to simdjson, which parses and validates gigabytes per second.
///
/// Four layers:
///
/// - A *scanner* splits an array or object into its raw elements or members without parsing them, so that one invalid event
///   (bad UTF-8, a number out of range, too deep) does not invalidate the rest of its batch.
/// - A *parser* validates one whole object and returns its top-level members; nested values are returned as normalised JSON text
///   (no white space, keys in their order, every number in its shortest form that reads back the same), so that a client's
///   nested data never becomes Swift values.
/// - A *matcher* checks whether conditions on paths hold for a stored text.
/// - A *reader* returns the scalars at paths of a stored text.
///
/// Every input buffer must have `CJSON_PADDING` readable bytes after its end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Readable bytes required after every buffer (simdjson reads whole registers).
#define CJSON_PADDING 64

/// Borrowed bytes. `bytes` is NULL if there are none.
typedef struct {
  const char *bytes;
  size_t length;
} cjson_view;

/// Why a text was refused. The numbers are stable: Swift maps them to an event's reason.
typedef enum : int32_t {
  CJSON_OK = 0,
  CJSON_END = 1,                 // scanner: end of the container
  CJSON_SYNTAX = 2,              // not JSON
  CJSON_UTF8 = 3,                // not UTF-8
  CJSON_DEPTH = 4,               // nested deeper than allowed
  CJSON_DUPLICATE_KEY = 5,       // the same key twice in one object, at any depth
  CJSON_NUL_IN_KEY = 6,          // U+0000 in a key: BSON keys are C strings
  CJSON_NUMBER = 7,              // a malformed number, or one that fits neither int64 nor a finite double
  CJSON_NOT_OBJECT = 8,          // valid JSON, but not an object
  CJSON_MEMORY = 9,
} cjson_status;

typedef enum : uint8_t {
  CJSON_NULL = 0,
  CJSON_BOOL = 1,
  CJSON_INTEGER = 2,             // fits int64
  CJSON_DOUBLE = 3,
  CJSON_STRING = 4,              // `text` is the unescaped UTF-8
  CJSON_ARRAY = 5,               // `text` is normalised JSON
  CJSON_OBJECT = 6,              // `text` is normalised JSON
} cjson_kind;

typedef struct {
  cjson_view key;                // unescaped UTF-8
  cjson_kind kind;
  bool boolean;
  int64_t integer;
  double number;                 // set for CJSON_DOUBLE and CJSON_INTEGER
  cjson_view text;               // string: unescaped; array, object, number, boolean, null: normalised JSON
} cjson_member;

// --- Scanner ----------------------------------------------------------------------------------------------------------

/// Splits a JSON array or object into raw slices. It parses only strings, escapes and brackets.
typedef struct {
  const char *next;
  const char *end;
  char close;                    // ']' or '}'; 0 at the end or after a failure (each further call then returns the same)
  bool first;
} cjson_scanner;

/// Starts on an array ('[') or an object ('{'); white space before it is allowed.
/// Returns CJSON_OK, or CJSON_SYNTAX if `open` is not the first byte.
cjson_status cjson_scan_begin(cjson_scanner *scanner, const char *text, size_t length, char open);

/// The next element of an array, raw, white space trimmed. CJSON_END after the last element. After the closing bracket only white
/// space may follow: anything else, a missing comma or an unclosed bracket is CJSON_SYNTAX, with `scanner->next` at its position.
cjson_status cjson_scan_element(cjson_scanner *scanner, cjson_view *element);

/// The next member of an object: the raw key between its quotes (escapes not resolved) and the raw value.
cjson_status cjson_scan_member(cjson_scanner *scanner, cjson_view *key, cjson_view *value);

// --- Parser -----------------------------------------------------------------------------------------------------------

/// Holds simdjson's buffers and the members of the last object parsed. One thread at a time.
typedef struct cjson_parser cjson_parser;

cjson_parser *cjson_parser_new(void);
void cjson_parser_free(cjson_parser *parser);

/// Parses one object and validates all of it: syntax, UTF-8, depth, duplicate keys, NUL in keys, numbers.
/// `max_depth` counts containers: `{}` is 1, `{"a":[]}` is 2.
/// On CJSON_OK `*members` and `*count` are set; the views are valid until the next parse or free.
/// On an error `*where` is the top-level key of the value with the error, if known (otherwise its bytes are NULL).
cjson_status cjson_parse_object(cjson_parser *parser, const char *text, size_t length, uint32_t max_depth,
                                const cjson_member **members, size_t *count, cjson_view *where);

// --- Matcher ----------------------------------------------------------------------------------------------------------

/// Conditions on the values of a text. Each has a path of keys and a list of values; one of the values must be at the end of
/// the path. An array stands for its elements, along the path and at its end; a nested array does not. Strings and keys are
/// compared by their bytes, numbers by their exact value. Not thread-safe.
typedef struct cjson_matcher cjson_matcher;

cjson_matcher *cjson_matcher_new(void);
void cjson_matcher_free(cjson_matcher *matcher);

/// Begins a condition; the other functions add to the latest one. CJSON_OK or CJSON_MEMORY.
cjson_status cjson_matcher_add_condition(cjson_matcher *matcher);
cjson_status cjson_matcher_add_key(cjson_matcher *matcher, const char *bytes, size_t length);
cjson_status cjson_matcher_add_string(cjson_matcher *matcher, const char *bytes, size_t length);
cjson_status cjson_matcher_add_integer(cjson_matcher *matcher, int64_t value);
cjson_status cjson_matcher_add_double(cjson_matcher *matcher, double value);
void cjson_matcher_add_boolean(cjson_matcher *matcher, bool value);
void cjson_matcher_add_null(cjson_matcher *matcher);

/// Sets `*matches` to whether all conditions hold for a JSON text of any type. On an error it is false.
cjson_status cjson_matcher_match(cjson_matcher *matcher, const char *text, size_t length, bool *matches);

// --- Reader -----------------------------------------------------------------------------------------------------------

/// Paths of keys, with the same meaning as a matcher's. Not thread-safe.
typedef struct cjson_reader cjson_reader;

typedef struct {
  uint32_t path;                 // index in the list of paths
  cjson_kind kind;               // never an array or an object
  bool boolean;
  int64_t integer;
  double number;                 // set for CJSON_DOUBLE
  cjson_view text;               // set for CJSON_STRING: unescaped
} cjson_value;

cjson_reader *cjson_reader_new(void);
void cjson_reader_free(cjson_reader *reader);

/// Begins a path; keys are added to the latest one. CJSON_OK or CJSON_MEMORY.
cjson_status cjson_reader_add_path(cjson_reader *reader);
cjson_status cjson_reader_add_key(cjson_reader *reader, const char *bytes, size_t length);

/// Returns the scalars at the paths of a JSON text of any type, path by path, each in the order of the text. They are valid until the next
/// call. On an error there are none.
cjson_status cjson_reader_read(cjson_reader *reader, const char *text, size_t length, const cjson_value **values, size_t *count);

// --- Writing ----------------------------------------------------------------------------------------------------------

/// Writes `length` bytes of UTF-8 as a JSON string with quotes to `out`, which must have room for
/// 6 × length + 2 bytes. Returns the number of bytes written. Escapes only ", \ and U+0000–U+001F.
size_t cjson_write_string(const char *bytes, size_t length, char *out);

/// The room that `cjson_write_double` needs.
#define CJSON_DOUBLE_SIZE 32

/// Writes a finite number in the shortest form that reads back the same, followed by ".0" if it would otherwise
/// read back as an integer. Returns the number of bytes written, 0 for NaN and infinities: JSON has none.
size_t cjson_write_double(double number, char *out);

#ifdef __cplusplus
}
#endif
