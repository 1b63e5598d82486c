internal import AnalyticsJSON
internal import FoundationEssentials

/// Decodes a dead letter, strictly. Not thread-safe: one decoder per task.
public final class DeadLetterDecoder {
    private var parser = JSONParser()

    public init() {}

    /// Throws a one-line reason if this version cannot read the dead letter.
    public func decode(_ body: [UInt8]) throws(DeadLetterError) -> DeadLetter {
        let text = PaddedBytes(body)
        return try parser.withMembers(of: text, at: text.all, maximumDepth: Self.maximumDepth) { (members) throws(DeadLetterError) in
            // Checked first: a newer letter may have another form.
            guard let version = members.integer("v") else { throw DeadLetterError("no version") }
            guard version == 1 else { throw DeadLetterError("version \(version) is not known here") }
            var letter = try DeadLetter(members)
            letter.original = try Self.original(members, letter.reason, text)
            return letter
        } fault: {
            DeadLetterError("not a JSON object: \($0.code)")
        }
    }

    /// The letter, the message in it, its list of events, and an event of maximum depth.
    private static let maximumDepth = 3 + EventLimits.maximumDepth + 1

    /// The original bytes: a message as it is, a whole delivery from base64.
    private static func original(
        _ members: borrowing JSONMembers, _ reason: DeadLetterReason, _ text: PaddedBytes
    ) throws(DeadLetterError) -> [UInt8] {
        switch (reason.keepsMessage, members.has("original"), members.has("originalBase64")) {
        case (true, true, false):
            guard members.with("original", { $0.isObject }) == true, let raw = raw("original", in: text) else {
                throw DeadLetterError("'original' is not a message")
            }
            return raw
        case (false, false, true):
            guard let bytes = members.string("originalBase64").flatMap({ Data(base64Encoded: $0) }) else {
                throw DeadLetterError("'originalBase64' is not base64")
            }
            return Array(bytes)
        default:
            throw DeadLetterError("a letter with this reason must have only '\(reason.keepsMessage ? "original" : "originalBase64")'")
        }
    }

    private static func raw(_ name: StaticString, in text: PaddedBytes) -> [UInt8]? {
        guard var members = JSONRawMembers(text, at: text.all) else { return nil }
        while let (key, value) = try? members.next() {
            if text.equals(name, at: key) { return Array(text[value]) }
        }
        return nil
    }
}

/// Why a dead letter cannot be decoded: one line.
public struct DeadLetterError: Error, Sendable, Equatable, CustomStringConvertible {
    public var message: String

    init(_ message: String) {
        self.message = message
    }

    public var description: String { "dead letter: \(message)" }
}

extension DeadLetter {
    /// All fields except ``original``. An unknown member is refused: it would be lost when the letter is written again.
    fileprivate init(_ members: borrowing JSONMembers) throws(DeadLetterError) {
        var reason: DeadLetterReason?
        var error: String?
        var attempts: Int64?
        var at: Timestamp?
        var (project, eventId): (ProjectID?, String?)
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
                project = try member.project()
            } else if member.hasKey("eventId") {
                eventId = try member.name()
            } else if !(member.hasKey("v") || member.hasKey("original") || member.hasKey("originalBase64")) {
                throw DeadLetterError("'\(member.key)' is not known here")
            }
        }
        guard let reason, let error, let attempts, let at else {
            throw DeadLetterError("'reason', 'error', 'attempts' or 'at' is missing or invalid")
        }
        self.init(
            reason: reason, error: error, attempts: Int(attempts), at: at, project: project, eventId: eventId, original: [])
    }
}

extension JSONMember {
    fileprivate func project() throws(DeadLetterError) -> ProjectID? {
        guard let project = string.flatMap({ ProjectID($0) }) else { throw DeadLetterError("'\(key)' is not a project name") }
        return project
    }

    fileprivate func name() throws(DeadLetterError) -> String {
        guard let name = string, FieldRules.hasLength(name, limit: FieldRules.idLength), !FieldRules.hasControls(name) else {
            throw DeadLetterError("'\(key)' does not have 1 to \(FieldRules.idLength) characters without control characters")
        }
        return name
    }
}
