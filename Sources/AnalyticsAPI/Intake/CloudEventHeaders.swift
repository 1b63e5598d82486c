internal import AnalyticsCore
internal import HTTPTypes

/// A CloudEvent's attributes from headers (CloudEvents HTTP binding 1.0.2, section 3.1.3).
enum CloudEventHeaders {
    /// Names without `ce-`, in lower case; `nil` when there is none, and so no CloudEvent in binary mode. An attribute that stands twice has no value.
    static func attributes(_ headers: HTTPFields) throws(Problem) -> [String: String]? {
        var attributes: [String: String] = [:]
        for field in headers where field.name.canonicalName.starts(withUTF8: "ce-") {
            let value = attributes.updateValue(decode(field.value), forKey: field.name.canonicalName.trimmingUTF8(first: 3))
            guard value == nil else { throw .repeatedHeader(field.name) }
        }
        return attributes.isEmpty ? nil : attributes
    }

    /// Section 3.1.3.2: quotes go first, then one round of percent-decoding. What cannot be decoded is taken as it stands.
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
