// Tries CSimdJSON and the JSON ↔ BSON shim of CMongoShims on any bytes.
//
// Everything is compared with a second, plain implementation written below for nothing but being easy to check: the same
// answer must come from both. Texts lie right before a page that may not be read, so that reading past the padding that
// callers promise is caught even inside simdjson, which no sanitizer has instrumented.
//
// Built with libFuzzer (`-fsanitize=fuzzer`) it is a fuzz target; with -DFUZZ_DRIVER it makes its own inputs from a seed:
// random JSON, most of it then broken in random places.

#include "cjson.h"
#include "cmongoc.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <vector>

namespace {

std::string_view current_input;

[[noreturn]] void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fprintf(stderr, "FAILED: ");
  std::vfprintf(stderr, format, arguments);
  std::fprintf(stderr, "\ninput (%zu bytes): ", current_input.size());
  for (const char c : current_input.substr(0, 2000)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
      std::fputc(byte, stderr);
    } else {
      std::fprintf(stderr, "\\x%02x", byte);
    }
  }
  std::fprintf(stderr, "\n");
  va_end(arguments);
  std::abort();
}

// --- Memory that ends at a page nobody may read -----------------------------------------------------------------------

struct guarded {
  static constexpr size_t size = 1 << 22, page = 1 << 16;
  char *start;

  guarded() {
    void *mapped = mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED || mprotect(static_cast<char *>(mapped) + size, page, PROT_NONE) != 0) std::abort();
    start = static_cast<char *>(mapped);
  }
  /// `text` and behind it `padding` bytes of `fill`, repeated; then the page.
  const char *place(std::string_view text, size_t padding, std::string_view fill) {
    char *at = start + size - padding - text.size();
    std::memcpy(at, text.data(), text.size());
    for (size_t i = 0; i < padding; i++) at[text.size() + i] = fill[i % fill.size()];
    return at;
  }
};

// --- The plain implementation -----------------------------------------------------------------------------------------

bool plain_utf8(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    const auto byte = [&](size_t at) { return at < s.size() ? static_cast<unsigned char>(s[at]) : 0u; };
    const unsigned a = byte(i);
    if (a < 0x80) { i++; continue; }
    size_t more = a >= 0xc2 && a <= 0xdf ? 1 : a >= 0xe0 && a <= 0xef ? 2 : a >= 0xf0 && a <= 0xf4 ? 3 : 0;
    if (more == 0) return false;
    for (size_t k = 1; k <= more; k++) if ((byte(i + k) & 0xc0) != 0x80) return false;
    const unsigned b = byte(i + 1);
    if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f)) return false;
    i += more + 1;
  }
  return true;
}

std::string plain_string(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\b': out += "\\b"; break;
    case '\f': out += "\\f"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default:
      if (static_cast<unsigned char>(c) < 0x20) {
        char buffer[8];
        std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
        out += buffer;
      } else {
        out += c;
      }
    }
  }
  return out + '"';
}

struct value {
  cjson_kind kind = CJSON_NULL;
  std::string text;      // normalised
  std::string string;    // of a string
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  size_t depth = 0;      // containers, itself included
  std::vector<std::pair<std::string, value>> members;   // of an array, its elements
};

/// A recursive-descent parser. `faults` holds what is wrong with a text that is JSON by its grammar.
struct plain_parser {
  std::string_view s;
  size_t at = 0;
  size_t level = 0;
  bool too_deep = false;  // to follow; nothing is said of such a text
  std::set<cjson_status> faults{};

  void space() { while (at < s.size() && std::strchr(" \t\r\n", s[at]) && s[at]) at++; }
  bool eat(char c) { if (at < s.size() && s[at] == c) { at++; return true; } return false; }
  bool word(std::string_view w) { if (s.substr(at, w.size()) == w) { at += w.size(); return true; } return false; }
  bool digits() {
    const size_t start = at;
    while (at < s.size() && s[at] >= '0' && s[at] <= '9') at++;
    return at > start;
  }

