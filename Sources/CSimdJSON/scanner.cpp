// The scanner: splits arrays and objects into raw slices.
#include "cjson.h"

#if defined(__SSE2__) && !defined(CJSON_PORTABLE)
#include <emmintrin.h>
#define CJSON_SSE2 1
#endif

namespace {

// --- Blocks of 64 bytes as bit masks ----------------------------------------------------------------------------------
//
// The scanner processes 64 bytes at once: bit i of a mask belongs to byte i. The last block may extend into the
// padding after the buffer; the bits beyond the end are cleared before use.

constexpr size_t block_size = 64;

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

// The same on eight bytes in an ordinary register. Works with either byte order: the bytes are combined explicitly,
// which compilers turn into one load if possible.
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

/// Bit i is the exclusive or of bits 0…i. It turns the two quotes of a string into ones from the first quote up to the second.
inline uint64_t prefix_xor(uint64_t bits) {
  bits ^= bits << 1;
  bits ^= bits << 2;
  bits ^= bits << 4;
  bits ^= bits << 8;
  bits ^= bits << 16;
  bits ^= bits << 32;
  return bits;
}

/// The bytes escaped by a preceding backslash. `carry` is 1 if the last byte of the previous block was such a
/// backslash. Backslashes in a run alternate; the subtraction finds the end of each run without a loop over its bytes.
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

/// `p` is after the opening quote. Returns the closing quote, or NULL.
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

/// `p` is at the opening bracket. Returns the byte after its closing bracket, or NULL. Both kinds of brackets
/// count equally; the parser checks whether they match.
const char *find_close(const char *p, const char *end) {
  uint64_t carry = 0;
  uint64_t in_string = 0;  // all ones if the previous block ended inside a string
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
      // The end may be here: the first bracket at which as many are closed as were opened before it.
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

/// Whether this byte ends a number or a literal.
inline bool ends_atom(char c) {
  switch (c) {
  case ' ': case '\n': case '\r': case '\t': case ',': case ':': case '"': case '[': case ']': case '{': case '}':
    return true;
  default:
    return false;
  }
}

// A scanner at the end or after a failure has no closing bracket left; `first` tells the two apart. Further calls
// always return the same.
inline cjson_status scan_fail(cjson_scanner *s, const char *place) {
  s->next = place;
  s->close = 0;
  s->first = false;
  return CJSON_SYNTAX;
}

/// Moves to the next element or member: past the comma, or to the end.
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
