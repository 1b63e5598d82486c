import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

struct EnrichmentTests {
    private func context(
        data: String? = nil, metadata: String? = nil, origin: RequestOrigin = RequestOrigin(), keepAddress: Bool = false,
        _ change: (inout Event) -> Void = { _ in }
    ) -> EventContext {
        var event = sample("a")
        event.data = data.map(JSONText.init(normalised:))
        event.metadata = metadata.map(JSONText.init(normalised:))
        change(&event)
        let input = EnrichmentInput(
            event: event, processedAt: noon + .milliseconds(250), hints: ClientHints(event, origin: origin))
        var context = EventContext()
        for step in Enrichments.standard(keepClientAddress: keepAddress) { step.apply(input, &context) }
        return context
    }

    @Test func lagIsTheTimeFromReceiptAndNeverNegative() {
        #expect(context().processingLag == 250)
        #expect(context { $0.receivedAt = noon + .seconds(5) }.processingLag == 0)
    }

    @Test func aCorrectedClockIsNamed() {
        #expect(context { $0.clientTimestamp = noon - .seconds(2) }.clockCorrection == 2_000)
        #expect(context { $0.clientTimestamp = nil }.clockCorrection == nil)
        #expect(context().clockCorrection == nil)
    }

    @Test(arguments: [
        ("https://Shop.Example:8443/a/b%20c?utm_source=x#f", "shop.example", "/a/b c", ["source=x"]),
        ("http://example.com", "example.com", "/", []),
        (
            "https://e.com/?utm_content=5&utm_medium=m+n&utm_source=a%2Bb&utm_source=second&utm_term=&utm_other=no", "e.com", "/",
            ["source=a+b", "medium=m n", "term=", "content=5"]
        ),
        ("https://[2001:db8::1]/p", "[2001:db8::1]", "/p", []),
    ])
    func aURLGivesItsHostPathAndCampaign(url: String, host: String, path: String, campaign: [String]) throws {
        let page = try #require(context(data: #"{"url":"\#(url)"}"#).page)
        #expect(page.host == host || "[\(page.host)]" == host)
        #expect(page.path == path)
        #expect(page.campaign.map { "\($0.parameter)=\($0.value)" } == campaign)
    }

    @Test(arguments: [
        "", "/relative/path", "//host/path", "no url", "mailto:a@b.c", "about:blank", "https://", "https:///path", "http://a b/",
    ])
    func whatIsNoAbsoluteURLGivesNothing(url: String) {
        #expect(context(data: #"{"url":"\#(url)"}"#).page == nil)
    }

    @Test func anEndlessURLGivesNothing() {
        #expect(context(data: #"{"url":"https://e.com/\#(String(repeating: "a", count: 9_000))"}"#).page == nil)
    }

    @Test func aReferrerGivesItsDomainWithoutWWW() {
        #expect(context(data: #"{"referrer":"https://www.google.com/search?q=x"}"#).referrerDomain == "google.com")
        #expect(context(data: #"{"$referrer":"https://news.example/"}"#).referrerDomain == "news.example")
        #expect(context(data: #"{"referrer":""}"#).referrerDomain == nil)
    }

    @Test func dataGoesBeforeMetadataAndMetadataBeforeTheSender() {
        let origin = RequestOrigin(address: "198.51.100.7", userAgent: "curl/8")
        let hints = { (data: String?, metadata: String?) in
            var event = sample("a")
            event.data = data.map(JSONText.init(normalised:))
            event.metadata = metadata.map(JSONText.init(normalised:))
            return ClientHints(event, origin: origin)
        }
        #expect(hints(#"{"ip":"1.1.1.1","userAgent":"d"}"#, #"{"ip":"2.2.2.2","url":"m"}"#).ip == "1.1.1.1")
        #expect(hints(#"{"$raw_user_agent":"d"}"#, #"{"$ip":"2.2.2.2","$current_url":"m"}"#).ip == "2.2.2.2")
        #expect(hints(#"{"$raw_user_agent":"d"}"#, #"{"$current_url":"m"}"#).url == "m")
        #expect(hints(nil, nil).ip == "198.51.100.7" && hints(#"[{"ip":"1.1.1.1"}]"#, nil).userAgent == "curl/8")
        #expect(hints(#"{"ip":5,"url":{"a":1}}"#, nil).ip == "198.51.100.7" && hints(#"{"url":{"a":1}}"#, nil).url == nil)
    }

    @Test(arguments: [
        ("192.0.2.197", "192.0.2.0"), ("2001:db8:85a3:1234:5678:8a2e:370:7334", "2001:db8:85a3::"), ("::ffff:192.0.2.197", "192.0.2.0"),
        ("::1", "::"),
    ])
    func addressesAreTruncatedUnlessTheyMayBeKept(address: String, truncated: String) {
        let origin = RequestOrigin(address: address)
        #expect(context(origin: origin).ip == truncated)
        #expect(context(origin: origin, keepAddress: true).ip == (address.hasPrefix("::ffff:") ? "192.0.2.197" : address))
    }

    private struct Known: CountryDatabase {
        func country(of address: ClientAddress) -> Country? { address.text == "192.0.2.7" ? Country("SE") : nil }
    }

