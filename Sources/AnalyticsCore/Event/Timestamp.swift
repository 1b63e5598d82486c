/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds: the resolution of every time that the service stores.
public struct Timestamp: Sendable, Hashable, Comparable, Codable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    // Clamped to 64 bits: a time from a store or a wire is untrusted and must not crash the process.

    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        let (sum, overflow) = time.milliseconds.addingReportingOverflow(duration.milliseconds)
        return Timestamp(milliseconds: overflow ? (duration < .zero ? .min : .max) : sum)
    }

    public static func - (time: Timestamp, duration: Duration) -> Timestamp {
        let (difference, overflow) = time.milliseconds.subtractingReportingOverflow(duration.milliseconds)
        return Timestamp(milliseconds: overflow ? (duration < .zero ? .max : .min) : difference)
    }

    public static func - (a: Timestamp, b: Timestamp) -> Duration {
        let (difference, overflow) = a.milliseconds.subtractingReportingOverflow(b.milliseconds)
        return .milliseconds(overflow ? (a < b ? .min : .max) : difference)
    }

    /// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: the range of RFC 3339, and the times that the service accepts.
    public static let earliest = Timestamp(milliseconds: -62_135_596_800_000)
    public static let latest = Timestamp(milliseconds: 253_402_300_799_999)

    /// Whether it lies in ``earliest`` to ``latest``. Every stored time does.
    public var isValid: Bool { self >= .earliest && self <= .latest }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero and clamped to 64 bits.
    public var milliseconds: Int64 { Int64(clamping: attoseconds / 1_000_000_000_000_000) }

    /// Whole nanoseconds, rounded towards zero and clamped to 64 bits: 292 years.
    var nanoseconds: Int64 { Int64(clamping: attoseconds / 1_000_000_000) }

    public var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

/// The current time. Injected for tests.
public struct WallClock: Sendable {
    public var now: @Sendable () -> Timestamp

    public init(now: @escaping @Sendable () -> Timestamp) {
        self.now = now
    }
}
