// The matcher: checks whether conditions on paths hold for a text.
#include "internal.hpp"

#include <cmath>

namespace {

struct condition {
  cjson::key_path path;
  std::vector<std::string> strings;
  std::vector<int64_t> integers;
  std::vector<double> doubles;
  bool holds_true = false;
  bool holds_false = false;
  bool holds_null = false;
};

template <typename List, typename Value> bool contains(const List &list, const Value &value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// Exact comparison: 2⁵³ + 1 differs from 2⁵³, although a double cannot represent the difference.
bool equal(double number, int64_t integer) {
  return number >= -0x1p63 && number < 0x1p63 && std::trunc(number) == number && static_cast<int64_t>(number) == integer;
}

bool equals_any(const condition &c, int64_t value) {
  return contains(c.integers, value) || std::any_of(c.doubles.begin(), c.doubles.end(), [=](double d) { return equal(d, value); });
}

bool equals_any(const condition &c, double value) {
  return contains(c.doubles, value) || std::any_of(c.integers.begin(), c.integers.end(), [=](int64_t i) { return equal(value, i); });
}

bool equals_any(const condition &c, dom::element value) {
  switch (value.type()) {
  case dom::element_type::STRING: return contains(c.strings, value.get_string().value_unsafe());
  case dom::element_type::INT64: return equals_any(c, value.get_int64().value_unsafe());
  case dom::element_type::UINT64: return equals_any(c, static_cast<double>(value.get_uint64().value_unsafe()));
  case dom::element_type::DOUBLE: return equals_any(c, value.get_double().value_unsafe());
  case dom::element_type::BOOL: return value.get_bool().value_unsafe() ? c.holds_true : c.holds_false;
  case dom::element_type::NULL_VALUE: return c.holds_null;
  case dom::element_type::OBJECT:
  case dom::element_type::ARRAY: return false;
  }
  return false;
}

}  // namespace

struct cjson_matcher {
  dom::parser parser;
  std::vector<condition> conditions;

  cjson_status match(const char *text, size_t length, bool *matches) {
    dom::element root;
    const cjson_status status = cjson::parse(parser, text, length, root);
    if (status != CJSON_OK) return status;
    *matches = std::all_of(conditions.begin(), conditions.end(), [&](const condition &c) {
      return cjson::any_at(c.path, root, [&](dom::element value) { return equals_any(c, value); });
    });
    return CJSON_OK;
  }
};

cjson_matcher *cjson_matcher_new(void) { return new (std::nothrow) cjson_matcher; }

void cjson_matcher_free(cjson_matcher *matcher) { delete matcher; }

cjson_status cjson_matcher_add_condition(cjson_matcher *matcher) { return cjson::add(matcher->conditions, condition()); }

cjson_status cjson_matcher_add_key(cjson_matcher *matcher, const char *bytes, size_t length) {
  return cjson::add(matcher->conditions.back().path, std::string_view(bytes, length));
}

cjson_status cjson_matcher_add_string(cjson_matcher *matcher, const char *bytes, size_t length) {
  return cjson::add(matcher->conditions.back().strings, std::string_view(bytes, length));
}

cjson_status cjson_matcher_add_integer(cjson_matcher *matcher, int64_t value) { return cjson::add(matcher->conditions.back().integers, value); }

cjson_status cjson_matcher_add_double(cjson_matcher *matcher, double value) { return cjson::add(matcher->conditions.back().doubles, value); }

void cjson_matcher_add_boolean(cjson_matcher *matcher, bool value) {
  condition &last = matcher->conditions.back();
  (value ? last.holds_true : last.holds_false) = true;
}

void cjson_matcher_add_null(cjson_matcher *matcher) { matcher->conditions.back().holds_null = true; }

cjson_status cjson_matcher_match(cjson_matcher *matcher, const char *text, size_t length, bool *matches) {
  *matches = false;
  return cjson::guarded([&] { return matcher->match(text, length, matches); });
}
