/// Reads the large families out of a User-Agent header: enough for "which browsers, which systems, how many phones". What it does not
/// know stays `nil`; it guesses nothing. No Swift package does this (docs/decisions/own-code.md).
struct UserAgent: Equatable {
    var browser: EventContext.NamedVersion?
    var operatingSystem: EventContext.NamedVersion?
    var device: String?

    init(_ text: String) {
        // Longer ones are no browser's, and looking through them costs.
        let text = Substring(text.unicodeScalars.prefix(512))
        if Self.bots.contains(where: { text.range(ofASCII: $0, ignoringCase: true) != nil }) {
            device = "bot"
            return
        }
        browser =
            Self.browsers.lazy.compactMap { name, token in
                text.version(after: token).map { EventContext.NamedVersion(name, $0) }
            }.first
        // Others write these tokens, too: rv:115 is Gecko's, and any app has a version.
        if browser?.name == "Safari", text.range(ofASCII: "Safari/") == nil { browser = nil }
        if browser == nil, text.range(ofASCII: "Trident/") != nil {
            browser = text.version(after: "rv:").map { EventContext.NamedVersion("Internet Explorer", $0) }
        }
        operatingSystem = Self.system(text)
        device = Self.device(text, system: operatingSystem?.name, isBrowser: browser != nil)
    }

    private static let bots = ["bot", "crawler", "spider", "slurp", "headlesschrome"]

    /// In this order: most browsers also claim to be those further down.
    private static let browsers: [(name: String, token: String)] = [
        ("Edge", "Edg/"), ("Edge", "EdgA/"), ("Edge", "EdgiOS/"), ("Opera", "OPR/"), ("Samsung Internet", "SamsungBrowser/"),
        ("Vivaldi", "Vivaldi/"), ("Firefox", "FxiOS/"), ("Firefox", "Firefox/"), ("Chrome", "CriOS/"), ("Chrome", "Chrome/"),
        ("Safari", "Version/"), ("Internet Explorer", "MSIE "),
    ]

    private static func system(_ text: Substring) -> EventContext.NamedVersion? {
        if let version = text.version(after: "Windows NT ") {
            return .init("Windows", ["10.0": "10", "6.3": "8.1", "6.2": "8", "6.1": "7"][version] ?? version)
        }
        if let version = text.version(after: "Android ") { return .init("Android", version) }
        if text.range(ofASCII: "iPhone") != nil || text.range(ofASCII: "iPad") != nil || text.range(ofASCII: "iPod") != nil {
            return .init("iOS", text.version(after: " OS "))
        }
        if let version = text.version(after: "Mac OS X ") { return .init("macOS", version) }
        if text.range(ofASCII: "CrOS ") != nil { return .init("ChromeOS") }
        if text.range(ofASCII: "Linux") != nil { return .init("Linux") }
        return nil
    }

    private static func device(_ text: Substring, system: String?, isBrowser: Bool) -> String? {
        if text.range(ofASCII: "SmartTV") != nil || text.range(ofASCII: "AppleTV") != nil { return "tv" }
        switch system {
        case "iOS": return text.range(ofASCII: "iPad") == nil ? "mobile" : "tablet"
        // Browsers on phones say "Mobile", those on tablets do not; others say nothing of either.
        case "Android": return text.range(ofASCII: "Mobile") != nil ? "mobile" : isBrowser ? "tablet" : nil
        case nil: return nil
        default: return "desktop"
        }
    }
}

extension Substring {
    /// Where an ASCII text begins and ends; bytes, so that no grapheme has to be found.
    fileprivate func range(ofASCII needle: String, ignoringCase: Bool = false) -> Range<Index>? {
        let needle = Array(needle.utf8)
        var start = utf8.startIndex
        while start != utf8.endIndex {
            let rest = utf8[start...]
            if rest.starts(with: needle, by: { ignoringCase ? $0 | 0x20 == $1 | 0x20 : $0 == $1 }) {
                return start..<utf8.index(start, offsetBy: needle.count)
            }
            start = utf8.index(after: start)
        }
        return nil
    }

    /// The digits, dots and underscores behind `token`, underscores as dots; `nil` when the token is not there or no digit follows.
    fileprivate func version(after token: String) -> String? {
        guard let range = range(ofASCII: token) else { return nil }
        let digits = self[range.upperBound...].utf8.prefix { (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x5F }
        let text = String(decoding: digits.map { $0 == 0x5F ? 0x2E : $0 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
