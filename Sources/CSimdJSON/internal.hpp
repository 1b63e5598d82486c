// Declarations shared by the parts of the shim.
#pragma once

#include "cjson.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

namespace dom = simdjson::dom;

namespace cjson {

/// How a byte is escaped: 0 not at all, 'u' as \u00XX, otherwise with a backslash and this letter.
struct escape_table {
  char letter[256] = {};
  constexpr escape_table() {
    for (int c = 0; c < 0x20; c++) letter[c] = 'u';
    letter[0x08] = 'b';
    letter[0x09] = 't';
    letter[0x0a] = 'n';
    letter[0x0c] = 'f';
    letter[0x0d] = 'r';
    letter[0x22] = '"';
    letter[0x5c] = '\\';
  }
};
inline constexpr escape_table escapes;

/// True if none of eight bytes needs an escape. May return false without need, but never true wrongly.
inline bool plain8(const char *bytes) {
  uint64_t w;
  std::memcpy(&w, bytes, 8);
  constexpr uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
  const uint64_t quote = w ^ (ones * 0x22), backslash = w ^ (ones * 0x5c);
  const uint64_t control = (w - ones * 0x20) & ~w;
  return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | control) & high ? false : true;
}

/// Writes the escaped text without quotes. `out` has room for 6 × length.
inline char *escape(const char *bytes, size_t length, char *out) {
  const char *end = bytes + length;
  while (bytes < end) {
    while (end - bytes >= 8 && plain8(bytes)) {
      std::memcpy(out, bytes, 8);
      bytes += 8;
      out += 8;
    }
    const char *stop = end - bytes > 8 ? bytes + 8 : end;
    for (; bytes < stop; bytes++) {
      const char letter = escapes.letter[static_cast<unsigned char>(*bytes)];
      if (letter == 0) {
        *out++ = *bytes;
        continue;
      }
      *out++ = '\\';
      *out++ = letter;
      if (letter == 'u') {
        *out++ = '0';
        *out++ = '0';
        *out++ = "0123456789abcdef"[static_cast<unsigned char>(*bytes) >> 4];
        *out++ = "0123456789abcdef"[*bytes & 15];
      }
    }
  }
  return out;
}

/// A growing byte buffer. Not std::string, which fills new space with zeros before it is overwritten.
class text_buffer {
public:
  text_buffer() = default;
  text_buffer(const text_buffer &) = delete;
  text_buffer &operator=(const text_buffer &) = delete;
  ~text_buffer() { std::free(start_); }

  const char *data() const { return start_; }
  size_t size() const { return size_; }
  void clear() { size_ = 0; }

  void release() {
    std::free(start_);
    start_ = nullptr;
    size_ = capacity_ = 0;
  }
  size_t capacity() const { return capacity_; }

  /// Room for `count` more bytes.
  char *room(size_t count) {
    if (capacity_ - size_ < count) grow(count);
    return start_ + size_;
  }
  void wrote(size_t count) { size_ += count; }

  void put(char c) {
    *room(1) = c;
    size_++;
  }
  void put(std::string_view text) {
    std::memcpy(room(text.size()), text.data(), text.size());
    size_ += text.size();
  }
  /// Writes in pieces, so that the room needed is six times a piece, not six times the string.
  void put_string(std::string_view text) {
    constexpr size_t piece = 4096;
    put('"');
    while (!text.empty()) {
      const size_t count = std::min(piece, text.size());
      char *out = room(6 * count);
      size_ += static_cast<size_t>(escape(text.data(), count, out) - out);
      text.remove_prefix(count);
    }
    put('"');
  }
  void put_integer(int64_t value) {
    char *out = room(24);
    size_ += static_cast<size_t>(std::to_chars(out, out + 24, value).ptr - out);
  }
  void put_double(double value) { size_ += cjson_write_double(value, room(CJSON_DOUBLE_SIZE)); }

private:
  void grow(size_t count) {
    const size_t wanted = std::max(size_ + count, std::max<size_t>(4096, capacity_ * 2));
    char *bigger = static_cast<char *>(std::realloc(start_, wanted));
    if (!bigger) throw std::bad_alloc();
    start_ = bigger;
    capacity_ = wanted;
  }

  char *start_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

/// Longer texts make the parser's buffers grow (to about 14 times the text). The next shorter text frees the large
/// buffers.
inline constexpr size_t kept_capacity = 512 * 1024;

inline cjson_status status_of(simdjson::error_code error) {
  switch (error) {
  case simdjson::SUCCESS: return CJSON_OK;
  case simdjson::UTF8_ERROR: return CJSON_UTF8;
  case simdjson::NUMBER_ERROR:
  case simdjson::NUMBER_OUT_OF_RANGE: return CJSON_NUMBER;
  case simdjson::DEPTH_ERROR: return CJSON_DEPTH;
  case simdjson::MEMALLOC:
  case simdjson::CAPACITY: return CJSON_MEMORY;
  default: return CJSON_SYNTAX;
  }
}

/// Parses a JSON text of any type. The padding must follow it.
inline cjson_status parse(dom::parser &parser, const char *text, size_t length, dom::element &root) {
  if (parser.capacity() > kept_capacity && length <= kept_capacity) parser = dom::parser();
  return status_of(parser.parse(text, length, false).get(root));
}

using key_path = std::vector<std::string>;

/// Passes each value at the path to `visit`, in the order of the text, until it returns true; returns whether it did. An array stands for
/// its elements, along the path and at its end; a nested array does not. The first `depth` keys of the path lead to `value`.
template <typename Visit>
bool any_at(const key_path &path, dom::element value, const Visit &visit, size_t depth = 0, bool in_array = false) {
  if (value.is_array()) {
    if (in_array) return false;
    for (const dom::element element : dom::array(value.get_array().value_unsafe())) {
      if (any_at(path, element, visit, depth, true)) return true;
    }
    return false;
  }
  if (depth == path.size()) return visit(value);
  if (!value.is_object()) return false;
  for (const dom::key_value_pair member : dom::object(value.get_object().value_unsafe())) {
    if (member.key == path[depth] && any_at(path, member.value, visit, depth + 1, false)) return true;
  }
  return false;
}

/// Runs a step that may allocate memory; no exception may reach C or Swift.
template <typename Step> cjson_status guarded(Step step) {
  try {
    return step();
  } catch (...) {
    return CJSON_MEMORY;
  }
}

template <typename List, typename Value> cjson_status add(List &list, Value value) {
  return guarded([&] {
    list.emplace_back(value);
    return CJSON_OK;
  });
}

}  // namespace cjson

/// State that is reused from one parse to the next.
struct cjson_parser {
  dom::parser parser;
  std::vector<cjson_member> members;
  cjson::text_buffer text;             // the normalised texts of the members, one after the other
  std::vector<std::string_view> keys;  // of the objects around the current value, the innermost last
  std::string where;

  cjson_status parse(const char *bytes, size_t length, uint32_t max_depth, cjson_view *found_in);

private:
  // normalise.cpp
  cjson_status walk(dom::element value, uint32_t depth_left);
  cjson_status walk_object(dom::object object, uint32_t depth_left);
  cjson_status walk_array(dom::array array, uint32_t depth_left);
  cjson_status add_key(std::string_view key, size_t base);
  cjson_status check_many_keys(size_t base, std::string_view *duplicate);

  // parser.cpp
  cjson_status member_of(std::string_view key, dom::element value, uint32_t depth_left);
  void locate(const char *bytes, size_t length, cjson_status status, cjson_view *found_in);
};
