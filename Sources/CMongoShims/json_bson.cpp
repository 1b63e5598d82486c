#include "cmongoc.h"

#include "cjson.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <simdjson.h>
#include <string_view>
#include <utility>

namespace dom = simdjson::dom;

namespace {

/// A thread's parser grows with the longest text it has parsed (to about 15 times the text). A parser above this capacity is
/// freed at once, so that one large document does not hold memory forever.
constexpr size_t kept_capacity = 512 * 1024;

/// Maximum nesting of containers in a text. MongoDB accepts 180 levels in a document.
constexpr int deepest_text = 100;
constexpr int deepest_document = 200;

// --- JSON to BSON -----------------------------------------------------------------------------------------------------

bool append(bson_t *document, std::string_view key, dom::element value, int depth_left);

bool append_members(bson_t *document, dom::object object, int depth_left) {
  for (const dom::key_value_pair member : object) {
    if (!append(document, member.key, member.value, depth_left)) return false;
  }
  return true;
}

bool append_elements(bson_t *document, dom::array array, int depth_left) {
  uint32_t index = 0;
  for (const dom::element element : array) {
    char buffer[16];
    const char *key;
    const size_t length = bson_uint32_to_string(index++, &key, buffer, sizeof buffer);
    if (!append(document, std::string_view(key, length), element, depth_left)) return false;
  }
  return true;
}

bool append(bson_t *document, std::string_view key, dom::element value, int depth_left) {
  if (key.size() > BSON_MAX_SIZE || std::memchr(key.data(), 0, key.size())) return false;
  const int key_length = static_cast<int>(key.size());
  switch (value.type()) {
  case dom::element_type::OBJECT:
  case dom::element_type::ARRAY: {
    if (depth_left == 0) return false;
    const bool is_object = value.type() == dom::element_type::OBJECT;
    bson_t child;
    const bool begun = is_object ? bson_append_document_begin(document, key.data(), key_length, &child)
                                 : bson_append_array_begin(document, key.data(), key_length, &child);
    if (!begun) return false;
    const bool filled = is_object ? append_members(&child, value.get_object().value_unsafe(), depth_left - 1)
                                  : append_elements(&child, value.get_array().value_unsafe(), depth_left - 1);
    // Also after a failure: an open child would prevent destroying the parent.
    const bool ended = is_object ? bson_append_document_end(document, &child) : bson_append_array_end(document, &child);
    return filled && ended;
  }
  case dom::element_type::STRING: {
    const std::string_view string = value.get_string().value_unsafe();
    if (string.size() > BSON_MAX_SIZE) return false;
    return bson_append_utf8(document, key.data(), key_length, string.data(), static_cast<int>(string.size()));
  }
  case dom::element_type::INT64:
    return bson_append_int64(document, key.data(), key_length, value.get_int64().value_unsafe());
  case dom::element_type::DOUBLE:
    return bson_append_double(document, key.data(), key_length, value.get_double().value_unsafe());
  case dom::element_type::BOOL:
    return bson_append_bool(document, key.data(), key_length, value.get_bool().value_unsafe());
  case dom::element_type::NULL_VALUE:
    return bson_append_null(document, key.data(), key_length);
  case dom::element_type::UINT64:  // simdjson produces it only beyond int64, and BSON has none
    return false;
  }
  return false;
}

// --- BSON to JSON -----------------------------------------------------------------------------------------------------

/// Most strings are short and ASCII: checking eight bytes at once is cheaper than a call into the library.
bool is_utf8(std::string_view text) {
  const char *p = text.data();
  const char *end = p + text.size();
  uint64_t seen = 0;
  for (; end - p >= 8; p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    seen |= word;
  }
  for (; p < end; p++) seen |= static_cast<unsigned char>(*p);
  return (seen & 0x8080808080808080u) == 0 || simdjson::validate_utf8(text.data(), text.size());
}

/// malloc'd bytes that grow; functions return false if memory is exhausted.
struct output {
  char *start = nullptr;
  size_t size = 0;
  size_t capacity = 0;

  ~output() { std::free(start); }

  char *room(size_t count) {
    if (capacity - size < count) {
      const size_t wanted = capacity * 2 > size + count ? capacity * 2 : size + count;
      char *bigger = static_cast<char *>(std::realloc(start, wanted));
      if (!bigger) return nullptr;
      start = bigger;
      capacity = wanted;
    }
    return start + size;
  }
  bool put(std::string_view text) {
    char *out = room(text.size());
    if (!out) return false;
    std::memcpy(out, text.data(), text.size());
    size += text.size();
    return true;
  }
  bool put(char c) { return put(std::string_view(&c, 1)); }
  bool put_integer(int64_t value) {
    char *out = room(24);
    if (!out) return false;
    size += static_cast<size_t>(std::to_chars(out, out + 24, value).ptr - out);
    return true;
  }
  bool put_double(double value) {
    char *out = room(CJSON_DOUBLE_SIZE);
    if (!out) return false;
    const size_t count = cjson_write_double(value, out);
    size += count;
    return count > 0;
  }
  bool put_string(std::string_view text) {
    if (!is_utf8(text)) return false;
    char *out = room(6 * text.size() + 2);
    if (!out) return false;
    size += cjson_write_string(text.data(), text.size(), out);
    return true;
  }
};

/// Reads BSON byte by byte instead of with libbson's iterator: that takes a third of the calls, and every length is checked
/// against the remaining bytes before anything after it is read.
struct reader {
  const uint8_t *next;
  const uint8_t *end;

