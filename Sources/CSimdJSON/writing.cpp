// Writes strings and numbers as JSON.
#include "internal.hpp"

#include <charconv>
#include <cmath>

size_t cjson_write_string(const char *bytes, size_t length, char *out) {
  char *p = out;
  *p++ = '"';
  p = cjson::escape(bytes, length, p);
  *p++ = '"';
  return static_cast<size_t>(p - out);
}

size_t cjson_write_double(double number, char *out) {
  if (!std::isfinite(number)) return 0;
  // The longest number has 24 characters: -2.2250738585072014e-308.
  char *end = std::to_chars(out, out + CJSON_DOUBLE_SIZE - 2, number).ptr;
  const bool reads_as_integer = std::all_of(out, end, [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
  if (reads_as_integer) {
    *end++ = '.';
    *end++ = '0';
  }
  return static_cast<size_t>(end - out);
}
