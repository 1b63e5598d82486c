/// User agents of programs that read pages by themselves: crawlers, link previews, monitors, browsers without a window.
///
/// HTTP libraries (curl, python-requests, okhttp, …) are none: platform services send their events with them. The words and names are facts
/// from two public lists; docs/decisions/bots.md says which, and how the rule was measured.
enum KnownBots {
    /// Whether an ASCII text in lower case is one of theirs.
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

    /// "bot" or "bots" at the end of a word, but not that of a maker of phones.
    private static func isWord(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
        var end = start + word.count
        if end < text.count, text[end] == UInt8(ascii: "s") { end += 1 }
        if end < text.count, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(text[end]) { return false }
        return !(start >= 2 && text[start - 2] == UInt8(ascii: "c") && text[start - 1] == UInt8(ascii: "u"))
    }

    private static let word = Array("bot".utf8)
    /// What calls itself a browser and says where to complain.
    private static let address = Array("+http".utf8)

    /// By their first byte.
    private static let names: [[[UInt8]]] = {
        let texts = [
            "crawl", "spider", "slurp", "headless",
            // Of search engines and their tools.
            "apis-google", "feedfetcher", "google favicon", "google web preview", "google-inspectiontool", "google-read-aloud",
            "google-safety",
            "google-site-verification", "googleother", "mediapartners-google", "archive.org", "heritrix", "ia_archiver", "nutch",
            // Of previews, and of those who read for a person who is not there.
            "anthropic-ai", "bingpreview", "chatgpt-user", "claude-user", "cohere-ai", "embedly", "facebookcatalog", "facebookexternalhit",
            "iframely", "meta-external", "microsoftpreview", "perplexity-user", "skypeuripreview", "whatsapp/", "yahoo link preview",
            // Of those who watch, measure and copy sites.
            "censys", "chrome-lighthouse", "httrack", "link checker", "linkcheck", "pagespeed", "phantomjs", "pingdom", "ptst/", "scrapy",
            "site24x7", "statuscake", "synthetic", "uptime", "w3c_validator", "zgrab",
        ]
        var names = [[[UInt8]]](repeating: [], count: 256)
        for name in [word, address] + texts.map({ Array($0.utf8) }) { names[Int(name[0])].append(name) }
        return names
    }()
}
