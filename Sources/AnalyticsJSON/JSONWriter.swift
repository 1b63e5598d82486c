internal import CSimdJSON

/// Writes JSON text without intermediate values. The caller must make the calls in a valid order.
public struct JSONWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    /// Whether the next member or element needs a comma before it.
    private var needsComma = false

    public init(reservingCapacity capacity: Int = 256) {
        bytes.reserveCapacity(capacity)
    }

    public var count: Int { bytes.count }

    /// Removes the text written so far. The next member or element still gets its comma.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    public var text: String { String(decoding: bytes, as: UTF8.self) }

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// Writes `"key":`. The key must need no escaping.
    public mutating func key(_ key: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func key(_ key: String) {
        string(key)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func string(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { chars in
                string(bytes: chars.baseAddress, count: chars.count)
            }
        }
    }

    mutating func string(bytes text: UnsafePointer<CChar>?, count: Int) {
        separate()
        let source = UnsafeRawBufferPointer(start: text, count: count)
        guard source.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
            bytes.append(UInt8(ascii: "\""))
            bytes.append(contentsOf: source)
            bytes.append(UInt8(ascii: "\""))
            return
        }
        bytes.append(
            contentsOf: [UInt8](unsafeUninitializedCapacity: 6 * count + 2) { buffer, written in
                written = buffer.withMemoryRebound(to: CChar.self) { cjson_write_string(text, count, $0.baseAddress!) }
            })
    }

    public mutating func integer(_ value: Int64) {
        separate()
        if value >= 0 && value < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(value))
        } else {
            bytes.append(contentsOf: String(value).utf8)
        }
    }

    /// The fewest digits that read as the same number. JSON has no infinity and no NaN; both become null.
    public mutating func double(_ value: Double) {
        separate()
        bytes.append(contentsOf: (value.isFinite ? "\(value)" : "null").utf8)
    }

    public mutating func boolean(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    public mutating func json(_ value: JSONText) {
        separate()
        bytes.append(contentsOf: value.text.utf8)
    }

    public mutating func json(_ value: some Collection<UInt8>) {
        separate()
        bytes.append(contentsOf: value)
    }

    public mutating func member(_ name: StaticString, _ value: String?) {
        guard let value else { return }
        key(name)
        string(value)
    }

    public mutating func member(_ name: StaticString, _ value: Int64?) {
        guard let value else { return }
        key(name)
        integer(value)
    }

    public mutating func member(_ name: StaticString, _ value: JSONText?) {
        guard let value else { return }
        key(name)
        json(value)
    }

    /// Writes `null` for `nil`, where ``member(_:_:)`` leaves the member out.
    public mutating func nullable(_ name: StaticString, _ value: String?) {
        key(name)
        if let value { string(value) } else { json("null".utf8) }
    }

    /// Writes `null` for `nil`.
    public mutating func nullable(_ name: StaticString, _ value: Int?) {
        key(name)
        if let value { integer(Int64(value)) } else { json("null".utf8) }
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }
}
