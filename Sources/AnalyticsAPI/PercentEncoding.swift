internal import Foundation

/// RFC 3986, section 2.1. Strict: `nil` for a `%` without two hexadecimal digits, and for what is no UTF-8 then.
enum PercentEncoding {
    /// - Parameter plusIsSpace: As HTML forms and most clients write queries.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String? {
        guard plusIsSpace else { return text.removingPercentEncoding }
        return String(decoding: text.utf8.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }, as: UTF8.self).removingPercentEncoding
    }
}
