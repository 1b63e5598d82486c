internal import AnalyticsCore
internal import HTTPTypes

/// The attributes of a CloudEvent in headers (CloudEvents HTTP binding 1.0.2, section 3.1.3).
enum CloudEventHeaders {
    /// Names in lower case, without `ce-`; `nil` if there are none: the request is not a CloudEvent in binary mode. Throws if one occurs
    /// twice.
    static func attributes(_ headers: HTTPFields) throws(Problem) -> [String: String]? {
        var attributes: [String: String] = [:]
        for field in headers where field.name.canonicalName.starts(withUTF8: "ce-") {
            let value = attributes.updateValue(decode(field.value), forKey: field.name.canonicalName.trimmingUTF8(first: 3))
            guard value == nil else { throw .repeatedHeader(field.name) }
        }
        return attributes.isEmpty ? nil : attributes
    }

    /// Section 3.1.3.2: removes quotes, then decodes percent-encoding once. A value that cannot be decoded is kept unchanged.
    private static func decode(_ value: String) -> String {
        var value = value
        let quote = UInt8(ascii: "\"")
        if value.utf8.count >= 2, value.utf8.first == quote, value.utf8.last == quote {
            var unquoted: [UInt8] = []
            var isEscaped = false
            for byte in value.utf8.dropFirst().dropLast() {
                if !isEscaped, byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else {
                    unquoted.append(byte)
                    isEscaped = false
                }
            }
            value = String(decoding: unquoted, as: UTF8.self)
        }
        return PercentEncoding.decode(value, plusIsSpace: false) ?? value
    }
}
