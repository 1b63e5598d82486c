internal import AnalyticsJSON
internal import Crypto

/// Stands for an id, a type or a value without revealing it: 128 bits of SHA-256 over a salt, the kind and the text.
struct SaltedDigest: Sendable, Hashable, Comparable {
    var high: UInt64
    var low: UInt64

    enum Kind: String {
        case user, anonymous, type, source, correlation
        case string, number, boolean, null
    }

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(_ salt: Salt, _ kind: Kind, _ text: String) {
        (high, low) = digest128 { hash in
            withUnsafeBytes(of: (salt.high.littleEndian, salt.low.littleEndian)) { hash.update(field: $0) }
            hash.update(field: kind.rawValue)
            hash.update(field: text)
        }
    }

    /// Equal values have equal digests: `42` and `42.0` are equal.
    init(_ salt: Salt, _ scalar: JSONScalar) {
        switch scalar {
        case .string(let text): self.init(salt, .string, text)
        case .integer(let integer): self.init(salt, .number, String(integer))
        case .double(let double): self.init(salt, .number, Int64(exactly: double).map { String($0) } ?? "\(double)")
        case .boolean(let boolean): self.init(salt, .boolean, boolean ? "true" : "false")
        case .null: self.init(salt, .null, "")
        }
    }

    static func < (a: Self, b: Self) -> Bool { a.high != b.high ? a.high < b.high : a.low < b.low }

    /// The digest is uniform, so its low word is enough.
    func hash(into hasher: inout Hasher) { hasher.combine(low) }
}

/// The same for all erasures of a project: a writer computes one digest per id for all of them.
struct Salt: Sendable, Hashable {
    var high: UInt64
    var low: UInt64

    static func random() -> Salt { Salt(high: .random(in: .min ... .max), low: .random(in: .min ... .max)) }
}
