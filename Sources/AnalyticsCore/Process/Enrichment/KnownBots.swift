/// User agents of automatic clients: crawlers, link previews, monitors, headless browsers.
///
/// HTTP libraries (curl, python-requests, okhttp, …) are not included: servers send their events with them. The words and names are facts
/// from two public lists; for sources and measurements see docs/decisions/bots.md.
enum KnownBots {
    /// Whether a lower-case ASCII text is a known bot's.
    static func wrote(_ text: [UInt8]) -> Bool {
        let isMozilla = text.starts(with: "mozilla/".utf8)
        return text.withUnsafeBufferPointer { text in
            for start in text.indices {
                for name in names[Int(text[start])] where holds(text, name, at: start) {
                    if name == word ? isWord(text, at: start) : name == address ? isMozilla : true { return true }
                }
            }
            return false
        }
    }

    private static func holds(_ text: UnsafeBufferPointer<UInt8>, _ name: [UInt8], at start: Int) -> Bool {
        guard start + name.count <= text.count else { return false }
        for index in name.indices where text[start + index] != name[index] { return false }
        return true
    }

    /// "bot" or "bots" at the end of a word, except in "cubot", a phone brand.
    private static func isWord(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
        var end = start + word.count
        if end < text.count, text[end] == UInt8(ascii: "s") { end += 1 }
        if end < text.count, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(text[end]) { return false }
        return !(start >= 2 && text[start - 2] == UInt8(ascii: "c") && text[start - 1] == UInt8(ascii: "u"))
    }

    private static let word = Array("bot".utf8)
    /// A URL in a user agent that begins with "Mozilla/": browsers have none.
    private static let address = Array("+http".utf8)

    /// By first byte.
    private static let names: [[[UInt8]]] = {
        let texts = [
            "crawl", "spider", "slurp", "headless",
            // Search engines and their tools.
            "apis-google", "feedfetcher", "google favicon", "google web preview", "google-inspectiontool", "google-read-aloud",
            "google-safety",
            "google-site-verification", "googleother", "mediapartners-google", "archive.org", "heritrix", "ia_archiver", "nutch",
            // Link previews, and agents that read on behalf of a person.
            "anthropic-ai", "bingpreview", "chatgpt-user", "claude-user", "cohere-ai", "embedly", "facebookcatalog", "facebookexternalhit",
            "iframely", "meta-external", "microsoftpreview", "perplexity-user", "skypeuripreview", "whatsapp/", "yahoo link preview",
            // Monitors, auditors and copiers of sites.
            "censys", "chrome-lighthouse", "httrack", "link checker", "linkcheck", "pagespeed", "phantomjs", "pingdom", "ptst/", "scrapy",
            "site24x7", "statuscake", "synthetic", "uptime", "w3c_validator", "zgrab",
        ]
        var names = [[[UInt8]]](repeating: [], count: 256)
        for name in [word, address] + texts.map({ Array($0.utf8) }) { names[Int(name[0])].append(name) }
        return names
    }()
}
