internal import AnalyticsCore
internal import HTTPTypes

/// Decides what a body is, from its headers alone. Pure.
enum BodyFormat {
    /// For `POST /api/v1/events`.
    static func single(_ headers: HTTPFields) throws(Problem) -> Submission.Format {
        let type = try essence(headers)
        // CloudEvents HTTP binding 1.0.2, section 3: the content type tells structured and batched mode, all else is binary.
        switch type {
        case "application/cloudevents+json": return .cloudEvent
        case "application/cloudevents-batch+json": throw onlyBatch("A batch of CloudEvents")
        default: break
        }
        if let attributes = CloudEventHeaders.attributes(headers) {
            return .cloudEventBinary(attributes: attributes, contentType: headers[.contentType])
        }
        switch type {
        case nil, "application/json", "text/json": return .event
        case "application/x-ndjson", "application/ndjson", "application/jsonl": throw onlyBatch("NDJSON")
        case .some: throw unsupported("application/json or application/cloudevents+json")
        }
    }

    /// For `POST /api/v1/events/batch`.
    static func batch(_ headers: HTTPFields) throws(Problem) -> Submission.Format {
        let type = try essence(headers)
        if type == "application/cloudevents+json"
            || (CloudEventHeaders.attributes(headers) != nil && type?.ends(withUTF8: "batch+json") != true)
        {
            throw Problem(
                .unsupportedMediaType,
                "A single CloudEvent goes to POST /api/v1/events; a batch of them comes here as application/cloudevents-batch+json.")
        }
        switch type {
        case nil, "application/json", "text/json": return .batch
        case "application/x-ndjson", "application/ndjson", "application/jsonl": return .lines
        case "application/cloudevents-batch+json": return .cloudEventBatch
        case .some: throw unsupported("application/json, application/x-ndjson or application/cloudevents-batch+json")
        }
    }

    /// Type and subtype in lower case; `nil` when there is no header. What is declared as text in another encoding than UTF-8 is refused.
    private static func essence(_ headers: HTTPFields) throws(Problem) -> String? {
        guard let value = headers[.contentType], !value.isEmpty else { return nil }
        let parts = value.lowercasedASCII().splitUTF8(";").map { $0.removingUTF8(" ", "\t", "\"") }
        let isText = parts.first.map { $0.ends(withUTF8: "json") || $0.ends(withUTF8: "jsonl") } ?? false
        if isText, let charset = parts.dropFirst().first(where: { $0.starts(withUTF8: "charset=") })?.trimmingUTF8(first: 8),
            charset != "utf-8", charset != "utf8", charset != "us-ascii"
        {
            throw Problem(.unsupportedMediaType, "JSON is read as UTF-8 only, not as \(String(charset).clipped).")
        }
        return parts.first ?? ""
    }

    private static func onlyBatch(_ what: String) -> Problem {
        Problem(.unsupportedMediaType, "\(what) goes to POST /api/v1/events/batch; this route takes one event.")
    }

    private static func unsupported(_ supported: String) -> Problem {
        Problem(.unsupportedMediaType, "Content-Type may be \(supported).")
    }
}

/// A CloudEvent's attributes from headers (CloudEvents HTTP binding 1.0.2, section 3.1.3).
enum CloudEventHeaders {
    /// Names without `ce-`, in lower case; `nil` when there is none, and so no CloudEvent in binary mode.
    static func attributes(_ headers: HTTPFields) -> [String: String]? {
        var attributes: [String: String] = [:]
        for field in headers where field.name.canonicalName.starts(withUTF8: "ce-") {
            attributes[field.name.canonicalName.trimmingUTF8(first: 3)] = decode(field.value)
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
