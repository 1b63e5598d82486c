// Walks a parsed value: writes it as normalised text, and checks what simdjson does not: depth, keys, numbers beyond 64 bits.
#include "internal.hpp"

namespace {

/// Up to this number each key is compared with all previous ones; above it, the keys are sorted.
constexpr size_t few_keys = 16;

}  // namespace

/// Adds a key to the object whose keys begin at `base`.
cjson_status cjson_parser::add_key(std::string_view key, size_t base) {
  if (std::memchr(key.data(), 0, key.size())) return CJSON_NUL_IN_KEY;
  if (keys.size() - base < few_keys) {
    for (size_t i = base; i < keys.size(); i++) {
      if (keys[i] == key) return CJSON_DUPLICATE_KEY;
    }
  }
  keys.push_back(key);
  return CJSON_OK;
}

/// Called at the end of an object: finds duplicates that `add_key` has not checked for. Sorts instead of hashing, so that chosen
/// keys cannot make it slow.
cjson_status cjson_parser::check_many_keys(size_t base, std::string_view *duplicate) {
  if (keys.size() - base > few_keys) {
    const auto first = keys.begin() + static_cast<std::ptrdiff_t>(base);
    std::sort(first, keys.end(), [](std::string_view a, std::string_view b) {
      return a.size() != b.size() ? a.size() < b.size() : std::memcmp(a.data(), b.data(), a.size()) < 0;
    });
    const auto twice = std::adjacent_find(first, keys.end());
    if (twice != keys.end()) {
      if (duplicate) *duplicate = *twice;
      return CJSON_DUPLICATE_KEY;
    }
  }
  keys.resize(base);
  return CJSON_OK;
}

cjson_status cjson_parser::walk(dom::element value, uint32_t depth_left) {
  switch (value.type()) {
  case dom::element_type::OBJECT: return walk_object(dom::object(value.get_object().value_unsafe()), depth_left);
  case dom::element_type::ARRAY: return walk_array(dom::array(value.get_array().value_unsafe()), depth_left);
  case dom::element_type::STRING: text.put_string(value.get_string().value_unsafe()); return CJSON_OK;
  case dom::element_type::INT64: text.put_integer(value.get_int64().value_unsafe()); return CJSON_OK;
  case dom::element_type::DOUBLE: text.put_double(value.get_double().value_unsafe()); return CJSON_OK;
  case dom::element_type::BOOL: text.put(value.get_bool().value_unsafe() ? "true" : "false"); return CJSON_OK;
  case dom::element_type::NULL_VALUE: text.put("null"); return CJSON_OK;
  case dom::element_type::UINT64: return CJSON_NUMBER;  // simdjson produces it only beyond int64
  }
  return CJSON_NUMBER;
}

cjson_status cjson_parser::walk_object(dom::object object, uint32_t depth_left) {
  if (depth_left == 0) return CJSON_DEPTH;
  const size_t base = keys.size();
  char before = '{';
  for (const dom::key_value_pair member : object) {
    cjson_status status = add_key(member.key, base);
    if (status != CJSON_OK) return status;
    text.put(before);
    before = ',';
    text.put_string(member.key);
    text.put(':');
    status = walk(member.value, depth_left - 1);
    if (status != CJSON_OK) return status;
  }
  if (before == '{') text.put('{');
  text.put('}');
  return check_many_keys(base, nullptr);
}

cjson_status cjson_parser::walk_array(dom::array array, uint32_t depth_left) {
  if (depth_left == 0) return CJSON_DEPTH;
  char before = '[';
  for (const dom::element element : array) {
    text.put(before);
    before = ',';
    const cjson_status status = walk(element, depth_left - 1);
    if (status != CJSON_OK) return status;
  }
  if (before == '[') text.put('[');
  text.put(']');
  return CJSON_OK;
}