    @Test func theCountryIsThatOfTheAddressThatTheEventIsFrom() {
        func country(_ data: String?, _ origin: RequestOrigin, _ countries: (any CountryDatabase)?) -> String? {
            var event = sample("a")
            event.data = data.map(JSONText.init(normalised:))
            let input = EnrichmentInput(event: event, processedAt: noon, hints: ClientHints(event, origin: origin))
            var context = EventContext()
            for step in Enrichments.standard(keepClientAddress: false, countries: countries) { step.apply(input, &context) }
            return context.country?.code
        }
        let origin = RequestOrigin(address: "198.51.100.0", country: Country("DE"))
        #expect(country(nil, origin, nil) == "DE")
        // The request's own address is cut by now, and its country known where it was whole.
        #expect(country(nil, RequestOrigin(address: "192.0.2.7"), Known()) == nil)
        #expect(country(#"{"ip":"192.0.2.7"}"#, origin, Known()) == "SE")
        #expect(country(#"{"ip":"192.0.2.8"}"#, origin, Known()) == nil && country(#"{"ip":"192.0.2.7"}"#, origin, nil) == nil)
        var context = EventContext()
        context.country = Country("DE")
        #expect(context.json?.text == #"{"country":"DE"}"#)
    }

    @Test(arguments: ["", "D", "DEU", "1A", "D1", "XX", "xx", "d\u{308}", "\u{212A}", "[A", "`a", " DE"])
    func whatIsNoCodeOfACountryIsNone(text: String) { #expect(Country(text) == nil) }

    @Test(arguments: ["", "localhost", "1.2.3", "1.2.3.4.5", "fe80::1%eth0", "999.1.1.1", "unknown"])
    func whatIsNoAddressGivesNone(address: String) {
        #expect(context(origin: RequestOrigin(address: address)).ip == nil)
    }

    @Test func anEventIsOfABotWhereItsContextSaysSo() throws {
        let bot = context(data: #"{"userAgent":"Googlebot/2.1"}"#, origin: RequestOrigin(userAgent: "Mozilla/5.0 (X11; Linux x86_64)"))
        #expect(bot.json?.text.contains(#""device":"bot","bot":true"#) == true)
        func isBot(_ context: String?) -> Bool {
            var event = stored(sample("a"))
            event.context = context.map { JSONText(normalised: $0) }
            return event.isBot
        }
        #expect(isBot(bot.json?.text) && isBot(#"{"bot":true}"#) && isBot(#"{"a":"\"bot\":true","bot":true,"z":1}"#))
        for other in [
            nil, "{}", #"{"bot":false}"#, #"{"bot":"true"}"#, #"{"page":{"bot":true}}"#, #"{"a":"\"bot\":true"}"#, #"{"robot":true}"#,
        ] {
            #expect(!isBot(other), "\(other ?? "")")
        }
    }

    @Test func theContextIsAJSONObjectOfWhatWasFound() throws {
        let found = context(
            data: #"{"url":"https://e.com/?utm_source=\"x","referrer":"https://r.com"}"#,
            origin: RequestOrigin(address: "192.0.2.1", userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0")
        )
        #expect(
            found.json?.text
                == #"{"processingLagMs":250,"page":{"host":"e.com","path":"/","utm":{"source":"\"x"}},"referrer":{"domain":"r.com"},"#
                + #""browser":{"name":"Firefox","version":"120.0"},"os":{"name":"Linux"},"device":"desktop","ip":"192.0.2.0"}"#)
        #expect(EventContext().json == nil)
    }
}

struct UserAgentTests {
    private static let mozilla = "Mozilla/5.0 "
    private static let webkit = " AppleWebKit/537.36 (KHTML, like Gecko) "

    @Test(arguments: [
        ("(Windows NT 10.0; Win64; x64)\(webkit)Chrome/120.0.0.0 Safari/537.36", "Chrome 120.0.0.0, Windows 10, desktop"),
        (
            "(Windows NT 10.0; Win64; x64)\(webkit)Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.91",
            "Edge 120.0.2210.91, Windows 10, desktop"
        ),
        ("(Windows NT 10.0; Win64; x64)\(webkit)Chrome/119.0.0.0 Safari/537.36 OPR/105.0.0.0", "Opera 105.0.0.0, Windows 10, desktop"),
        ("(Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer 11.0, Windows 7, desktop"),
        ("(Windows NT 10.0; Win64; x64; rv:121.0) Gecko/20100101 Firefox/121.0", "Firefox 121.0, Windows 10, desktop"),
        ("(Macintosh; Intel Mac OS X 10_15_7)\(webkit)Chrome/120.0.0.0 Safari/537.36", "Chrome 120.0.0.0, macOS 10.15.7, desktop"),
        (
            "(Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
            "Safari 17.1, macOS 10.15.7, desktop"
        ),
        ("(Macintosh; Intel Mac OS X 10.15; rv:109.0) Gecko/20100101 Firefox/118.0", "Firefox 118.0, macOS 10.15, desktop"),
        ("(X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", "Firefox 120.0, Linux -, desktop"),
        ("(X11; CrOS x86_64 14541.0.0)\(webkit)Chrome/120.0.0.0 Safari/537.36", "Chrome 120.0.0.0, ChromeOS -, desktop"),
        ("(Linux; Android 10; K)\(webkit)Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome 120.0.0.0, Android 10, mobile"),
        ("(Linux; Android 13; SM-X906C)\(webkit)Chrome/120.0.0.0 Safari/537.36", "Chrome 120.0.0.0, Android 13, tablet"),
        (
            "(Linux; Android 13; SM-S918B)\(webkit)SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
            "Samsung Internet 23.0, Android 13, mobile"
        ),
        ("(Android 13; Mobile; rv:120.0) Gecko/120.0 Firefox/120.0", "Firefox 120.0, Android 13, mobile"),
        (
            "(Linux; Android 10; HD1913)\(webkit)Chrome/119.0.0.0 Mobile Safari/537.36 EdgA/119.0.2151.92",
            "Edge 119.0.2151.92, Android 10, mobile"
        ),
        (
            "(iPhone; CPU iPhone OS 17_1_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
            "Safari 17.1, iOS 17.1.2, mobile"
        ),
        (
            "(iPad; CPU OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
            "Safari 16.6, iOS 16.7, tablet"
        ),
        (
            "(iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0.6099.50 Mobile/15E148 Safari/604.1",
            "Chrome 120.0.6099.50, iOS 17.1, mobile"
        ),
        (
            "(iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/120.0 Mobile/15E148 Safari/605.1.15",
            "Firefox 120.0, iOS 17.1, mobile"
        ),
        ("(X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.5.0", "-, Linux -, desktop"),
        ("(Linux; U; Android 11; SM-T510 Build/RP1A.200720.012)", "-, Android 11, -"),
        ("(compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "-, -, bot"),
        ("(compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)\(webkit)Chrome/116.0 Safari/537.36", "-, -, bot"),
        ("(X11; Linux x86_64)\(webkit)HeadlessChrome/120.0.0.0 Safari/537.36", "-, -, bot"),
        ("(compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "-, -, bot"),
        ("(compatible; Sysomos/1.0; +http://www.sysomos.com/; Sysomos)", "-, -, bot"),
        ("(Linux; Android 12; CUBOT P60)\(webkit)Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome 120.0.0.0, Android 12, mobile"),
        ("(Windows NT 6.1; Trident/7.0; rv:11.0; Banca Caboto s.p.a.) like Gecko", "Internet Explorer 11.0, Windows 7, desktop"),
    ])
    func knowsTheLargeFamilies(text: String, expected: String) {
        #expect(describe(UserAgent(Self.mozilla + text)) == expected)
    }

    @Test(arguments: [
        "curl/8.4.0", "Go-http-client/1.1", "python-requests/2.31.0", "okhttp/4.12.0", "PostmanRuntime/7.35.0", "Java/17.0.9",
        "axios/1.6.2", "",
        "-", "ä😀", "MyApp Version/3.1",
    ])
    func guessesNothingAboutOthers(text: String) {
        #expect(describe(UserAgent(text)) == "-, -, -")
    }

    @Test(arguments: [
        "Googlebot-Image/1.0", "Twitterbot/1.0", "msnbot", "ROBOTS", "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "WhatsApp/2.23.20.0", "facebookexternalhit/1.1", "Mediapartners-Google", "Mozilla/5.0 ChatGPT-User/1.0", "SEMrushBots(2)",
        "mozilla/5.0 (+https://example.com/why)", "Reader/1.0 (+https://example.com/bot)",
    ])
    func knowsBots(text: String) {
        let agent = UserAgent(text)
        #expect(agent.isBot && describe(agent) == "-, -, bot")
    }

    /// Platform services send their events with them.
    @Test(arguments: [
        "curl/8.4.0", "Go-http-client/1.1", "python-requests/2.31.0", "okhttp/4.12.0", "axios/1.6.2",
        "Apache-HttpClient/4.5.14 (Java/17.0.9)",
        "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "Reader/1.0 (+https://example.com)", "fuboTV/4.75.0 (Linux;Android 9)",
        "Cubot/1", "botany/1.0", "robotics",
        "",
        "bo", "+http", "mozilla/", String(repeating: "x", count: 510) + "bot",
    ])
    func takesNothingElseForABot(text: String) {
        #expect(!UserAgent(text).isBot)
    }

    @Test func looksAtTheFirstFiveHundredAndTwelveCharactersOnly() {
        #expect(describe(UserAgent(String(repeating: "x", count: 512) + "Firefox/120.0 Linux bot")) == "-, -, -")
    }

    private func describe(_ agent: UserAgent) -> String {
        let browser = agent.browser.map { "\($0.name) \($0.version ?? "-")" } ?? "-"
        return "\(browser), \(agent.operatingSystem.map { "\($0.name) \($0.version ?? "-")" } ?? "-"), \(agent.device ?? "-")"
    }
}

extension ClientHints {
    fileprivate init(_ event: Event, origin: RequestOrigin) {
        var parser = JSONParser()
        self.init(event, origin: origin, parser: &parser)
    }
}
