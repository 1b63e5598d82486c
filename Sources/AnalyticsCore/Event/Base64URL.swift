internal import FoundationEssentials

/// RFC 4648, section 5, without padding.
public enum Base64URL {
    private static let urlSafe: [UInt8: UInt8] = [UInt8(ascii: "+"): UInt8(ascii: "-"), UInt8(ascii: "/"): UInt8(ascii: "_")]
    private static let standard: [UInt8: UInt8] = [UInt8(ascii: "-"): UInt8(ascii: "+"), UInt8(ascii: "_"): UInt8(ascii: "/")]

    public static func encode(_ bytes: [UInt8]) -> String {
        let base64 = Data(bytes).base64EncodedData()
        return String(decoding: base64.filter { $0 != UInt8(ascii: "=") }.map { urlSafe[$0] ?? $0 }, as: UTF8.self)
    }

    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var base64 = text.utf8.map { standard[$0] ?? $0 }
        base64 += Array(repeating: UInt8(ascii: "="), count: (4 - base64.count % 4) % 4)
        return Data(base64Encoded: Data(base64)).map { Array($0) }
    }
}
