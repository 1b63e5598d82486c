internal import AnalyticsCore
internal import HTTPTypes

/// The rates of a project as its clients see them (draft-ietf-httpapi-ratelimit-headers-09). Pure.
enum RateHeaders {
    /// What is counted; also the name of the policy.
    enum Kind: String {
        case requests
        case events
    }

    /// `"requests";q=50;w=1` and `"requests";r=12;t=1`: the limit per second, what is left of it, and the seconds until there is more.
    static func fields(_ rate: Rate, of kind: Kind) -> HTTPFields {
        let unit = kind == .requests ? "" : ";qu=\"\(kind.rawValue)\""
        return [
            .rateLimitPolicy: "\"\(kind.rawValue)\";q=\(rate.limit);w=1\(unit)",
            .rateLimit: "\"\(kind.rawValue)\";r=\(max(0, rate.remaining));t=\(seconds(rate.retryAfter ?? .zero))",
        ]
    }

    /// Whole seconds, rounded up, at least 1.
    static func seconds(_ duration: Duration) -> Int { max(1, Int(duration.seconds.rounded(.up))) }
}

extension Problem {
    static func rateLimited(_ rate: Rate, of kind: RateHeaders.Kind) -> Problem {
        let seconds = RateHeaders.seconds(rate.retryAfter ?? .zero)
        let sender = rate.isOfKey ? "This key" : "The project, with all its keys together,"
        var problem = Problem(
            .rateLimited,
            "\(sender) may send \(rate.limit) \(kind.rawValue) per second. Nothing was taken in. Send this again in \(seconds) s.")
        problem.headers = RateHeaders.fields(rate, of: kind)
        problem.headers[.retryAfter] = String(seconds)
        return problem
    }

    /// For an author of changes to projects, keys, members and accounts.
    static func tooManyChanges(_ rate: Rate) -> Problem {
        let seconds = RateHeaders.seconds(rate.retryAfter ?? .zero)
        var problem = Problem(
            .rateLimited, "One caller may change \(rate.limit) things per second. Nothing was changed. Send this again in \(seconds) s.")
        problem.headers[.retryAfter] = String(seconds)
        return problem.closingConnection()
    }
}

extension HTTPField.Name {
    static let rateLimit = HTTPField.Name("RateLimit")!
    static let rateLimitPolicy = HTTPField.Name("RateLimit-Policy")!
}
