#include "cjson.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

#if defined(__SSE2__) && !defined(CJSON_PORTABLE)
#include <emmintrin.h>
#define CJSON_SSE2 1
#endif

namespace dom = simdjson::dom;

static_assert(simdjson::SIMDJSON_PADDING <= CJSON_PADDING, "callers promise CJSON_PADDING readable bytes");

namespace {

// --- Blocks of 64 bytes as bit masks ----------------------------------------------------------------------------------
//
// The scanner looks at 64 bytes at once: bit i of a mask says something of byte i. The last block may reach into the
// padding behind the buffer; the bits beyond the end are cleared before anybody looks at them.

constexpr size_t block_size = 64;

struct block_masks {
  uint64_t quote;      // "
  uint64_t backslash;
  uint64_t open;       // [ and {
  uint64_t close;      // ] and }
};

#if CJSON_SSE2

struct block {
  __m128i lane[4];

  explicit block(const char *bytes) {
    for (int i = 0; i < 4; i++) lane[i] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + 16 * i));
  }

  uint64_t equal(char byte, char fold = 0) const {
    const __m128i wanted = _mm_set1_epi8(byte), folded = _mm_set1_epi8(fold);
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++) {
      const __m128i same = _mm_cmpeq_epi8(_mm_or_si128(lane[i], folded), wanted);
      mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(same))) << (16 * i);
    }
    return mask;
  }
};

#else

// The same on eight bytes in an ordinary register. Written for either byte order: the bytes are put together by hand,
// which compilers turn into one load where they can.
struct block {
  uint64_t word[8];

  explicit block(const char *bytes) {
    for (int i = 0; i < 8; i++) {
      uint64_t w = 0;
      for (int j = 0; j < 8; j++) w |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[8 * i + j])) << (8 * j);
      word[i] = w;
    }
  }

  uint64_t equal(char byte, char fold = 0) const {
    constexpr uint64_t ones = 0x0101010101010101u, low7 = 0x7f7f7f7f7f7f7f7fu;
    const uint64_t wanted = ones * static_cast<unsigned char>(byte), folded = ones * static_cast<unsigned char>(fold);
    uint64_t mask = 0;
    for (int i = 0; i < 8; i++) {
      const uint64_t difference = (word[i] | folded) ^ wanted;
      // 0x80 in exactly the bytes that are zero; nothing is carried from one byte to the next.
      const uint64_t zero = ~(((difference & low7) + low7) | difference | low7);
      mask |= ((zero >> 7) * 0x0102040810204080u >> 56) << (8 * i);
    }
    return mask;
  }
};

#endif

inline uint64_t bits_below(size_t count) { return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1; }

/// Bit i is the exclusive or of bits 0…i: turns the two quotes of a string into a run of ones between them.
inline uint64_t prefix_xor(uint64_t bits) {
  bits ^= bits << 1;
  bits ^= bits << 2;
  bits ^= bits << 4;
  bits ^= bits << 8;
  bits ^= bits << 16;
  bits ^= bits << 32;
  return bits;
}

/// The bytes that a backslash before them escapes. `carry` is 1 when the last byte of the block before was such a
/// backslash. Runs of backslashes alternate; the subtraction finds where each run ends without a loop over its bytes.
inline uint64_t find_escaped(uint64_t backslash, uint64_t &carry) {
  if (backslash == 0) {
    const uint64_t escaped = carry;
    carry = 0;
    return escaped;
  }
  constexpr uint64_t odd = 0xaaaaaaaaaaaaaaaau;
  const uint64_t potential = backslash & ~carry;
  const uint64_t codes = (((potential << 1) | odd) - potential) ^ odd;
  const uint64_t escaped = codes ^ (backslash | carry);
  carry = (codes & backslash) >> 63;
  return escaped;
}

inline unsigned lowest_bit(uint64_t bits) { return static_cast<unsigned>(__builtin_ctzll(bits)); }
inline size_t count_bits(uint64_t bits) { return static_cast<size_t>(__builtin_popcountll(bits)); }

// --- Scanner ----------------------------------------------------------------------------------------------------------

inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

inline const char *skip_space(const char *p, const char *end) {
  while (p < end && is_space(*p)) p++;
  return p;
}

/// `p` is behind the opening quote. Returns the closing quote, or NULL.
const char *find_quote(const char *p, const char *end) {
  uint64_t carry = 0;
  while (p < end) {
    const block b(p);
    const uint64_t escaped = find_escaped(b.equal('\\'), carry);
    const uint64_t quotes = b.equal('"') & ~escaped & bits_below(static_cast<size_t>(end - p));
    if (quotes) return p + lowest_bit(quotes);
    if (static_cast<size_t>(end - p) <= block_size) return nullptr;
    p += block_size;
  }
  return nullptr;
}

