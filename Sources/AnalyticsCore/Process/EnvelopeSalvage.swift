internal import FoundationEssentials

/// The readable parts of a delivery that cannot be processed, without the parser that may have failed on it.
///
/// Uses only Swift and Foundation's decoder, not simdjson. It reads the project and the times, so that the minutes can be marked, and
/// splits the message into one per event. It finds every event, with its time, that ``EnvelopeDecoder`` can read, and as much as possible
/// of anything else. It reads envelopes of any version with these members.
struct EnvelopeSalvage {
    /// Events of one request.
    struct Section {
        /// The project in the header; `nil` if there is none or it is not a valid name.
        fileprivate(set) var project: ProjectID?
        /// When its request was received; `nil` if the header does not contain it.
        fileprivate(set) var receivedAt: Timestamp?
        /// The minutes in which its events may be stored.
        fileprivate(set) var minutes: Set<Int64> = []
        /// One message per event, each with the whole header; empty if the section cannot be split.
        fileprivate(set) var messages: [OutgoingMessage] = []
        /// The section as one message.
        fileprivate(set) var message: OutgoingMessage
    }

    /// The sections of a joined message; for another message, the message itself.
    let sections: [Section]

    var messages: [OutgoingMessage] { sections.flatMap(\.messages) }

    /// The minutes of all events, as buckets of their projects. Sections without a known project give none.
    var buckets: Set<BucketKey> {
        var buckets: Set<BucketKey> = []
        for section in sections {
            guard let project = section.project else { continue }
            for minute in section.minutes { buckets.insert(BucketKey(project: project, index: minute)) }
        }
        return buckets
    }

    init(_ body: [UInt8]) {
        sections = Self.parts(of: body).map(Section.init)
    }

    /// The same test as in ``EnvelopeDecoder``: a joined message begins with its version.
    private static func parts(of body: [UInt8]) -> [ArraySlice<UInt8>] {
        var reader = ByteReader(bytes: body[...])
        guard reader.take(UInt8(ascii: "{")), let version = reader.member(), version.key.elementsEqual(#""v""#.utf8),
            version.value.elementsEqual("2".utf8), let sections = reader.member(), sections.key.elementsEqual(#""sections""#.utf8)
        else { return [body[...]] }
        var elements = ByteReader(bytes: sections.value)
        guard elements.take(UInt8(ascii: "[")) else { return [body[...]] }
        var parts: [ArraySlice<UInt8>] = []
        while let part = elements.element() { parts.append(part) }
        return parts.isEmpty ? [body[...]] : parts
    }
}

extension EnvelopeSalvage.Section {
    private struct Header: Decodable {
        var project: String
    }

    private struct Receipt: Decodable {
        var receivedAt: Int64
    }

    private struct Times: Decodable {
        var timestamp: Int64?
    }

    fileprivate init(_ body: ArraySlice<UInt8>) {
        message = OutgoingMessage(body: Array(body), events: 1)
        var reader = ByteReader(bytes: body)
        guard reader.take(UInt8(ascii: "{")) else { return }
        var header: [UInt8] = [UInt8(ascii: "{")]
        // The events follow the header, as in a message that ``EnvelopeDecoder`` reads.
        while let (key, value) = reader.member() {
            guard !key.elementsEqual(#""events""#.utf8) else {
                read(events: value, header: header)
                message.events = max(1, messages.count)
                return
            }
            let member = key + [UInt8(ascii: ":")] + value
            // Decoded alone: another invalid member does not matter.
            let object: [UInt8] = [UInt8(ascii: "{")] + member + [UInt8(ascii: "}")]
            if key.elementsEqual(#""project""#.utf8), let named = Self.decode(Header.self, object) { project = ProjectID(named.project) }
            if key.elementsEqual(#""receivedAt""#.utf8), let receipt = Self.decode(Receipt.self, object) {
                let time = Timestamp(milliseconds: receipt.receivedAt)
                receivedAt = time.isValid ? time : nil
            }
            header += member + [UInt8(ascii: ",")]
        }
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ text: some Collection<UInt8>) -> Value? {
        try? JSONDecoder().decode(type, from: Data(text))
    }

    private mutating func read(events: ArraySlice<UInt8>, header: [UInt8]) {
        var reader = ByteReader(bytes: events)
        guard reader.take(UInt8(ascii: "[")) else { return }
        while let event = reader.element() {
            if let time = Self.decode(Times.self, event)?.timestamp {
                let timestamp = Timestamp(milliseconds: time)
                if timestamp.isValid { minutes.insert(timestamp.minute) }
            }
            messages.append(OutgoingMessage(body: header + Array(#""events":["#.utf8) + event + Array("]}".utf8), events: 1))
        }
    }
}

/// Splits JSON text into members and elements by strings and brackets. Total: on invalid bytes it ends with `nil`.
private struct ByteReader {
    var bytes: ArraySlice<UInt8>

    mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard bytes.first == byte else { return false }
        bytes.removeFirst()
        return true
    }

    /// The next member: its key with quotes, and its value.
    mutating func member() -> (key: ArraySlice<UInt8>, value: ArraySlice<UInt8>)? {
        _ = take(UInt8(ascii: ","))
        skipSpace()
        guard let key = string(), take(UInt8(ascii: ":")), let value = value() else { return nil }
        return (key, value)
    }

    mutating func element() -> ArraySlice<UInt8>? {
        _ = take(UInt8(ascii: ","))
        return value()
    }

    private mutating func string() -> ArraySlice<UInt8>? {
        guard bytes.first == UInt8(ascii: "\"") else { return nil }
        var isEscaped = false
        for index in bytes.indices.dropFirst() {
            if isEscaped {
                isEscaped = false
            } else if bytes[index] == UInt8(ascii: "\\") {
                isEscaped = true
            } else if bytes[index] == UInt8(ascii: "\"") {
                defer { bytes = bytes[(index + 1)...] }
                return bytes[...index]
            }
        }
        return nil
    }

    /// The text up to the comma or bracket that ends it; `nil` if there is none, or no text before it.
    private mutating func value() -> ArraySlice<UInt8>? {
        skipSpace()
        var rest = self
        var depth = 0
        while let byte = rest.bytes.first {
            switch byte {
            case UInt8(ascii: "\""):
                guard rest.string() != nil else { return nil }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 {
                    let value = bytes[..<rest.bytes.startIndex]
                    guard !value.isEmpty else { return nil }
                    bytes = rest.bytes
                    return value
                }
                if byte != UInt8(ascii: ",") { depth -= 1 }
            default: break
            }
            rest.bytes.removeFirst()
        }
        return nil
    }

    private mutating func skipSpace() {
        bytes = bytes.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    }
}
