internal import FoundationEssentials

/// Reads a dead letter back, as strictly as it was written. Not thread-safe: one a task.
public struct DeadLetterDecoder {
    private let parser = JSONParser()

    public init() {}

    /// Throws one line when the body is not a dead letter that this version reads.
    public func decode(_ body: [UInt8]) throws(DeadLetterError) -> DeadLetter {
        try PaddedBytes(body).withUnsafeBytes { (text) throws(DeadLetterError) in
            let members: JSONMembers
            do throws(JSONFault) {
                members = try parser.members(of: text, maximumDepth: Self.maximumDepth)
            } catch {
                throw DeadLetterError("not a JSON object: \(error.code)")
            }
            // Before anything else: a newer letter may look otherwise.
            guard let version = members["v"]?.integer else { throw DeadLetterError("no version") }
            guard version == 1 else { throw DeadLetterError("version \(version) is not known here") }
            var letter = try DeadLetter(members)
            letter.original = try original(members, letter.reason, text)
            return letter
        }
    }

    /// The letter, the message in it, its list of events, and an event as deep as a message may hold it.
    private static let maximumDepth = 3 + EventLimits.maximumDepth + 1

    /// The bytes as they stand: those of a message raw, those of which nothing is known as base64.
    private func original(_ members: JSONMembers, _ reason: DeadLetterReason, _ text: JSONSlice) throws(DeadLetterError) -> [UInt8] {
        switch (reason.keepsMessage, members["original"], members["originalBase64"]) {
        case (true, let message?, nil):
            guard message.isObject, let raw = Self.raw("original", in: text) else { throw DeadLetterError("'original' is no message") }
            return raw
        case (false, nil, let base64?):
            guard let bytes = base64.string.flatMap({ Data(base64Encoded: $0) }) else {
                throw DeadLetterError("'originalBase64' is no base64")
            }
            return Array(bytes)
        default:
            throw DeadLetterError("a letter with this reason has '\(reason.keepsMessage ? "original" : "originalBase64")', and only that")
        }
    }

    private static func raw(_ name: StaticString, in text: JSONSlice) -> [UInt8]? {
        guard var members = JSONRawMembers(text) else { return nil }
        while let (key, value) = try? members.next() {
            if key.equals(name) { return Array(value.bytes) }
        }
        return nil
    }
}

/// Why a dead letter is not read: one line.
public struct DeadLetterError: Error, Sendable, Equatable, CustomStringConvertible {
    public var message: String

    init(_ message: String) {
        self.message = message
    }

    public var description: String { "dead letter: \(message)" }
}

extension DeadLetter {
    /// All but ``original``. A member that this version does not know is refused: what it says would be lost when the letter is written again.
    fileprivate init(_ members: JSONMembers) throws(DeadLetterError) {
        var reason: DeadLetterReason?
        var error: String?
        var attempts: Int64?
        var at: Timestamp?
        var (project, eventId): (String?, String?)
        try members.each { (member) throws(DeadLetterError) in
            if member.hasKey("reason") {
                reason = member.string.flatMap(DeadLetterReason.init)
            } else if member.hasKey("error") {
                error = member.string
            } else if member.hasKey("attempts") {
                attempts = member.integer.flatMap { (1...Int64(Delivery.maximumRedeliveries) + 1).contains($0) ? $0 : nil }
            } else if member.hasKey("at") {
                at = member.integer.map(Timestamp.init(milliseconds:)).flatMap { $0.isValid ? $0 : nil }
            } else if member.hasKey("project") {
                project = try member.name()
            } else if member.hasKey("eventId") {
                eventId = try member.name()
            } else if !["v", "original", "originalBase64"].contains(where: member.hasKey) {
                throw DeadLetterError("'\(member.key)' is not known here")
            }
        }
        guard let reason, let error, let attempts, let at else {
            throw DeadLetterError("'reason', 'error', 'attempts' or 'at' is missing, or is no such thing")
        }
        self.init(
            reason: reason, error: error, attempts: Int(attempts), at: at, project: project, eventId: eventId, original: [])
    }
}

extension JSONMember {
    fileprivate func name() throws(DeadLetterError) -> String {
        guard let name = string, FieldRules.hasLength(name, limit: FieldRules.idLength), !FieldRules.hasControls(name) else {
            throw DeadLetterError("'\(key)' does not have 1 to \(FieldRules.idLength) characters without control characters")
        }
        return name
    }
}
