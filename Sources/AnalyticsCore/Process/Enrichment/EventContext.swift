internal import AnalyticsJSON

/// The result of enrichment, stored under `context`. It never replaces a client's field.
public struct EventContext: Sendable, Equatable {
    /// Milliseconds from receipt to processing.
    public var processingLag: Int64?
    /// Milliseconds by which `timestamp` was corrected for the client's clock.
    public var clockCorrection: Int64?
    public var page: Page?
    public var referrerDomain: String?
    public var browser: NamedVersion?
    public var operatingSystem: NamedVersion?
    /// `desktop`, `mobile`, `tablet`, `tv` or `bot`.
    public var device: String?
    /// Whether the user agent is a known bot's. Questions exclude these events unless asked to include them.
    public var isBot = false
    public var country: Country?
    /// Truncated unless the service is configured to keep it whole.
    public var ip: String?

    public struct Page: Sendable, Equatable {
        public var host: String
        public var path: String
        /// `source`, `medium`, `campaign`, `term`, `content` in this order, if the URL has them.
        public var campaign: [(parameter: String, value: String)]

        public static func == (a: Page, b: Page) -> Bool {
            a.host == b.host && a.path == b.path && a.campaign.elementsEqual(b.campaign, by: ==)
        }
    }

    public struct NamedVersion: Sendable, Equatable {
        public var name: String
        public var version: String?

        public init(_ name: String, _ version: String? = nil) {
            self.name = name
            self.version = version
        }
    }

    public init() {}

    /// As a JSON object; `nil` if empty.
    var json: JSONText? {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("processingLagMs", processingLag)
        writer.member("clockCorrectionMs", clockCorrection)
        if let page {
            writer.key("page")
            writer.beginObject()
            writer.member("host", page.host)
            writer.member("path", page.path)
            if !page.campaign.isEmpty {
                writer.key("utm")
                writer.beginObject()
                for (parameter, value) in page.campaign {
                    writer.key(parameter)
                    writer.string(value)
                }
                writer.endObject()
            }
            writer.endObject()
        }
        if let referrerDomain {
            writer.key("referrer")
            writer.beginObject()
            writer.member("domain", referrerDomain)
            writer.endObject()
        }
        writer.named("browser", browser)
        writer.named("os", operatingSystem)
        writer.member("device", device)
        if isBot {
            writer.key("bot")
            writer.boolean(true)
        }
        writer.member("country", country?.code)
        writer.member("ip", ip)
        writer.endObject()
        return writer.count > 2 ? JSONText(normalised: writer.text) : nil
    }
}

extension JSONWriter {
    fileprivate mutating func named(_ name: StaticString, _ value: EventContext.NamedVersion?) {
        guard let value else { return }
        key(name)
        beginObject()
        member("name", value.name)
        member("version", value.version)
        endObject()
    }
}
