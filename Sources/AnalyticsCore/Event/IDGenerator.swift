/// Makes ids. Injected for tests.
public struct IDGenerator: Sendable {
    public var next: @Sendable () -> String

    public init(next: @escaping @Sendable () -> String) {
        self.next = next
    }

    /// UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits. Later ids sort later.
    public static func uuid7(clock: WallClock) -> IDGenerator {
        IDGenerator {
            var random = SystemRandomNumberGenerator()
            let time = UInt64(bitPattern: clock.now().milliseconds) << 16
            let high = time | 0x7000 | UInt64.random(in: 0...0x0FFF, using: &random)
            let low = 0x8000_0000_0000_0000 | (UInt64.random(in: 0...UInt64.max, using: &random) >> 2)
            return uuidText(high, low)
        }
    }

    /// The id of the event at `index` of a request with an idempotency key: the same for every retry (RFC 9562, version 8).
    static func derived(project: ProjectID, key: String, index: Int) -> String {
        uuid8(
            digest128 { hash in
                hash.update(field: project.name)
                hash.update(field: key)
                hash.update(field: String(index))
            })
    }

    /// The id of an imported event that has none: a function of the import's name, the event's first line and its bytes. It does not depend
    /// on batching (RFC 9562, version 8).
    public static func derived(importName name: String, line: Int, bytes: [UInt8]) -> String {
        uuid8(
            digest128 { hash in
                hash.update(field: "import")
                hash.update(field: name)
                hash.update(field: String(line))
                bytes.withUnsafeBytes { hash.update(field: $0) }
            })
    }

    private static func uuid8(_ digest: (high: UInt64, low: UInt64)) -> String {
        uuidText(digest.high & ~0xF000 | 0x8000, digest.low & ~(3 << 62) | 1 << 63)
    }

    private static func uuidText(_ high: UInt64, _ low: UInt64) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: 36) { buffer in
            var at = 0
            for nibble in 0..<32 {
                if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
                    buffer[at] = UInt8(ascii: "-")
                    at += 1
                }
                let word = nibble < 16 ? high : low
                buffer[at] = digits[Int((word >> UInt64((15 - nibble % 16) * 4)) & 0xF)]
                at += 1
            }
            return 36
        }
    }
}
