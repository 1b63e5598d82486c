import Foundation

@testable import AnalyticsCore

/// A dead letter as an operator's tool reads it: with any JSON reader.
struct ReadDeadLetter {
    var reason: String
    var error: String
    var attempts: Int
    var project: String?
    var eventId: String?
    var original: [UInt8]

    init?(_ body: [UInt8]) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any], let reason = object["reason"] as? String,
            let error = object["error"] as? String, let attempts = object["attempts"] as? Int
        else { return nil }
        (self.reason, self.error, self.attempts) = (reason, error, attempts)
        (project, eventId) = (object["project"] as? String, object["eventId"] as? String)
        if let base64 = object["originalBase64"] as? String, let data = Data(base64Encoded: base64) {
            original = Array(data)
        } else if let raw = Self.raw("original", in: body) {
            original = raw
        } else {
            return nil
        }
    }

    /// The event in it, as a replay would read it.
    var event: Event? { (try? ChunkDecoder().decode(original))?.events.first }

    private static func raw(_ name: String, in body: [UInt8]) -> [UInt8]? {
        PaddedBytes(body).withUnsafeBytes { text in
            guard var members = JSONRawMembers(text) else { return nil }
            while let (key, value) = try? members.next() {
                if key == name { return Array(value.string.utf8) }
            }
            return nil
        }
    }
}
