/// Reads the common families from a User-Agent header: browser, system and device. Unknown parts are `nil`; it does not guess. No Swift
/// package does this (docs/decisions/own-code.md).
struct UserAgent: Equatable {
    var browser: EventContext.NamedVersion?
    var operatingSystem: EventContext.NamedVersion?
    var device: String?
    var isBot = false

    init(_ text: String) {
        // Browsers send shorter ones, and searching longer ones is slow.
        let text = Array(text.utf8.prefix(512))
        if KnownBots.wrote(text.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }) {
            (isBot, device) = (true, "bot")
            return
        }
        browser =
            Self.browsers.lazy.compactMap { name, token in
                text.version(after: token).map { EventContext.NamedVersion(name, $0) }
            }.first
        // Other agents have these tokens too: rv:115 is Gecko's, and any app may have a version.
        if browser?.name == "Safari", !text.holds("Safari/") { browser = nil }
        if browser == nil, text.holds("Trident/") {
            browser = text.version(after: "rv:").map { EventContext.NamedVersion("Internet Explorer", $0) }
        }
        operatingSystem = Self.system(text)
        device = Self.device(text, system: operatingSystem?.name, isBrowser: browser != nil)
    }

    /// Ordered: most browsers also have the tokens of those further down.
    private static let browsers: [(name: String, token: StaticString)] = [
        ("Edge", "Edg/"), ("Edge", "EdgA/"), ("Edge", "EdgiOS/"), ("Opera", "OPR/"), ("Samsung Internet", "SamsungBrowser/"),
        ("Vivaldi", "Vivaldi/"), ("Firefox", "FxiOS/"), ("Firefox", "Firefox/"), ("Chrome", "CriOS/"), ("Chrome", "Chrome/"),
        ("Safari", "Version/"), ("Internet Explorer", "MSIE "),
    ]

    private static func system(_ text: [UInt8]) -> EventContext.NamedVersion? {
        if let version = text.version(after: "Windows NT ") {
            return .init("Windows", ["10.0": "10", "6.3": "8.1", "6.2": "8", "6.1": "7"][version] ?? version)
        }
        if let version = text.version(after: "Android ") { return .init("Android", version) }
        if text.holds("iPhone") || text.holds("iPad") || text.holds("iPod") {
            return .init("iOS", text.version(after: " OS "))
        }
        if let version = text.version(after: "Mac OS X ") { return .init("macOS", version) }
        if text.holds("CrOS ") { return .init("ChromeOS") }
        if text.holds("Linux") { return .init("Linux") }
        return nil
    }

    private static func device(_ text: [UInt8], system: String?, isBrowser: Bool) -> String? {
        if text.holds("SmartTV") || text.holds("AppleTV") { return "tv" }
        switch system {
        case "iOS": return text.holds("iPad") ? "tablet" : "mobile"
        // Browsers on phones have "Mobile", those on tablets do not. Other clients have neither.
        case "Android": return text.holds("Mobile") ? "mobile" : isBrowser ? "tablet" : nil
        case nil: return nil
        default: return "desktop"
        }
    }
}

extension [UInt8] {
    fileprivate func holds(_ needle: StaticString) -> Bool { end(of: needle) != nil }

    /// The index after the first occurrence of an ASCII text.
    private func end(of needle: StaticString) -> Int? {
        let count = needle.utf8CodeUnitCount
        return withUnsafeBufferPointer { bytes in
            var start = 0
            while start + count <= bytes.count {
                var length = 0
                while length < count, bytes[start + length] == needle.utf8Start[length] { length += 1 }
                if length == count { return start + count }
                start += 1
            }
            return nil
        }
    }

    /// The digits, dots and underscores after `token`, underscores as dots; `nil` if there is no token or no digit after it.
    fileprivate func version(after token: StaticString) -> String? {
        guard let end = end(of: token) else { return nil }
        let digits = self[end...].prefix { (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x5F }
        return digits.isEmpty ? nil : String(decoding: digits.map { $0 == 0x5F ? 0x2E : $0 }, as: UTF8.self)
    }
}
