// The parser: validates one whole object and returns its members.
#include "internal.hpp"

static_assert(simdjson::SIMDJSON_PADDING <= CJSON_PADDING, "callers promise CJSON_PADDING readable bytes");

using cjson::kept_capacity;
using cjson::status_of;

namespace {

/// simdjson's own limit is 1,024, so every text with at most this depth can be walked.
constexpr uint32_t deepest = 1000;

/// simdjson does not report the position of an error. To find the member, up to this many are parsed one by one.
constexpr size_t members_tried = 1000;

}  // namespace

cjson_status cjson_parser::member_of(std::string_view key, dom::element value, uint32_t depth_left) {
  cjson_member member = {};
  member.key = {key.data(), key.size()};
  const size_t start = text.size();
  cjson_status status = CJSON_OK;
  switch (value.type()) {
  case dom::element_type::OBJECT:
  case dom::element_type::ARRAY:
    member.kind = value.type() == dom::element_type::OBJECT ? CJSON_OBJECT : CJSON_ARRAY;
    status = walk(value, depth_left);
    break;
  case dom::element_type::STRING: {
    const std::string_view string = value.get_string().value_unsafe();
    member.kind = CJSON_STRING;
    member.text = {string.data(), string.size()};
    break;
  }
  case dom::element_type::INT64:
    member.kind = CJSON_INTEGER;
    member.integer = value.get_int64().value_unsafe();
    member.number = static_cast<double>(member.integer);
    status = walk(value, depth_left);
    break;
  case dom::element_type::DOUBLE:
    member.kind = CJSON_DOUBLE;
    member.number = value.get_double().value_unsafe();
    status = walk(value, depth_left);
    break;
  case dom::element_type::BOOL:
    member.kind = CJSON_BOOL;
    member.boolean = value.get_bool().value_unsafe();
    member.text = member.boolean ? cjson_view{"true", 4} : cjson_view{"false", 5};
    break;
  case dom::element_type::NULL_VALUE:
    member.kind = CJSON_NULL;
    member.text = {"null", 4};
    break;
  case dom::element_type::UINT64:
    status = CJSON_NUMBER;
    break;
  }
  // `text` may be reallocated, so only the length is stored here; `parse` sets the addresses at the end.
  if (text.size() > start) member.text = {nullptr, text.size() - start};
  if (status == CJSON_OK) members.push_back(member);
  return status;
}

/// simdjson reports the error but not its position: the members are parsed one by one until one fails with the same status.
void cjson_parser::locate(const char *bytes, size_t length, cjson_status status, cjson_view *found_in) {
  cjson_scanner scanner;
  if (cjson_scan_begin(&scanner, bytes, length, '{') != CJSON_OK) return;
  cjson_view key, value;
  for (size_t i = 0; i < members_tried && cjson_scan_member(&scanner, &key, &value) == CJSON_OK; i++) {
    // Parsed with its quotes. An invalid key cannot be named.
    std::string_view name;
    if (parser.parse(key.bytes - 1, key.length + 2, false).get_string().get(name) != simdjson::SUCCESS) return;
    where.assign(name);
    dom::element ignored;
    if (status_of(parser.parse(value.bytes, value.length, false).get(ignored)) == status) {
      *found_in = {where.data(), where.size()};
      return;
    }
  }
}

cjson_status cjson_parser::parse(const char *bytes, size_t length, uint32_t max_depth, cjson_view *found_in) {
  if (parser.capacity() > kept_capacity && length <= kept_capacity) {
    parser = dom::parser();
    text.release();
    members = {};
    keys = {};
    where = {};
  }
  members.clear();
  text.clear();
  keys.clear();

  // Newer simdjson versions skip a byte order mark; RFC 8259 forbids sending one. This gives the same result with every version.
  if (length == 0 || bytes == nullptr) return CJSON_SYNTAX;
  if (length >= 3 && std::memcmp(bytes, "\xef\xbb\xbf", 3) == 0) return CJSON_SYNTAX;

  dom::element root;
  const cjson_status parsed = status_of(parser.parse(bytes, length, false).get(root));
  if (parsed != CJSON_OK) {
    if (parsed != CJSON_MEMORY) locate(bytes, length, parsed, found_in);
    return parsed;
  }
  if (!root.is_object()) return CJSON_NOT_OBJECT;
  uint32_t depth_left = std::min(max_depth, deepest);
  if (depth_left == 0) return CJSON_DEPTH;
  depth_left--;

  for (const dom::key_value_pair member : dom::object(root.get_object().value_unsafe())) {
    cjson_status status = add_key(member.key, 0);
    if (status == CJSON_OK) status = member_of(member.key, member.value, depth_left);
    if (status != CJSON_OK) {
      *found_in = {member.key.data(), member.key.size()};
      return status;
    }
  }
  std::string_view duplicate;
  const cjson_status status = check_many_keys(0, &duplicate);
  if (status != CJSON_OK) {
    *found_in = {duplicate.data(), duplicate.size()};
    return status;
  }

  const char *next = text.data();
  for (cjson_member &member : members) {
    if (member.text.bytes) continue;
    member.text.bytes = next;
    next += member.text.length;
  }
  return CJSON_OK;
}

cjson_parser *cjson_parser_new(void) { return new (std::nothrow) cjson_parser; }

void cjson_parser_free(cjson_parser *parser) { delete parser; }

cjson_status cjson_parse_object(cjson_parser *parser, const char *text, size_t length, uint32_t max_depth,
                                const cjson_member **members, size_t *count, cjson_view *where) {
  *members = nullptr;
  *count = 0;
  *where = {nullptr, 0};
  try {
    const cjson_status status = parser->parse(text, length, max_depth, where);
    if (status == CJSON_OK) {
      *members = parser->members.data();
      *count = parser->members.size();
    }
    return status;
  } catch (...) {  // only if memory is exhausted; no exception may reach C or Swift
    *where = {nullptr, 0};
    return CJSON_MEMORY;
  }
}
