internal import Crypto
internal import FoundationEssentials

/// The text of a key, which its owner sends with each request. It is shown once, when it is made, and never stored: only its
/// ``KeyDigest`` is.
///
/// `evw_shop_` + 32 random characters + 6 characters of checksum. The first part is `ev` and the first letter of the scope; the second
/// hints at the project: its letters and digits, at most 16 of them. A scanner for leaked secrets finds a key by the form
/// `ev[wra]_[a-z0-9]{1,16}_[0-9A-Za-z]{38}`, and knows by the checksum that it is one.
public struct APIKey: Sendable, Equatable {
    public let text: String
    public let scope: Scope

    private static let hintCharacters = 16
    /// A text with more bytes is no key.
    public static let longest = 3 + 1 + hintCharacters + 1 + CredentialText.endCharacters

    /// A new key.
    public init(project: ProjectID, scope: Scope) {
        var random = SystemRandomNumberGenerator()
        self.init(project: project, scope: scope, using: &random)
    }

    /// - Parameter random: A cryptographic generator, except in tests.
    init(project: ProjectID, scope: Scope, using random: inout some RandomNumberGenerator) {
        // A project's name begins with a letter or a digit, so the hint is not empty.
        let hint = project.name.utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_") }.prefix(Self.hintCharacters)
        text = CredentialText.make(Array(Self.prefix(of: scope).utf8) + hint + [UInt8(ascii: "_")], using: &random)
        self.scope = scope
    }

    /// `nil` if the text does not have a key's form or its checksum is wrong: no such key was ever made.
    public init?(_ text: String) {
        let bytes = Array(text.utf8.prefix(Self.longest + 1))
        guard bytes.count <= Self.longest, let scope = Scope.allCases.first(where: { text.starts(withUTF8: Self.prefix(of: $0)) }) else {
            return nil
        }
        let rest = bytes.dropFirst(4)
        guard let end = rest.firstIndex(of: UInt8(ascii: "_")), end > rest.startIndex,
            rest[..<end].allSatisfy({ Self.isLowercaseOrDigit($0) }), CredentialText.endsWell(bytes, after: end + 1)
        else { return nil }
        self.text = text
        self.scope = scope
    }

    public var digest: KeyDigest { KeyDigest(of: text) }

    /// What lists show of a key: everything before its secret, and four characters of it.
    public var prefix: String { String(text.utf8.dropLast(CredentialText.endCharacters - 4))! }

    private static func prefix(of scope: Scope) -> String { "ev\(scope.rawValue.first!)_" }

    private static func isLowercaseOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// The SHA-256 of the text of a key or token. These have at least 120 random bits, so no slower hash is needed.
public struct KeyDigest: Sendable {
    public static let byteCount = 32

    /// 32 bytes.
    public let bytes: [UInt8]

    init(of text: String) {
        bytes = Array(SHA256.hash(data: Array(text.utf8)))
    }

    /// `nil` unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// The public id of the key or token: its first 80 bits as 20 hexadecimal digits.
    public var keyID: String {
        String(decoding: bytes.prefix(10).flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static let digits = Array("0123456789abcdef".utf8)

    /// Takes the same time wherever the bytes differ.
    public func isSame(as other: KeyDigest) -> Bool {
        zip(bytes, other.bytes).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension KeyDigest: Equatable, Hashable {
    public static func == (a: KeyDigest, b: KeyDigest) -> Bool { a.isSame(as: b) }
}

extension KeyDigest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let digest = KeyDigest(bytes: Array(try container.decode(Data.self))) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "A digest has \(Self.byteCount) bytes.")
        }
        self = digest
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(bytes))
    }
}