/// `p` is at the opening bracket. Returns the byte behind the bracket that closes it, or NULL. Both kinds of bracket
/// count alike: whether they match is the parser's to say.
const char *find_close(const char *p, const char *end) {
  uint64_t carry = 0;
  uint64_t in_string = 0;  // all ones when the block before ended inside a string
  size_t depth = 0;
  while (p < end) {
    const block b(p);
    const uint64_t valid = bits_below(static_cast<size_t>(end - p));
    const uint64_t escaped = find_escaped(b.equal('\\'), carry);
    const uint64_t strings = prefix_xor(b.equal('"') & ~escaped & valid) ^ in_string;
    in_string = uint64_t{0} - (strings >> 63);
    // '[' | 0x20 is '{' and ']' | 0x20 is '}'.
    const uint64_t opens = b.equal('{', 0x20) & ~strings & valid;
    uint64_t closes = b.equal('}', 0x20) & ~strings & valid;
    if (count_bits(closes) >= depth) {
      // It may end here: at the first bracket that leaves as many closed as were opened before it.
      size_t closed = 0;
      while (closes) {
        const unsigned at = lowest_bit(closes);
        closed++;
        if (depth + count_bits(opens & bits_below(at)) == closed) return p + at + 1;
        closes &= closes - 1;
      }
      depth += count_bits(opens) - closed;
    } else {
      depth += count_bits(opens) - count_bits(closes);
    }
    if (static_cast<size_t>(end - p) <= block_size) return nullptr;
    p += block_size;
  }
  return nullptr;
}

/// What ends a number or a literal.
inline bool ends_atom(char c) {
  switch (c) {
  case ' ': case '\n': case '\r': case '\t': case ',': case ':': case '"': case '[': case ']': case '{': case '}':
    return true;
  default:
    return false;
  }
}

// A scanner that is done or has failed has no closing bracket to look for; `first` tells the two apart. So a caller who
// goes on asking gets the same answer for ever.
inline cjson_status scan_fail(cjson_scanner *s, const char *place) {
  s->next = place;
  s->close = 0;
  s->first = false;
  return CJSON_SYNTAX;
}

/// Goes to the next element or member: over the comma, or to the end.
cjson_status scan_advance(cjson_scanner *s) {
  if (s->close == 0) return s->first ? CJSON_END : CJSON_SYNTAX;
  const char *p = skip_space(s->next, s->end);
  if (p == s->end) return scan_fail(s, p);
  if (*p == s->close) {
    p = skip_space(p + 1, s->end);
    if (p != s->end) return scan_fail(s, p);
    s->next = p;
    s->close = 0;
    s->first = true;
    return CJSON_END;
  }
  if (s->first) {
    s->first = false;
  } else {
    if (*p != ',') return scan_fail(s, p);
    p = skip_space(p + 1, s->end);
    if (p == s->end) return scan_fail(s, p);
  }
  s->next = p;
  return CJSON_OK;
}

cjson_status scan_value(cjson_scanner *s, cjson_view *value) {
  const char *start = s->next;
  const char *behind;
  if (start == s->end) return scan_fail(s, start);
  if (*start == '"') {
    behind = find_quote(start + 1, s->end);
    if (behind) behind++;
  } else if (*start == '{' || *start == '[') {
    behind = find_close(start, s->end);
  } else {
    behind = start;
    while (behind < s->end && !ends_atom(*behind)) behind++;
    if (behind == start) return scan_fail(s, start);
  }
  if (!behind) return scan_fail(s, s->end);
  *value = {start, static_cast<size_t>(behind - start)};
  s->next = behind;
  return CJSON_OK;
}

}  // namespace

cjson_status cjson_scan_begin(cjson_scanner *scanner, const char *text, size_t length, char open) {
  const char *end = text + length;
  const char *p = skip_space(text, end);
  *scanner = {p, end, open == '[' ? ']' : '}', true};
  if (p == end || *p != open || (open != '[' && open != '{')) return scan_fail(scanner, p);
  scanner->next = p + 1;
  return CJSON_OK;
}

cjson_status cjson_scan_element(cjson_scanner *scanner, cjson_view *element) {
  *element = {nullptr, 0};
  const cjson_status status = scan_advance(scanner);
  return status == CJSON_OK ? scan_value(scanner, element) : status;
}

cjson_status cjson_scan_member(cjson_scanner *scanner, cjson_view *key, cjson_view *value) {
  *key = {nullptr, 0};
  *value = {nullptr, 0};
  const cjson_status status = scan_advance(scanner);
  if (status != CJSON_OK) return status;
  if (*scanner->next != '"') return scan_fail(scanner, scanner->next);
  const char *start = scanner->next + 1;
  const char *quote = find_quote(start, scanner->end);
  if (!quote) return scan_fail(scanner, scanner->end);
  const char *p = skip_space(quote + 1, scanner->end);
  if (p == scanner->end || *p != ':') return scan_fail(scanner, p);
  scanner->next = skip_space(p + 1, scanner->end);
  const cjson_status outcome = scan_value(scanner, value);
  if (outcome == CJSON_OK) *key = {start, static_cast<size_t>(quote - start)};
  return outcome;
}

