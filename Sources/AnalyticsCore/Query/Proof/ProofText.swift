internal import AnalyticsJSON
internal import Crypto
internal import Foundation

/// Why a text is not a valid proof.
public enum ProofFault: Error, Equatable, Sendable {
    /// Not a JSON object with a proof, or one that no service can have written.
    case unreadable
    /// Written by a later version.
    case unknownFormat
    /// Not sealed with this store's key: the text was changed, or comes from another store.
    case forged
    /// The proof belongs to another answer.
    case otherAnswer
}

/// The members of an object, as bytes that do not depend on white space.
enum CanonicalJSON {
    private static let depth = 12

    /// Calls `update` with each member except `name`, in order, and returns that member.
    static func members(
        of text: [UInt8], but name: StaticString, _ update: (_ key: String, _ value: String) -> Void
    ) -> (isObject: Bool, left: String?) {
        var parser = JSONParser()
        let text = PaddedBytes(text)
        var left: String?
        do throws(JSONFault) {
            try parser.withMembers(of: text, at: text.all, maximumDepth: depth) { members in
                members.each { member in
                    if member.hasKey(name) { left = member.json.text } else { update(member.key, member.json.text) }
                }
            }
            return (true, left)
        } catch {
            return (false, nil)
        }
    }

    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension Proof {
    static let format: Int64 = 1
    /// Bytes of the key that seals proofs.
    public static let keyBytes = 32

    /// A new key, for a store that has none yet.
    public static func newKey() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) } }

    /// SHA-256 of an answer's members without `proof`, and the text of that member. `nil` if the text is not a JSON object.
    public static func digest(ofAnswer text: [UInt8]) -> (digest: String, proof: [UInt8]?)? {
        var hash = SHA256()
        let (isObject, proof) = CanonicalJSON.members(of: text, but: "proof") { key, value in
            hash.update(field: key)
            hash.update(field: value)
        }
        return isObject ? (CanonicalJSON.hexadecimal(hash.finalize()), proof.map { Array($0.utf8) }) : nil
    }

    /// HMAC-SHA256 over all members except `seal`, and the text of that member.
    private static func seal(of text: [UInt8], key: [UInt8]) -> (seal: HMAC<SHA256>.MAC, found: String?)? {
        var bytes: [UInt8] = []
        let (isObject, found) = CanonicalJSON.members(of: text, but: "seal") { name, value in
            for field in [name, value] {
                withUnsafeBytes(of: Int64(field.utf8.count).littleEndian) { bytes += $0 }
                bytes += field.utf8
            }
        }
        return isObject ? (HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: key)), found) : nil
    }

    // MARK: Writing

    /// The member `proof` of an answer, sealed.
    public func text(_ record: ReadingRecord, key: [UInt8]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        write(to: &writer)
        writer.key("read")
        writer.reading(record.state)
        var unsealed = writer
        unsealed.endObject()
        let seal = Self.seal(of: unsealed.bytes, key: key).map { CanonicalJSON.hexadecimal($0.seal) }
        writer.member("seal", seal)
        writer.endObject()
        return writer.bytes
    }

    private func write(to writer: inout JSONWriter) {
        writer.member("format", Self.format)
        writer.member("project", project.name)
        writer.member("question", question)
        writer.member("asOf", asOf.rfc3339)
        writer.member("answer", answer)
        writer.member("watermark", watermark?.rfc3339)
        writer.member("identities", identities.map { String(UInt64(bitPattern: $0), radix: 16) })
        writer.member("zones", zones)
        writer.key("ranges")
        writer.beginArray()
        for range in ranges {
            writer.beginArray()
            writer.string(range.lowerBound.rfc3339)
            writer.string(range.upperBound.rfc3339)
            writer.endArray()
        }
        writer.endArray()
        writer.key("earlier")
        writer.beginObject()
        writer.member("days", Int64(earlier.count))
        writer.member("versions", String(earlier.sum))
        writer.endObject()
        writer.key("days")
        writer.beginArray()
        for day in days {
            writer.beginObject()
            writer.member("day", Timestamp(day: day.day).rfc3339)
            writer.member("v", day.version)
            writer.member("minutes", day.encodedMinutes)
            writer.endObject()
        }
        writer.endArray()
    }

    // MARK: Reading

    /// Parses the member `proof`. The text is untrusted: the seal is checked first.
    public init(text: [UInt8], key: [UInt8]) throws(ProofFault) {
        guard text.count <= Self.byteLimit, let (seal, found) = Self.seal(of: text, key: key) else { throw .unreadable }
        guard let found, Self.isSame(found, seal) else { throw .forged }
        try self.init(unchecked: text)
    }

    /// Parses a text whose seal has been checked.
    init(unchecked text: [UInt8]) throws(ProofFault) {
        var parser = JSONParser()
        let padded = PaddedBytes(text)
        self = try parser.withMembers(of: padded, at: padded.all, maximumDepth: 8) { (members) throws(ProofFault) in
            guard members.integer("format") == Self.format else { throw .unknownFormat }
            return try Proof(members)
        } fault: { _ in
            .unreadable
        }
    }

    /// Compares in constant time.
    private static func isSame(_ found: String, _ seal: HMAC<SHA256>.MAC) -> Bool {
        // With the quotes of a JSON string.
        let expected = Array("\"\(CanonicalJSON.hexadecimal(seal))\"".utf8)
        let found = Array(found.utf8)
        guard found.count == expected.count else { return false }
        return zip(found, expected).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private init(_ members: borrowing JSONMembers) throws(ProofFault) {
        func time(_ name: StaticString) throws(ProofFault) -> Timestamp? {
            guard let text = members.string(name) else { return nil }
            guard let time = Timestamp(rfc3339: text) else { throw .unreadable }
            return time
        }
        guard let project = members.string("project").flatMap({ ProjectID($0) }), let question = members.string("question"),
            let asOf = try time("asOf"), let answer = members.string("answer"), let ranges = members.with("ranges", { Optional($0.json) }),
            let days = members.with("days", { Optional($0.json) }), let earlier = members.with("earlier", { Optional($0.json) })
        else { throw .unreadable }
        self.init(
            project: project, question: question, asOf: asOf, answer: answer, watermark: try time("watermark"),
            identities: members.string("identities").flatMap { UInt64($0, radix: 16) }.map { Int64(bitPattern: $0) },
            zones: members.string("zones"), ranges: try Self.ranges(ranges), days: try Self.days(days),
            earlier: try EarlierDays(earlier))
        guard question.utf8.count <= Self.questionLimit, self.days.count <= ReadingRecord.dayLimit,
            zip(self.days, self.days.dropFirst()).allSatisfy({ $0.day < $1.day })
        else { throw .unreadable }
    }

    private static func elements<Value>(
        _ text: JSONText, _ read: (PaddedBytes, Range<Int>) throws(ProofFault) -> Value
    ) throws(ProofFault) -> [Value] {
        let text = PaddedBytes(text.text)
        guard var elements = JSONElements(text, at: text.all) else { throw .unreadable }
        var values: [Value] = []
        do {
            while let place = try elements.next() { values.append(try read(text, place)) }
        } catch {
            throw .unreadable
        }
        return values
    }

    private static func ranges(_ text: JSONText) throws(ProofFault) -> [Range<Timestamp>] {
        try elements(text) { (text, place) throws(ProofFault) in
            let bounds = try elements(JSONText(normalised: text.string(at: place))) { (text, place) throws(ProofFault) in
                guard let time = Timestamp(rfc3339: text.string(at: place).trimmingQuotes) else { throw .unreadable }
                return time
            }
            guard bounds.count == 2, bounds[0] < bounds[1] else { throw .unreadable }
            return bounds[0]..<bounds[1]
        }
    }

    private static func days(_ text: JSONText) throws(ProofFault) -> [ProofDay] {
        try elements(text) { (text, place) throws(ProofFault) in
            var parser = JSONParser()
            return try parser.withMembers(of: text, at: place, maximumDepth: 2) { (members) throws(ProofFault) in
                guard let day = members.string("day").flatMap({ Timestamp(rfc3339: $0) })?.day, RollupTier.day.indexes.contains(day),
                    let version = members.integer("v")
                else { throw .unreadable }
                guard let encoded = members.string("minutes") else { return ProofDay(day: day, version: version) }
                guard let minutes = Data(base64Encoded: encoded).flatMap({ ProofDay.minutes(encoded: Array($0)) }) else {
                    throw .unreadable
                }
                return ProofDay(day: day, version: version, minutes: minutes)
            } fault: { _ in
                .unreadable
            }
        }
    }
}

