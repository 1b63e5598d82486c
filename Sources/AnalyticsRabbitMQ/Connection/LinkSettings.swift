/// Limits of time and size, the same for all connections of a broker.
struct LinkSettings: Sendable {
    /// Whole seconds. Both sides send after half of it; silence for twice that time means that the other side is gone.
    var heartbeat = Duration.seconds(10)
    /// For the TCP connection of one attempt.
    var connectTimeout = Duration.seconds(3)
    /// For the login, and for each declaration after it.
    var replyTimeout = Duration.seconds(5)
    /// From the call of `publish` to its return, and from writing a message until its connection counts as broken.
    var confirmTimeout = Duration.seconds(10)
    /// How long in-flight messages may still be confirmed after the broker has reported that it is blocked.
    var blockedGrace = Duration.seconds(2)
    /// Interval of a consumer's checks that its queue still knows it.
    var consumerCheckInterval = Duration.seconds(3)
    /// Bodies of deliveries that wait to be taken. Above it the consumer reconnects with a smaller prefetch: AMQP limits only the
    /// number of deliveries.
    var consumedBytes = 256 << 20
    /// For outstanding confirms after a stop.
    var drainTimeout = Duration.seconds(5)
    /// After that, for the broker's confirmation of the close.
    var goodbyeTimeout = Duration.seconds(2)
    /// Limits of published messages that the broker has not confirmed or refused yet.
    var windowMessages = 2000
    var windowBytes = 8 << 20
    /// Above this number of joinable messages in flight, further joinable messages wait and are joined.
    var joinableWindow = 2
    /// Encoded bytes that the socket has not accepted yet. Small, so that waiting messages can still be refused when the broker blocks.
    var outputBytes = 256 << 10
    /// Bodies of all calls of `publish` that have not returned.
    var publishBytes = 64 << 20
}

typealias Instant = ContinuousClock.Instant
