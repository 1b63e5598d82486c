import AnalyticsCore

/// TLS of an `amqps` address, from its query: https://www.rabbitmq.com/docs/uri-query-parameters.
struct BrokerTLS: Sendable, Equatable {
    /// `cacertfile`: a PEM file of the authorities that are trusted; `nil`: those of the system.
    var authorities: String?
    /// `certfile` and `keyfile`: PEM files of the client's own certificate and its key; both or none.
    var certificate: String?
    var key: String?
    /// `verify`: `verify_peer`, the default, or `verify_none`.
    var isVerified = true
    /// `server_name_indication`: the name that is asked for and has to be in the broker's certificate; `nil`: the host.
    var serverName: String?

    /// Errors repeat no value: a `?` in a password that is not encoded begins the query.
    init(query: Substring = "") throws(BrokerError) {
        for parameter in query.splitUTF8("&") {
            let (name, text) = parameter.cutUTF8(atFirst: "=") ?? (parameter, "")
            let value = try BrokerAddress.decode(text, "query")
            guard !value.isEmpty else { throw BrokerAddress.refused("a parameter of its query has no value") }
            switch String(name) {
            case "cacertfile": authorities = value
            case "certfile": certificate = value
            case "keyfile": key = value
            case "server_name_indication": serverName = value
            case "verify" where value.equalsUTF8("verify_peer"): isVerified = true
            case "verify" where value.equalsUTF8("verify_none"): isVerified = false
            case "verify": throw BrokerAddress.refused("verify has to be verify_peer or verify_none")
            default:
                throw BrokerAddress.refused(
                    "its query may have cacertfile, certfile, keyfile, verify and server_name_indication, and nothing else")
            }
        }
        guard (certificate == nil) == (key == nil) else { throw BrokerAddress.refused("certfile and keyfile need each other") }
    }
}