extension Proof.EarlierDays {
    fileprivate init(_ text: JSONText) throws(ProofFault) {
        var parser = JSONParser()
        let text = PaddedBytes(text.text)
        self = try parser.withMembers(of: text, at: text.all, maximumDepth: 2) { (members) throws(ProofFault) in
            guard let days = members.integer("days"), (0...Int64(Int32.max)).contains(days),
                let sum = members.string("versions").flatMap({ Int64($0) })
            else { throw .unreadable }
            return Proof.EarlierDays(count: Int(days), sum: sum)
        } fault: { _ in
            .unreadable
        }
    }
}

extension String {
    /// The content of a JSON string without escapes.
    fileprivate var trimmingQuotes: String {
        utf8.count >= 2 ? String(decoding: utf8.dropFirst().dropLast(), as: UTF8.self) : self
    }
}

extension JSONWriter {
    /// The record of what was read. For readers only: nothing depends on it.
    fileprivate mutating func reading(_ state: ReadingRecord.State) {
        beginObject()
        key("counts")
        beginObject()
        for (kind, count) in state.counts.sorted(by: { $0.key < $1.key }) {
            key(kind)
            integer(Int64(count))
        }
        endObject()
        key("list")
        beginArray()
        for entry in state.entries { self.entry(entry) }
        endArray()
        if state.restCount > 0 {
            key("rest")
            beginObject()
            member("entries", Int64(state.restCount))
            member("digest", CanonicalJSON.hexadecimal(state.rest.finalize()))
            endObject()
        }
        endObject()
    }

    private mutating func entry(_ entry: ReadingRecord.Entry) {
        beginArray()
        switch entry {
        case .bucket(let tier, let index, let version, let done, let way):
            string(tier.rawValue)
            string(Timestamp(index: index, of: tier.milliseconds).rfc3339)
            integer(version)
            integer(done)
            string(way.rawValue)
        case .segment(let day, let run, let rows):
            string("segment")
            string(Timestamp(day: day).rfc3339)
            string(String(run, radix: 16))
            integer(Int64(rows))
        case .events(let range):
            string("events")
            string(range.lowerBound.rfc3339)
            string(range.upperBound.rfc3339)
        }
        endArray()
    }
}