  bool hex4(unsigned &code) {
    code = 0;
    for (int i = 0; i < 4; i++, at++) {
      if (at >= s.size() || !std::isxdigit(static_cast<unsigned char>(s[at]))) return false;
      const char c = static_cast<char>(s[at] | 0x20);
      code = code * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
  }

  bool parse_string(std::string &out) {
    if (!eat('"')) return false;
    while (true) {
      if (at >= s.size()) return false;
      const char c = s[at++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') { out += c; continue; }
      if (at >= s.size()) return false;
      switch (s[at++]) {
      case '"': out += '"'; break;
      case '\\': out += '\\'; break;
      case '/': out += '/'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u': {
        unsigned code, low;
        if (!hex4(code)) return false;
        if (code >= 0xdc00 && code <= 0xdfff) return false;
        if (code >= 0xd800 && code <= 0xdbff) {
          if (!word("\\u") || !hex4(low) || low < 0xdc00 || low > 0xdfff) return false;
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        const auto put = [&](unsigned byte) { out += static_cast<char>(byte); };
        if (code < 0x80) { put(code); }
        else if (code < 0x800) { put(0xc0 | code >> 6); put(0x80 | (code & 63)); }
        else if (code < 0x10000) { put(0xe0 | code >> 12); put(0x80 | (code >> 6 & 63)); put(0x80 | (code & 63)); }
        else { put(0xf0 | code >> 18); put(0x80 | (code >> 12 & 63)); put(0x80 | (code >> 6 & 63)); put(0x80 | (code & 63)); }
        break;
      }
      default: return false;
      }
    }
  }

  bool parse_number(value &v) {
    const size_t start = at;
    bool whole = true;
    eat('-');
    if (!eat('0') && !digits()) return false;
    if (eat('.')) { whole = false; if (!digits()) return false; }
    if (at < s.size() && (s[at] | 0x20) == 'e') {
      at++;
      whole = false;
      if (!eat('+')) eat('-');
      if (!digits()) return false;
    }
    const std::string raw(s.substr(start, at - start));
    if (whole) {
      errno = 0;
      v.kind = CJSON_INTEGER;
      v.integer = std::strtoll(raw.c_str(), nullptr, 10);
      v.number = static_cast<double>(v.integer);
      if (errno == ERANGE) faults.insert(CJSON_NUMBER);
      v.text = std::to_string(v.integer);
    } else {
      v.kind = CJSON_DOUBLE;
      v.number = std::strtod(raw.c_str(), nullptr);
      if (!std::isfinite(v.number)) { faults.insert(CJSON_NUMBER); return true; }
      char buffer[CJSON_DOUBLE_SIZE];
      v.text.assign(buffer, cjson_write_double(v.number, buffer));
    }
    return true;
  }

  bool parse_value(value &v) {
    space();
    if (at >= s.size()) return false;
    if (s[at] == '{' || s[at] == '[') {
      if (++level > 1100) { too_deep = true; return false; }
      const bool object = s[at++] == '{';
      const char close = object ? '}' : ']';
      v.kind = object ? CJSON_OBJECT : CJSON_ARRAY;
      v.text = object ? "{" : "[";
      v.depth = 1;
      std::set<std::string> keys;
      space();
      if (!eat(close)) {
        do {
          if (v.text.size() > 1) v.text += ',';
          value child;
          std::string key;
          if (object) {
            space();
            if (!parse_string(key)) return false;
            if (!keys.insert(key).second) faults.insert(CJSON_DUPLICATE_KEY);
            if (key.find('\0') != std::string::npos) faults.insert(CJSON_NUL_IN_KEY);
            v.text += plain_string(key) + ':';
            space();
            if (!eat(':')) return false;
          }
          if (!parse_value(child)) return false;
          v.text += child.text;
          v.depth = std::max(v.depth, child.depth + 1);
          v.members.emplace_back(key, std::move(child));
          space();
        } while (eat(','));
        if (!eat(close)) return false;
      }
      v.text += close;
      level--;
      return true;
    }
    if (s[at] == '"') {
      v.kind = CJSON_STRING;
      if (!parse_string(v.string)) return false;
      v.text = plain_string(v.string);
      return true;
    }
    if (word("null")) { v.text = "null"; return true; }
    if (word("true")) { v.kind = CJSON_BOOL; v.boolean = true; v.text = "true"; return true; }
    if (word("false")) { v.kind = CJSON_BOOL; v.text = "false"; return true; }
    return parse_number(v);
  }

  /// Whether the text is JSON by its grammar and UTF-8.
  bool parse(value &v) {
    if (!parse_value(v)) return false;
    space();
    return at == s.size() && plain_utf8(s);
  }
};

/// The scanner's rules, a byte at a time.
struct plain_scanner {
  std::string_view s;
  size_t at = 0;
  char close = 0;
  bool first = true;

  bool space_at(size_t i) const { return s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t'; }
  void space() { while (at < s.size() && space_at(at)) at++; }

  cjson_status begin(char open) {
    close = open == '[' ? ']' : '}';
    space();
    if (at == s.size() || s[at] != open) return CJSON_SYNTAX;
    at++;
    return CJSON_OK;
  }
  cjson_status advance() {
    space();
    if (at == s.size()) return CJSON_SYNTAX;
    if (s[at] == close) {
      at++;
      space();
      return at == s.size() ? CJSON_END : CJSON_SYNTAX;
    }
    if (!first) {
      if (s[at] != ',') return CJSON_SYNTAX;
      at++;
      space();
      if (at == s.size()) return CJSON_SYNTAX;
    }
    first = false;
    return CJSON_OK;
  }
  bool string() {  // at the opening quote
    for (at++; at < s.size(); at++) {
      if (s[at] == '\\') { at++; continue; }
      if (s[at] == '"') { at++; return true; }
    }
    at = s.size();
    return false;
  }
  cjson_status value_slice(std::string_view &out) {
    const size_t start = at;
    if (at == s.size()) return CJSON_SYNTAX;
    if (s[at] == '"') {
      if (!string()) return CJSON_SYNTAX;
    } else if (s[at] == '[' || s[at] == '{') {
      size_t depth = 0;
      bool inside = false, escaped = false;
      for (;; at++) {
        if (at == s.size()) return CJSON_SYNTAX;
        const char c = s[at];
        if (escaped) { escaped = false; if (c == '"' || c == '\\') continue; }
        else if (c == '\\') { escaped = true; continue; }
        else if (c == '"') { inside = !inside; continue; }
        if (inside) continue;
        if (c == '[' || c == '{') depth++;
        if ((c == ']' || c == '}') && --depth == 0) { at++; break; }
      }
    } else {
      while (at < s.size() && !std::memchr(" \n\r\t,:\"[]{}", s[at], 11)) at++;
      if (at == start) return CJSON_SYNTAX;
    }
    out = s.substr(start, at - start);
    return CJSON_OK;
  }
  cjson_status element(std::string_view &out) {
    const cjson_status status = advance();
    return status == CJSON_OK ? value_slice(out) : status;
  }
  cjson_status member(std::string_view &key, std::string_view &out) {
    const cjson_status status = advance();
    if (status != CJSON_OK) return status;
    if (s[at] != '"') return CJSON_SYNTAX;
    const size_t start = at + 1;
    if (!string()) return CJSON_SYNTAX;
    key = s.substr(start, at - 1 - start);
    space();
    if (at == s.size() || s[at] != ':') return CJSON_SYNTAX;
    at++;
    space();
    return value_slice(out);
  }
};

// --- Checks -----------------------------------------------------------------------------------------------------------

std::string_view view(cjson_view v) { return v.bytes ? std::string_view(v.bytes, v.length) : std::string_view(); }

void check_scanner(const char *text, size_t length, char open) {
  cjson_scanner scanner;
  plain_scanner plain{std::string_view(text, length)};
  cjson_status status = cjson_scan_begin(&scanner, text, length, open);
  cjson_status wanted = plain.begin(open);
  for (size_t calls = 0;; calls++) {
    if (status != wanted) fail("scanner: %d, not %d, at call %zu", status, wanted, calls);
    if (scanner.next != text + plain.at) fail("scanner: at %td, not %zu", scanner.next - text, plain.at);
    if (status != CJSON_OK) break;
    if (calls > length) fail("scanner: no end");
    cjson_view key{}, slice{};
    std::string_view plain_key, plain_slice;
    status = open == '[' ? cjson_scan_element(&scanner, &slice) : cjson_scan_member(&scanner, &key, &slice);
    wanted = open == '[' ? plain.element(plain_slice) : plain.member(plain_key, plain_slice);
    if (status == CJSON_OK && wanted == CJSON_OK) {
      if (slice.bytes != plain_slice.data() || slice.length != plain_slice.size()) fail("scanner: another slice");
      if (open == '{' && view(key) != plain_key) fail("scanner: another key");
    }
  }
  // Once over, always the same answer.
  cjson_view key, slice;
  for (int i = 0; i < 3; i++) {
    if (cjson_scan_element(&scanner, &slice) != status) fail("scanner: changed its mind");
    if (cjson_scan_member(&scanner, &key, &slice) != status) fail("scanner: changed its mind");
    if (key.bytes || slice.bytes) fail("scanner: a slice after the end");
  }
}

void check_parser(cjson_parser *parser, const char *text, size_t length, uint32_t max_depth, const value *wanted,
                  const std::set<cjson_status> &faults, bool too_deep) {
  const cjson_member *members;
  size_t count;
  cjson_view where;
  const cjson_status status = cjson_parse_object(parser, text, length, max_depth, &members, &count, &where);
  if (status != CJSON_OK && (members || count)) fail("parser: members with an error");
  if (too_deep) {
    if (status == CJSON_OK) fail("parser: took what is too deep");
    return;
  }
  if (!wanted) {
    const bool plausible = status == CJSON_SYNTAX || status == CJSON_NUMBER || status == CJSON_DEPTH ||
                           (status == CJSON_UTF8 && !plain_utf8({text, length}));
    if (!plausible) fail("parser: %d for what is not JSON", status);
    return;
  }
  std::set<cjson_status> allowed;
  if (wanted->kind != CJSON_OBJECT) allowed = {CJSON_NOT_OBJECT};
  if (wanted->kind == CJSON_OBJECT || faults.count(CJSON_NUMBER)) allowed.insert(faults.begin(), faults.end());
  if (wanted->depth > 1000) allowed.insert(CJSON_DEPTH);  // also of an array: simdjson's own limit comes first
  if (wanted->kind == CJSON_OBJECT && wanted->depth > max_depth) allowed.insert(CJSON_DEPTH);
  if (allowed.empty()) allowed = {CJSON_OK};
  if (!allowed.count(status)) fail("parser: %d, expected %d", status, *allowed.begin());
  if (status != CJSON_OK) {
    bool known = where.bytes == nullptr;
    for (const auto &[key, member] : wanted->members) known = known || key == view(where);
    if (!known) fail("parser: where is no key");
    if (wanted->kind == CJSON_OBJECT && !where.bytes && status != CJSON_DEPTH && wanted->members.size() < 1000) fail("parser: does not say where");
    return;
  }
  if (where.bytes) fail("parser: where without an error");
  if (count != wanted->members.size()) fail("parser: %zu members, not %zu", count, wanted->members.size());
  for (size_t i = 0; i < count; i++) {
    const auto &[key, want] = wanted->members[i];
    const cjson_member &got = members[i];
    if (view(got.key) != key) fail("parser: another key");
    if (got.kind != want.kind) fail("parser: kind %d, not %d", got.kind, want.kind);
    if (got.boolean != want.boolean || got.integer != want.integer) fail("parser: another value");
    if (std::memcmp(&got.number, &want.number, sizeof got.number) != 0) fail("parser: %a, not %a", got.number, want.number);
    if (!got.text.bytes || view(got.text) != (want.kind == CJSON_STRING ? want.string : want.text)) fail("parser: another text");
  }
}

struct free_bytes { void operator()(char *p) const { std::free(p); } };

/// BSON as JSON text; empty when it was not taken. The input lies right before the guard page, with no padding.
std::string json_from_bson(guarded &memory, std::string_view bson, bool is_array) {
  const char *at = memory.place(bson, 0, "-");
  size_t length = 0;
  std::unique_ptr<char, free_bytes> text(
      cmongoc_json_from_bson(reinterpret_cast<const uint8_t *>(at), bson.size(), is_array, &length));
  if (!text) {
    if (length) fail("bson: a length without text");
    return {};
  }
  return std::string(text.get(), length);
}

void check_bson_reader(guarded &memory, std::string_view bson) {
  const std::string text = json_from_bson(memory, bson, false);
  if (json_from_bson(memory, bson, true).empty() != text.empty()) fail("bson: array and document differ");
  if (text.empty()) return;
  value v;
  plain_parser plain{text};
  if (!plain.parse(v)) fail("bson: not JSON: %s", text.c_str());
  // What we accept, libbson accepts too.
  bson_t document;
  size_t offset;
  if (!bson_init_static(&document, reinterpret_cast<const uint8_t *>(bson.data()), bson.size())) fail("bson: not for libbson");
  const auto flags = static_cast<bson_validate_flags_t>(BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL);
  if (v.depth < 90 && !bson_validate(&document, flags, &offset)) fail("bson: not valid for libbson at %zu", offset);
}

void check_bson(guarded &memory, std::string_view input, const char *text, const value *wanted,
                const std::set<cjson_status> &faults, std::mt19937_64 &random) {
  bson_t *document = bson_new();
  bson_append_int32(document, "before", -1, 1);
  const bool appended = cmongoc_append_json(document, "v\"alue", 6, text, input.size());
  const bool allowed = wanted && wanted->depth <= 100 && !faults.count(CJSON_NUL_IN_KEY) && !faults.count(CJSON_NUMBER);
  if (appended != allowed) fail("bson: append says %d", appended);
  if (appended) {
    const std::string bson(reinterpret_cast<const char *>(bson_get_data(document)), document->len);
    size_t offset;
    const auto flags = static_cast<bson_validate_flags_t>(BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL);
    if (wanted->depth < 90 && !bson_validate(document, flags, &offset)) fail("bson: not valid");
    const std::string back = json_from_bson(memory, bson, false);
    const std::string expected = "{\"before\":1,\"v\\\"alue\":" + wanted->text + "}";
    if (back != expected) fail("bson: came back as %s\nnot %s", back.c_str(), expected.c_str());
    // The same, broken.
    for (int i = 0; i < 3; i++) {
      std::string broken = bson;
      for (size_t k = random() % 3 + 1; k > 0; k--) broken[random() % broken.size()] = static_cast<char>(random() % 4 ? random() % 20 : random());
      if (random() % 8 == 0) broken.resize(random() % (broken.size() + 10));
      check_bson_reader(memory, broken);
    }
  }
  bson_destroy(document);
}

struct wish {
  std::vector<std::string> path;
  value wanted;
};

bool same_scalar(const value &a, const value &b) {
  const bool numbers = (a.kind == CJSON_INTEGER || a.kind == CJSON_DOUBLE) && (b.kind == CJSON_INTEGER || b.kind == CJSON_DOUBLE);
  if (numbers && a.kind != b.kind) {
    // An integer is worth a double exactly when both have the same digits.
    const value &integer = a.kind == CJSON_INTEGER ? a : b, &number = a.kind == CJSON_INTEGER ? b : a;
    char digits[400];
    std::snprintf(digits, sizeof digits, "%.0f", number.number + 0.0);
    return std::trunc(number.number) == number.number && digits == std::to_string(integer.integer);
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
  case CJSON_NULL: return true;
  case CJSON_BOOL: return a.boolean == b.boolean;
  case CJSON_INTEGER: return a.integer == b.integer;
  case CJSON_DOUBLE: return a.number == b.number;
  case CJSON_STRING: return a.string == b.string;
  default: return false;
  }
}

bool grants(const value &v, const wish &w, size_t depth, bool in_array) {
  const bool array = v.kind == CJSON_ARRAY;
  if (array && in_array) return false;
  if (!array && depth == w.path.size()) return same_scalar(v, w.wanted);
  for (const auto &[key, child] : v.members) {
    if (array ? grants(child, w, depth, true) : key == w.path[depth] && grants(child, w, depth + 1, false)) return true;
  }
  return false;
}

/// A path that leads somewhere in the text, or nearly, and a value that stands there, or not.
wish any_wish(const value &root, std::mt19937_64 &random) {
  wish w;
  const value *at = &root;
  while (!at->members.empty() && w.path.size() < 40) {
    const auto &[key, child] = at->members[random() % at->members.size()];
    if (at->kind == CJSON_OBJECT) w.path.push_back(key);
    at = &child;
  }
  w.wanted = *at;
  if (random() % 4 == 0) w.wanted.kind = static_cast<cjson_kind>(random() % 5);
  if (random() % 8 == 0 && w.wanted.kind == CJSON_INTEGER) { w.wanted.kind = CJSON_DOUBLE; w.wanted.number = static_cast<double>(w.wanted.integer); }
  if (random() % 8 == 0) w.path.push_back("a");
  if (random() % 8 == 0 && !w.path.empty()) w.path.pop_back();
  return w;
}

void check_matcher(const char *text, size_t length, const value *v, const std::set<cjson_status> &faults, std::mt19937_64 &random) {
  std::unique_ptr<cjson_matcher, void (*)(cjson_matcher *)> matcher(cjson_matcher_new(), cjson_matcher_free);
  bool wanted = v != nullptr, matches = true;
  for (size_t i = random() % 3; i > 0; i--) {
    const wish w = any_wish(v ? *v : value(), random);
    cjson_matcher_add_condition(matcher.get());
    for (const std::string &key : w.path) cjson_matcher_add_key(matcher.get(), key.data(), key.size());
    switch (w.wanted.kind) {
    case CJSON_NULL: cjson_matcher_add_null(matcher.get()); break;
    case CJSON_BOOL: cjson_matcher_add_boolean(matcher.get(), w.wanted.boolean); break;
    case CJSON_INTEGER: cjson_matcher_add_integer(matcher.get(), w.wanted.integer); break;
    case CJSON_DOUBLE: cjson_matcher_add_double(matcher.get(), w.wanted.number); break;
    case CJSON_STRING: cjson_matcher_add_string(matcher.get(), w.wanted.string.data(), w.wanted.string.size()); break;
    default: break;
    }
    wanted = wanted && grants(*v, w, 0, false);
  }
  const cjson_status status = cjson_matcher_match(matcher.get(), text, length, &matches);
  if (status != CJSON_OK && matches) fail("matcher: holds for no JSON");
  // simdjson's own limits: of nesting, and of numbers.
  if (!v || faults.count(CJSON_NUMBER) || v->depth > 1000) return;
  if (status != CJSON_OK) fail("matcher: status %d", status);
  if (matches != wanted) fail("matcher: says %d", matches);
}

void collect(const value &v, const std::vector<std::string> &path, size_t depth, bool in_array, std::vector<const value *> &found) {
  const bool array = v.kind == CJSON_ARRAY;
  if (array && in_array) return;
  if (!array && depth == path.size()) {
    if (v.kind != CJSON_OBJECT) found.push_back(&v);
    return;
  }
  for (const auto &[key, child] : v.members) {
    if (array) collect(child, path, depth, true, found);
    else if (key == path[depth]) collect(child, path, depth + 1, false, found);
  }
}

void check_reader(const char *text, size_t length, const value *v, const std::set<cjson_status> &faults, std::mt19937_64 &random) {
  std::unique_ptr<cjson_reader, void (*)(cjson_reader *)> reader(cjson_reader_new(), cjson_reader_free);
  std::vector<std::pair<size_t, const value *>> wanted;
  const size_t paths = random() % 4;
  for (size_t i = 0; i < paths; i++) {
    const wish w = any_wish(v ? *v : value(), random);
    cjson_reader_add_path(reader.get());
    for (const std::string &key : w.path) cjson_reader_add_key(reader.get(), key.data(), key.size());
    std::vector<const value *> found;
    if (v) collect(*v, w.path, 0, false, found);
    for (const value *one : found) wanted.emplace_back(i, one);
  }
  const cjson_value *values = nullptr;
  size_t count = 99;
  const cjson_status status = cjson_reader_read(reader.get(), text, length, &values, &count);
  if (status != CJSON_OK && count != 0) fail("reader: values of no JSON");
  if (!v || faults.count(CJSON_NUMBER) || v->depth > 1000) return;
  if (status != CJSON_OK) fail("reader: status %d", status);
  if (count != wanted.size()) fail("reader: %zu values and not %zu", count, wanted.size());
  for (size_t i = 0; i < count; i++) {
    value got;
    got.kind = values[i].kind;
    got.boolean = values[i].boolean;
    got.integer = values[i].integer;
    got.number = values[i].number;
    if (got.kind == CJSON_STRING) got.string.assign(values[i].text.bytes, values[i].text.length);
    if (values[i].path != wanted[i].first || got.kind != wanted[i].second->kind || !same_scalar(got, *wanted[i].second)) {
      fail("reader: value %zu is another", i);
    }
  }
}

void check_writer(cjson_parser *parser, std::string_view bytes) {
  // Exactly as large as promised, so that a sanitizer sees a byte too many.
  std::vector<char> out(6 * bytes.size() + 2);
  const size_t length = cjson_write_string(bytes.data(), bytes.size(), out.data());
  const std::string written(out.data(), length);
  if (written != plain_string(bytes)) fail("writer: %s", written.c_str());
  if (!plain_utf8(bytes)) return;
  std::string text = "{\"k\":" + written + "}";
  const size_t size = text.size();
  text.append(CJSON_PADDING, '"');
  const cjson_member *members;
  size_t count;
  cjson_view where;
  if (cjson_parse_object(parser, text.data(), size, 1, &members, &count, &where) != CJSON_OK || count != 1 ||
      view(members[0].text) != bytes) fail("writer: does not read back");
}

void check_double(double number) {
  std::vector<char> out(CJSON_DOUBLE_SIZE);
  const size_t length = cjson_write_double(number, out.data());
  if (!std::isfinite(number)) {
    if (length) fail("double: %a written", number);
    return;
  }
  const std::string text(out.data(), length);
  const double back = std::strtod(text.c_str(), nullptr);
  if (std::memcmp(&back, &number, sizeof back) != 0) fail("double: %a as %s", number, text.c_str());
  if (text.find_first_of(".e") == std::string::npos) fail("double: %s reads back as an integer", text.c_str());
  value v;
  plain_parser plain{text};
  if (!plain.parse(v) || v.kind != CJSON_DOUBLE) fail("double: %s is not JSON", text.c_str());
}

void check(std::string_view input) {
  static guarded memory, other;
  static cjson_parser *parser = cjson_parser_new();
  static const std::string_view fills[] = {{"\0", 1}, "\"", "]", "}", "1", "\xff", "\\", " ", "]}\"1,", "\xc3\xa9"};
  current_input = input;
  // From the input alone, so that a failure can be run again.
  std::mt19937_64 random(std::hash<std::string_view>()(input));
  // Now and then a new one: in buffers that have grown, writing too far is not seen.
  if (random() % 4 == 0) {
    cjson_parser_free(parser);
    parser = cjson_parser_new();
  }

  value v;
  plain_parser plain{input};
  const bool valid = plain.parse(v);
  const value *wanted = valid ? &v : nullptr;
  const uint32_t depths[] = {32, 32, 1, 2, 3, 1000, 0};
  const uint32_t max_depth = depths[random() % 7];
  // With two different paddings: the answer must not depend on what lies behind the text.
  for (int i = 0; i < 2; i++) {
    const char *text = memory.place(input, CJSON_PADDING, fills[random() % std::size(fills)]);
    check_scanner(text, input.size(), '[');
    check_scanner(text, input.size(), '{');
    check_parser(parser, text, input.size(), max_depth, wanted, plain.faults, plain.too_deep);
    if (!plain.too_deep) check_matcher(text, input.size(), wanted, plain.faults, random);
    if (!plain.too_deep) check_reader(text, input.size(), wanted, plain.faults, random);
  }
  if (!plain.too_deep) check_bson(other, input, memory.place(input, 0, "-"), wanted, plain.faults, random);
  check_bson_reader(other, input);
  check_writer(parser, input);
  double number;
  const uint64_t bits = random();
  std::memcpy(&number, &bits, sizeof number);
  check_double(number);
  check_double(static_cast<double>(static_cast<int64_t>(random()) >> (random() % 64)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check({reinterpret_cast<const char *>(data), size});
  return 0;
}

// --- Inputs from a seed -----------------------------------------------------------------------------------------------

#ifdef FUZZ_DRIVER

namespace {

struct generator {
  std::mt19937_64 random;

  size_t below(size_t n) { return random() % n; }
  bool one_in(size_t n) { return below(n) == 0; }
  template <size_t N> std::string_view any(const std::string_view (&list)[N]) { return list[below(N)]; }

  std::string space() {
    std::string out;
    if (one_in(4)) for (size_t i = one_in(30) ? below(150) : below(4); i > 0; i--) out += " \t\r\n"[below(4)];
    return out;
  }
  std::string string() {
    static const std::string_view pieces[] = {"a", "b", "type", "\\\"", "\\\\", "\\/", "\\n", "\\u0061", "\\u0000", "\\u001F",
      "\\ud83d\\ude00", "\\u00e9", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "$", ".", "{", "}", "[", "]", ",", ":", " ",
      "\x7f", "page_view", "0123456789abcdef"};
    std::string out = "\"";
    const size_t count = one_in(60) ? below(200) : below(6);
    if (one_in(40)) {
      out += std::string(2 * below(70), '\\');
    }
    for (size_t i = 0; i < count; i++) out += any(pieces);
    return out + '"';
  }
  std::string number() {
    static const std::string_view odd[] = {"0", "-0", "-0.0", "1.0", "9223372036854775807", "-9223372036854775808",
      "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e400", "-1e400", "1e-400", "5e-324", "2.2250738585072011e-308",
      "1.7976931348623157e308", "1.7976931348623159e308", "0.1", "1E5", "100000", "1e22", "1e23", "123456789012345678901234567890.5",
      "9007199254740993.0", "1e0", "0e0", "0.30000000000000004", "-1", "42"};
    static const std::string_view bad[] = {"-", "01", "1.", ".5", "+1", "1e", "1e+", "--1", "0x10", "NaN", "Infinity", "-Infinity", "1_0", "00", "-01"};
    if (one_in(60)) return std::string(any(bad));
    if (one_in(3)) return std::string(any(odd));
    if (one_in(2)) return std::to_string(static_cast<int64_t>(random()) >> below(64));
    char buffer[40];
    double value;
    const uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof value);
    if (one_in(2)) value = static_cast<double>(static_cast<int64_t>(bits) >> below(64)) / 1000;
    if (!std::isfinite(value)) return "1.5";
    std::snprintf(buffer, sizeof buffer, one_in(2) ? "%.17g" : "%.25e", value);
    return buffer;
  }
  std::string container(size_t depth) {
    const bool object = !one_in(3);
    std::string out = object ? "{" : "[";
    out += space();
    size_t count = one_in(40) ? below(60) : below(7);
    for (size_t i = 0; i < count; i++) {
      if (i) out += ',';
      // Numbered keys mostly, or hardly an object would be without duplicates.
      if (object) out += space() + (one_in(6) ? string() : "\"k" + std::to_string(one_in(60) ? 0 : i) + "\"") + space() + ":";
      out += space() + any_value(depth + 1) + space();
    }
    return out + (object ? '}' : ']');
  }
  std::string any_value(size_t depth) {
    if (depth < 8 && one_in(depth + 2)) return container(depth);
    switch (below(6)) {
    case 0: return "true";
    case 1: return "false";
    case 2: return "null";
    case 3: return string();
    default: return number();
    }
  }
  std::string deep() {
    const size_t n = one_in(2) ? 95 + below(12) : one_in(2) ? 990 + below(40) : one_in(20) ? 100000 : below(40);
    std::string open, close;
    for (size_t i = 0; i < n; i++) {
      if (one_in(3)) { open += "{\"a\":"; close += '}'; } else { open += '['; close += ']'; }
    }
    std::string out = "{\"x\":" + open + (one_in(2) ? "" : "1") ;
    // An object must not be left without a value.
    if (out.back() == ':') out += "1";
    out.append(close.rbegin(), close.rend());
    return out + '}';
  }
  /// Around the number of keys at which another way to find duplicates begins.
  std::string many_keys() {
    const size_t count = one_in(4) ? 100 + below(200) : 13 + below(8);
    const size_t twice = one_in(2) ? below(count) : count;
    std::string out = one_in(2) ? "{" : "{\"x\":{";
    const std::string end = out.size() == 1 ? "}" : "}}";
    for (size_t i = 0; i < count; i++) {
      if (i) out += ',';
      const size_t name = i == twice && i > 0 ? below(i) : i;
      out += (one_in(2) ? "\"k" : "\"\\u006b") + std::to_string(name) + "\":" + (one_in(8) ? "{\"k0\":1}" : "1");
    }
    return out + end;
  }
  /// What grows most when it is written, as long as the buffers are at first.
  std::string growing() {
    std::string out = "{\"a\":[";
    const size_t count = 300 + below(700);
    const size_t kind = below(3);
    for (size_t i = 0; i < count; i++) {
      if (i) out += ',';
      out += kind == 0 ? "\"\\u0001\\u0002\"" : kind == 1 ? std::to_string(static_cast<int64_t>(random())) : number();
    }
    out += "]";
    if (one_in(2)) {
      out += ",\"b\":[\"";
      for (size_t i = below(6000); i > 0; i--) out += one_in(50) ? "x" : "\\u0001";
      out += "\"]";
    }
    return out + "}";
  }
  std::string broken(std::string text) {
    static const std::string_view tokens[] = {"\"", "\\", "{", "}", "[", "]", ",", ":", "\xff", "\xc3", "\xed\xa0\x80", "\\ud800", "NaN",
      "\xef\xbb\xbf", {"\0", 1}, "\n", "1e999", "}{", "\\u", "\x01", "//", "\"a\":1,"};
    for (size_t i = below(3) + 1; i > 0; i--) {
      const size_t at = below(text.size() + 1);
      switch (below(7)) {
      case 0: if (at < text.size()) text[at] = static_cast<char>(random()); break;
      case 1: text.insert(at, any(tokens)); break;
      case 2: text.erase(at, below(4)); break;
      case 3: if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8))); break;
      case 4: if (one_in(4)) text.resize(at); break;
      case 5: text.insert(at, text.substr(below(text.size() + 1), below(30))); break;
      default: if (at < text.size()) text[at] = any(tokens)[0]; break;
      }
    }
    return text;
  }
  std::string garbage() {
    static const char alphabet[] = "{}[]\",:\\ \n01-eE.tfnaul\xff\xc3\xa9";
    std::string out;
    for (size_t i = below(one_in(10) ? 700 : 40); i > 0; i--) out += one_in(12) ? static_cast<char>(random()) : alphabet[below(sizeof alphabet - 1)];
    return out;
  }
  std::string next() {
    const size_t kind = below(100);
    if (kind < 8) return garbage();
    std::string text = kind < 10   ? deep()
                       : kind < 12 ? any_value(3)
                       : kind < 14 ? many_keys()
                       : kind < 15 && one_in(4) ? growing()
                                   : container(0);
    if (one_in(20)) text = space() + text + space();
    return one_in(2) ? text : broken(text);
  }
};

}  // namespace

/// json_fuzz [inputs [seed]]
int main(int argc, char **argv) {
  const size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  generator inputs{std::mt19937_64(seed)};
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    const std::string input = inputs.next();
    bytes += input.size();
    check(input);
  }
  std::printf("%zu inputs, %zu bytes, seed %llu: no finding\n", count, bytes, static_cast<unsigned long long>(seed));
}

#endif
