internal import AnalyticsJSON

/// One step of enrichment: reads the event and its request's data, and adds to the context. Pure.
public struct Enrichment: Sendable {
    public var name: String
    public var apply: @Sendable (EnrichmentInput, inout EventContext) -> Void

    public init(_ name: String, apply: @escaping @Sendable (EnrichmentInput, inout EventContext) -> Void) {
        self.name = name
        self.apply = apply
    }
}

public struct EnrichmentInput: Sendable {
    public var event: Event
    public var processedAt: Timestamp
    /// Page and client from the event's data; otherwise from the request's origin.
    public var hints: ClientHints
}

/// Page and browser of an event, as clients write them into `data` or `metadata`, under the names of the common SDKs.
public struct ClientHints: Sendable, Equatable {
    public var url: String?
    public var referrer: String?
    public var userAgent: String?
    public var ip: String?
    /// Country of the request's address, if the event names no address.
    public var country: Country?
    /// Whether the address is that of the request.
    private(set) var isOfRequest = false

    init(_ event: Event, origin: RequestOrigin, parser: inout JSONParser) {
        read(event.data, &parser)
        read(event.metadata, &parser)
        userAgent = userAgent ?? origin.userAgent
        guard ip == nil else { return }
        ip = origin.address
        country = origin.country
        isOfRequest = true
    }

    private mutating func read(_ json: JSONText?, _ parser: inout JSONParser) {
        guard let json, json.text.utf8.first == UInt8(ascii: "{") else { return }
        let text = PaddedBytes(json.text)
        try? parser.withMembers(of: text, at: text.all, maximumDepth: EventLimits.maximumDepth) { members in
            members.each { member in
                if member.hasKey("url") || member.hasKey("$current_url") {
                    url = url ?? member.string
                } else if member.hasKey("referrer") || member.hasKey("$referrer") {
                    referrer = referrer ?? member.string
                } else if member.hasKey("userAgent") || member.hasKey("user_agent") || member.hasKey("$raw_user_agent") {
                    userAgent = userAgent ?? member.string
                } else if member.hasKey("ip") || member.hasKey("$ip") {
                    ip = ip ?? member.string
                }
            }
        }
    }
}

/// The steps in execution order.
public enum Enrichments {
    /// - Parameter countries: For addresses that events name. The country of the request's address is looked up by the API, which knows the
    ///   whole address.
    public static func standard(keepClientAddress: Bool, countries: (any CountryDatabase)? = nil) -> [Enrichment] {
        [times, page, referrer, userAgent, country(countries), clientAddress(keep: keepClientAddress)]
    }

    static let times = Enrichment("times") { input, context in
        context.processingLag = max(0, (input.processedAt - input.event.receivedAt).milliseconds)
        if let client = input.event.clientTimestamp, client != input.event.timestamp {
            context.clockCorrection = (input.event.timestamp - client).milliseconds
        }
    }

    static let page = Enrichment("page") { input, context in
        guard let text = input.hints.url, let url = WebAddress(text) else { return }
        let campaign = ["source", "medium", "campaign", "term", "content"].compactMap { name in
            url.query[BytewiseString("utm_" + name)].map { (parameter: name, value: $0) }
        }
        context.page = EventContext.Page(host: url.host, path: url.path, campaign: campaign)
    }

    static let referrer = Enrichment("referrer") { input, context in
        guard let text = input.hints.referrer, let url = WebAddress(text) else { return }
        context.referrerDomain = url.host.starts(withUTF8: "www.") ? url.host.trimmingUTF8(first: 4) : url.host
    }

    static let userAgent = Enrichment("user agent") { input, context in
        guard let text = input.hints.userAgent else { return }
        let agent = UserAgent(text)
        context.browser = agent.browser
        context.operatingSystem = agent.operatingSystem
        context.device = agent.device
        context.isBot = agent.isBot
    }

    static func country(_ countries: (any CountryDatabase)?) -> Enrichment {
        Enrichment("country") { input, context in
            if input.hints.isOfRequest {
                context.country = input.hints.country
            } else {
                context.country = input.hints.ip.flatMap { ClientAddress($0) }.flatMap { countries?.country(of: $0) }
            }
        }
    }

    static func clientAddress(keep: Bool) -> Enrichment {
        Enrichment("client address") { input, context in
            guard let text = input.hints.ip, let address = ClientAddress(text) else { return }
            context.ip = keep ? address.text : address.truncated
        }
    }
}