// --- Writing ----------------------------------------------------------------------------------------------------------

namespace {

/// How a byte is escaped: 0 not at all, 'u' as \u00XX, else with a backslash and this letter.
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
constexpr escape_table escapes;

/// True when none of eight bytes needs an escape. May say false for some that need none (never the other way).
inline bool plain8(const char *bytes) {
  uint64_t w;
  std::memcpy(&w, bytes, 8);
  constexpr uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
  const uint64_t quote = w ^ (ones * 0x22), backslash = w ^ (ones * 0x5c);
  const uint64_t control = (w - ones * 0x20) & ~w;
  return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | control) & high ? false : true;
}

/// Without the quotes. `out` has room for 6 × length.
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

}  // namespace

size_t cjson_write_string(const char *bytes, size_t length, char *out) {
  char *p = out;
  *p++ = '"';
  p = escape(bytes, length, p);
  *p++ = '"';
  return static_cast<size_t>(p - out);
}

size_t cjson_write_double(double number, char *out) {
  if (!std::isfinite(number)) return 0;
  // The longest is 24 characters: -2.2250738585072014e-308.
  char *end = std::to_chars(out, out + CJSON_DOUBLE_SIZE - 2, number).ptr;
  const bool reads_as_integer = std::all_of(out, end, [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
  if (reads_as_integer) {
    *end++ = '.';
    *end++ = '0';
  }
  return static_cast<size_t>(end - out);
}

// --- Parser -----------------------------------------------------------------------------------------------------------

namespace {

/// Longer texts than this may make the parser's buffers grow (to about 14 times the text), but the next text that is not
/// so long gives them back.
constexpr size_t kept_capacity = 512 * 1024;

/// simdjson's own limit is 1,024; every text that it lets through can be walked.
constexpr uint32_t deepest = 1000;

/// Up to here each key is compared with those before it; beyond, they are sorted.
constexpr size_t few_keys = 16;

/// Where simdjson stops it does not say. To tell the member, this many are tried one by one.
constexpr size_t members_tried = 1000;

/// A growing run of bytes. Not std::string: that writes zeros over what is to be overwritten anyway.
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
  /// In pieces, so that the room is six times a piece and not six times the string.
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

cjson_status status_of(simdjson::error_code error) {
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

}  // namespace

struct cjson_parser {
  dom::parser parser;
  std::vector<cjson_member> members;
  text_buffer text;                     // the normalised texts of the members, one behind the other
  std::vector<std::string_view> keys;   // of the objects that the walk is inside of, the innermost last
  std::string where;

  cjson_status parse(const char *bytes, size_t length, uint32_t max_depth, cjson_view *found_in);

private:
  cjson_status walk(dom::element value, uint32_t depth_left);
  cjson_status walk_object(dom::object object, uint32_t depth_left);
  cjson_status walk_array(dom::array array, uint32_t depth_left);
  cjson_status add_key(std::string_view key, size_t base);
  cjson_status check_many_keys(size_t base, std::string_view *duplicate);
  cjson_status member_of(std::string_view key, dom::element value, uint32_t depth_left);
  void locate(const char *bytes, size_t length, cjson_status status, cjson_view *found_in);
};

/// Takes a key into the object whose keys begin at `base`.
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

/// Called at the end of an object: looks for duplicates where `add_key` has not. Sorting, not hashing: nobody can choose
/// keys that make it slow.
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
  case dom::element_type::UINT64: return CJSON_NUMBER;  // simdjson makes one only beyond int64
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
  // `text` may yet move: for what is in it only the length is kept now, and `parse` puts the addresses in at the end.
  if (text.size() > start) member.text = {nullptr, text.size() - start};
  if (status == CJSON_OK) members.push_back(member);
  return status;
}

/// simdjson says what is wrong with the whole, not where: the members are parsed one by one until one fails alike.
void cjson_parser::locate(const char *bytes, size_t length, cjson_status status, cjson_view *found_in) {
  cjson_scanner scanner;
  if (cjson_scan_begin(&scanner, bytes, length, '{') != CJSON_OK) return;
  cjson_view key, value;
  for (size_t i = 0; i < members_tried && cjson_scan_member(&scanner, &key, &value) == CJSON_OK; i++) {
    // With its quotes. A key that is itself broken cannot be named.
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

  // Newer simdjson versions skip a byte order mark; RFC 8259 forbids sending one. The same answer with every version.
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
  } catch (...) {  // only for want of memory; nothing may be thrown into C or Swift
    *where = {nullptr, 0};
    return CJSON_MEMORY;
  }
}
