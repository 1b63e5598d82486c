internal import FoundationEssentials

/// A password as it is stored: `$scrypt$ln=15,r=8,p=3$SALT$HASH`, the last two in base64 without padding.
public struct PasswordHash: Sendable, Equatable {
    /// What a hash costs (RFC 7914, section 2).
    struct Parameters: Sendable, Equatable {
        /// The binary logarithm of N.
        var logN: Int
        /// r.
        var blockSize: Int
        /// p.
        var parallelism: Int

        /// In bytes.
        var memory: Int { 128 * blockSize << logN }
        var work: Int { memory * parallelism }

        var text: String { "ln=\(logN),r=\(blockSize),p=\(parallelism)" }

        /// Bounds what a hash from a store can cost: 128 MiB, and the time of eight new ones. With an r above 16 the library allows itself
        /// too little memory if p is 1, and an N above 2¹⁵ is not allowed if r is 1.
        var isAllowed: Bool {
            (10...20).contains(logN) && (1...16).contains(blockSize) && (1...16).contains(parallelism) && memory <= 1 << 27
                && work <= 8 * PasswordHash.current.work && logN < 16 * blockSize
        }
    }

    public let text: String
    let parameters: Parameters
    let salt: [UInt8]
    let hash: [UInt8]

    /// Of new hashes: one of the equal settings of OWASP's Password Storage Cheat Sheet, 32 MiB.
    static let current = Parameters(logN: 15, blockSize: 8, parallelism: 3)
    static let saltBytes = 16
    static let hashBytes = 32
    private static let longest = 300

    /// The hash of no password that anyone knows. Verifying costs as much as with a real one.
    static let dummy = PasswordHash(
        current, salt: Array(repeating: 0, count: saltBytes), hash: Array(repeating: 0, count: hashBytes))

    init(_ parameters: Parameters, salt: [UInt8], hash: [UInt8]) {
        text = "$scrypt$\(parameters.text)$\(Self.base64(salt))$\(Self.base64(hash))"
        self.parameters = parameters
        self.salt = salt
        self.hash = hash
    }

    /// `nil` if the text does not have this form, or its parameters are out of bounds.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.longest else { return nil }
        let parts = text.splitUTF8("$", omittingEmptySubsequences: false)
        guard parts.count == 5, let parameters = Parameters(parts[2]), let salt = Self.bytes(parts[3]), let hash = Self.bytes(parts[4]),
            (1...64).contains(salt.count), (Self.hashBytes...64).contains(hash.count)
        else { return nil }
        self.init(parameters, salt: salt, hash: hash)
        // Numbers and base64 can be written in several ways.
        guard self.text.equalsUTF8(text) else { return nil }
    }

    /// Whether new hashes cost more.
    var needsRehash: Bool { parameters.work < Self.current.work }

    private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString().removingUTF8("=") }

    private static func bytes(_ base64: Substring) -> [UInt8]? {
        Data(base64Encoded: String(base64) + String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)).map { Array($0) }
    }
}

extension PasswordHash.Parameters {
    fileprivate init?(_ text: Substring) {
        let numbers = text.splitUTF8(",").map { $0.cutUTF8(atFirst: "=").flatMap { Int($0.after) } ?? 0 }
        guard numbers.count == 3 else { return nil }
        self.init(logN: numbers[0], blockSize: numbers[1], parallelism: numbers[2])
        guard isAllowed else { return nil }
    }
}

extension PasswordHash: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let hash = PasswordHash(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "This is no hash of a password.")
        }
        self = hash
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
