/// RFC 3339 to and from milliseconds. Foundation's formatters are ten times slower and do not read every form that the RFC allows
/// (docs/decisions/own-code.md).
extension Timestamp {
    /// Reads `2026-03-01T12:34:56.789+05:30` and every other form of RFC 3339, section 5.6: `T`, `t` or a space; `Z`, `z` or an offset; any
    /// number of fraction digits, truncated to three; second 60, read as the first second of the next minute.
    public init?(rfc3339 text: some Collection<UInt8>) {
        var reader = Reader(rest: text[...])
        guard let year = reader.digits(4), reader.take("-"), let month = reader.digits(2), reader.take("-"),
            let day = reader.digits(2), reader.takeAny("Tt "), let hour = reader.digits(2), reader.take(":"),
            let minute = reader.digits(2), reader.take(":"), let second = reader.digits(2)
        else { return nil }
        guard (1...12).contains(month), day >= 1, day <= CivilDate.days(inMonth: month, of: year), hour < 24, minute < 60, second <= 60
        else { return nil }
        guard let fraction = reader.fraction(), let offset = reader.offset(), reader.rest.isEmpty else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSince1970
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60
        self.init(milliseconds: seconds * 1_000 + fraction)
        guard isValid else { return nil }
    }

    public init?(rfc3339 text: String) {
        self.init(rfc3339: text.utf8)
    }

    /// `2026-03-01T07:04:56.789Z`: always UTC with three fraction digits, so text order is time order. Clamped to ``earliest`` to
    /// ``latest``.
    public var rfc3339: String { min(max(self, .earliest), .latest).written }

    /// `2026-03-01`: the UTC day. Clamped like ``rfc3339``.
    public var date: String { String(decoding: rfc3339.utf8.prefix(10), as: UTF8.self) }

    /// `2026-03-01T12:34:56+05:30`: local time at an offset in milliseconds, with a fraction only if the time has one. An offset with
    /// seconds cannot be written: such a time is written in UTC.
    func rfc3339(offset: Int64) -> String {
        guard offset.isMultiple(of: 60_000) else { return rfc3339(offset: 0) }
        let time = min(max(self, .earliest), .latest)
        let local = min(max(Timestamp(milliseconds: time.milliseconds + offset), .earliest), .latest)
        let text = local.written.utf8.dropLast(local.milliseconds.isMultiple(of: 1_000) ? 5 : 1)
        guard offset != 0 else { return String(decoding: text, as: UTF8.self) + "Z" }
        let minutes = abs(offset) / 60_000
        let digits = { (value: Int64) in value < 10 ? "0\(value)" : "\(value)" }
        return String(decoding: text, as: UTF8.self) + (offset < 0 ? "-" : "+") + digits(minutes / 60) + ":" + digits(minutes % 60)
    }

    private var written: String {
        let day = self.day
        let date = CivilDate(daysSince1970: day)
        var rest = milliseconds - day * 86_400_000
        var text: [UInt8] = []
        text.reserveCapacity(24)
        func put(_ value: Int64, _ width: Int) {
            var divisor: Int64 = 1
            for _ in 1..<width { divisor *= 10 }
            while divisor > 0 {
                text.append(UInt8(ascii: "0") + UInt8((value / divisor) % 10))
                divisor /= 10
            }
        }
        put(date.year, 4)
        text.append(UInt8(ascii: "-"))
        put(date.month, 2)
        text.append(UInt8(ascii: "-"))
        put(date.day, 2)
        text.append(UInt8(ascii: "T"))
        put(rest / 3_600_000, 2)
        rest %= 3_600_000
        text.append(UInt8(ascii: ":"))
        put(rest / 60_000, 2)
        rest %= 60_000
        text.append(UInt8(ascii: ":"))
        put(rest / 1_000, 2)
        text.append(UInt8(ascii: "."))
        put(rest % 1_000, 3)
        text.append(UInt8(ascii: "Z"))
        return String(decoding: text, as: UTF8.self)
    }
}

private struct Reader<Rest: Collection<UInt8>> where Rest.SubSequence == Rest {
    var rest: Rest

    mutating func digits(_ count: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<count {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    mutating func digit() -> Int64? {
        guard let byte = rest.first, (0x30...0x39).contains(byte) else { return nil }
        rest = rest.dropFirst()
        return Int64(byte - 0x30)
    }

    mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: byte) else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func takeAny(_ bytes: StaticString) -> Bool {
        guard let first = rest.first else { return false }
        for index in 0..<bytes.utf8CodeUnitCount where bytes.utf8Start[index] == first {
            rest = rest.dropFirst()
            return true
        }
        return false
    }

    /// Milliseconds; 0 without a fraction, `nil` for a dot without a digit.
    mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        guard var value = digit() else { return nil }
        var digits = 1
        while let digit = digit() {
            if digits < 3 { value = value * 10 + digit }
            digits += 1
        }
        while digits < 3 {
            value *= 10
            digits += 1
        }
        return value
    }

    /// Minutes east of UTC.
    mutating func offset() -> Int64? {
        if takeAny("Zz") { return 0 }
        let sign: Int64
        if take("+") {
            sign = 1
        } else if take("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = digits(2), take(":"), let minutes = digits(2), hours < 24, minutes < 60 else { return nil }
        return sign * (hours * 60 + minutes)
    }
}
