// The reader of values: returns the scalars at paths of a text.
#include "internal.hpp"

namespace {

/// Returns false for objects; arrays are never passed.
bool read(dom::element value, cjson_value &out) {
  switch (value.type()) {
  case dom::element_type::STRING: {
    const std::string_view text = value.get_string().value_unsafe();
    out.kind = CJSON_STRING;
    out.text = {text.data(), text.size()};
    return true;
  }
  case dom::element_type::INT64:
    out.kind = CJSON_INTEGER;
    out.integer = value.get_int64().value_unsafe();
    return true;
  case dom::element_type::UINT64:
    out.kind = CJSON_DOUBLE;
    out.number = static_cast<double>(value.get_uint64().value_unsafe());
    return true;
  case dom::element_type::DOUBLE:
    out.kind = CJSON_DOUBLE;
    out.number = value.get_double().value_unsafe();
    return true;
  case dom::element_type::BOOL:
    out.kind = CJSON_BOOL;
    out.boolean = value.get_bool().value_unsafe();
    return true;
  case dom::element_type::NULL_VALUE: out.kind = CJSON_NULL; return true;
  case dom::element_type::OBJECT:
  case dom::element_type::ARRAY: return false;
  }
  return false;
}

}  // namespace

struct cjson_reader {
  dom::parser parser;
  std::vector<cjson::key_path> paths;
  std::vector<cjson_value> values;

  cjson_status read_all(const char *text, size_t length) {
    values.clear();
    dom::element root;
    const cjson_status status = cjson::parse(parser, text, length, root);
    if (status != CJSON_OK) return status;
    for (size_t path = 0; path < paths.size(); path++) {
      cjson::any_at(paths[path], root, [&](dom::element element) {
        cjson_value value = {};
        value.path = static_cast<uint32_t>(path);
        if (read(element, value)) values.push_back(value);
        return false;
      });
    }
    return CJSON_OK;
  }
};

cjson_reader *cjson_reader_new(void) { return new (std::nothrow) cjson_reader; }

void cjson_reader_free(cjson_reader *reader) { delete reader; }

cjson_status cjson_reader_add_path(cjson_reader *reader) { return cjson::add(reader->paths, cjson::key_path()); }

cjson_status cjson_reader_add_key(cjson_reader *reader, const char *bytes, size_t length) {
  return cjson::add(reader->paths.back(), std::string_view(bytes, length));
}

cjson_status cjson_reader_read(cjson_reader *reader, const char *text, size_t length, const cjson_value **values, size_t *count) {
  const cjson_status status = cjson::guarded([&] { return reader->read_all(text, length); });
  if (status != CJSON_OK) reader->values.clear();
  *values = reader->values.data();
  *count = reader->values.size();
  return status;
}
