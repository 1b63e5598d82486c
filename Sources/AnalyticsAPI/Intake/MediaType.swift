internal import AnalyticsCore
internal import HTTPTypes

/// The media types of the service's own routes. `nil` is a request without `Content-Type`.
enum MediaType {
    static let json: [String?] = [nil, "application/json", "text/json"]
    static let text = "text/plain"
    static let ndjson: [String?] = ["application/x-ndjson", "application/ndjson", "application/jsonl"]
    static let cloudEvent: [String?] = ["application/cloudevents+json"]
    static let cloudEventBatch: [String?] = ["application/cloudevents-batch+json"]

    /// Type and subtype in lower case; `nil` without a `Content-Type`. Throws for JSON in an encoding other than UTF-8.
    static func essence(_ headers: HTTPFields) throws(Problem) -> String? {
        guard let value = headers[.contentType], !value.isEmpty else { return nil }
        // Almost every request; what follows costs more than the rest of its routing.
        if value.equalsUTF8("application/json") { return value }
        let parts = value.lowercasedASCII().splitUTF8(";").map { $0.removingUTF8(" ", "\t", "\"") }
        let isText = parts.first.map { $0.ends(withUTF8: "json") || $0.ends(withUTF8: "jsonl") || $0.equalsUTF8(text) } ?? false
        if isText, let charset = parts.dropFirst().first(where: { $0.starts(withUTF8: "charset=") })?.trimmingUTF8(first: 8),
            charset != "utf-8", charset != "utf8", charset != "us-ascii"
        {
            throw Problem(.unsupportedMediaType, "JSON is read as UTF-8 only, not as \(String(charset).clipped).")
        }
        return parts.first ?? ""
    }
}