  size_t left() const { return static_cast<size_t>(end - next); }

  template <typename T> bool take(T &value) {
    if (left() < sizeof value) return false;
    uint8_t bytes[sizeof value];
    std::memcpy(bytes, next, sizeof value);
    if constexpr (BSON_BYTE_ORDER == BSON_BIG_ENDIAN) {
      for (size_t i = 0; i < sizeof value / 2; i++) std::swap(bytes[i], bytes[sizeof value - 1 - i]);
    }
    std::memcpy(&value, bytes, sizeof value);
    next += sizeof value;
    return true;
  }
  bool take_key(std::string_view &key) {
    const void *nul = std::memchr(next, 0, left());
    if (!nul) return false;
    const auto *behind = static_cast<const uint8_t *>(nul);
    key = std::string_view(reinterpret_cast<const char *>(next), static_cast<size_t>(behind - next));
    next = behind + 1;
    return true;
  }
  bool take_string(std::string_view &string) {
    int32_t length;
    if (!take(length) || length < 1 || static_cast<size_t>(length) > left()) return false;
    string = std::string_view(reinterpret_cast<const char *>(next), static_cast<size_t>(length) - 1);
    next += length;
    return next[-1] == 0;
  }
  /// The elements of a document or array, without its length and its closing NUL.
  bool take_document(reader &elements) {
    const uint8_t *start = next;
    int32_t length;
    if (!take(length) || length < 5 || static_cast<size_t>(length) > static_cast<size_t>(end - start)) return false;
    elements = {next, start + length - 1};
    next = start + length;
    return next[-1] == 0;
  }
};

bool write_elements(output &out, reader in, bool is_array, int depth_left);

bool write_value(output &out, reader &in, uint8_t type, int depth_left) {
  switch (type) {
  case BSON_TYPE_UTF8: {
    std::string_view string;
    return in.take_string(string) && out.put_string(string);
  }
  case BSON_TYPE_INT32: {
    int32_t value;
    return in.take(value) && out.put_integer(value);
  }
  case BSON_TYPE_INT64:
  case BSON_TYPE_DATE_TIME: {
    int64_t value;
    return in.take(value) && out.put_integer(value);
  }
  case BSON_TYPE_DOUBLE: {
    double value;
    return in.take(value) && out.put_double(value);
  }
  case BSON_TYPE_BOOL: {
    uint8_t value;
    return in.take(value) && value <= 1 && out.put(value ? std::string_view("true") : std::string_view("false"));
  }
  case BSON_TYPE_NULL:
    return out.put("null");
  case BSON_TYPE_DOCUMENT:
  case BSON_TYPE_ARRAY: {
    reader elements{};
    return depth_left > 0 && in.take_document(elements) &&
           write_elements(out, elements, type == BSON_TYPE_ARRAY, depth_left - 1);
  }
  default:
    return false;
  }
}

bool write_elements(output &out, reader in, bool is_array, int depth_left) {
  if (!out.put(is_array ? '[' : '{')) return false;
  bool first = true;
  while (in.left() > 0) {
    const uint8_t type = *in.next++;
    std::string_view key;
    if (!in.take_key(key)) return false;
    if (!first && !out.put(',')) return false;
    first = false;
    if (is_array) {
      // Elements are identified by their order. Their keys are ignored indices, but must still be valid text.
      if (!is_utf8(key)) return false;
    } else if (!out.put_string(key) || !out.put(':')) {
      return false;
    }
    if (!write_value(out, in, type, depth_left)) return false;
  }
  return out.put(is_array ? ']' : '}');
}

}  // namespace

bool cmongoc_append_json(bson_t *document, const char *key, size_t key_length, const char *text, size_t length) {
  // Newer simdjson versions skip a byte order mark. This gives the same result with every version.
  if (length == 0 || (length >= 3 && std::memcmp(text, "\xef\xbb\xbf", 3) == 0)) return false;
  try {
    static thread_local dom::parser parser;
    dom::element value;
    const bool appended = parser.parse(text, length, true).get(value) == simdjson::SUCCESS &&
                          append(document, std::string_view(key, key_length), value, deepest_text);
    if (parser.capacity() > kept_capacity) parser = dom::parser();
    return appended;
  } catch (...) {  // no exception may reach C or Swift
    return false;
  }
}

char *cmongoc_json_from_bson(const uint8_t *bson, size_t length, bool is_array, size_t *out_length) {
  *out_length = 0;
  if (bson == nullptr) return nullptr;
  output out;
  // Most documents become only a little longer or shorter, so the buffer rarely grows.
  out.capacity = length + length / 2 + 64;
  out.start = static_cast<char *>(std::malloc(out.capacity));
  if (!out.start) return nullptr;

  reader in{bson, bson + length};
  reader elements{};
  if (!in.take_document(elements) || in.left() != 0) return nullptr;
  if (!write_elements(out, elements, is_array, deepest_document)) return nullptr;
  // The buffer had room for the worst case of escapes in a long string.
  if (out.capacity > 65536 && out.capacity / 2 > out.size) {
    if (char *smaller = static_cast<char *>(std::realloc(out.start, out.size))) out.start = smaller;
  }
  char *text = out.start;
  *out_length = out.size;
  out.start = nullptr;
  return text;
}
