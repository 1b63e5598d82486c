/// Limits of time and size, the same for all of a broker's connections.
struct LinkSettings: Sendable {
    /// Whole seconds. Both sides send at half of it; twice of it without a byte means that the other side is gone.
    var heartbeat = Duration.seconds(10)
    /// For the TCP connection of one attempt.
    var connectTimeout = Duration.seconds(3)
    /// For the login, and for each declaration after it.
    var replyTimeout = Duration.seconds(5)
    /// From the call of `publish` to its return, and from writing a message to suspecting its connection.
    var confirmTimeout = Duration.seconds(10)
    /// How long messages that are on their way may still be confirmed after the broker has said that it is blocked.
    var blockedGrace = Duration.seconds(2)
    /// Between two looks of a consumer at whether its queue still knows it.
    var consumerCheckInterval = Duration.seconds(3)
    /// Bodies of deliveries that wait to be taken. Beyond it the consumer connects again, with a smaller prefetch: AMQP bounds
    /// deliveries in number only.
    var consumedBytes = 256 << 20
    /// At the end, for confirms still expected.
    var drainTimeout = Duration.seconds(5)
    /// After that, for the broker's goodbye.
    var goodbyeTimeout = Duration.seconds(2)
    /// Published and without the broker's word.
    var windowMessages = 2000
    var windowBytes = 8 << 20
    /// Messages of joinable requests without the broker's word, from which on further ones wait, and are joined.
    var joinableWindow = 4
    /// Encoded and not yet taken by the socket. Small, so that what waits can still be refused when the broker blocks.
    var outputBytes = 256 << 10
    /// Bodies of all calls of `publish` that have not returned.
    var publishBytes = 64 << 20
}

typealias Instant = ContinuousClock.Instant
