/// The timeouts of a connection. Pure: the time is passed in.
///
/// Headers and bodies must keep arriving, and responses must keep being read. Otherwise a few thousand slow clients hold every connection,
/// and a few clients that do not read hold the memory for responses. Time that the service itself needs does not count. The rule for
/// bodies, a grace period and then a minimum rate, is that of Apache's mod_reqtimeout.
public struct ConnectionTimeouts {
    public struct Limits: Sendable {
        /// From the first byte of a request, or the start of the connection, to the end of the headers. Lateness is detected within a
        /// quarter of this.
        public var headers: Duration
        /// Time for a body, extended by its bytes at `bodyBytesPerSecond`. Also the longest gap between bytes: otherwise bytes sent fast at
        /// first would allow hours of silence.
        public var body: Duration
        public var bodyBytesPerSecond: Int
        /// The limit for a whole body: at the minimum rate, 20 MiB would hold their memory for hours.
        public var bodyTotal: Duration
        /// Idle time between requests.
        public var keepAlive: Duration
        /// Time for the client to take `answerBytes` of the written response, or the remainder if that is less. It restarts for the next
        /// bytes.
        public var answer: Duration
        public var answerBytes: Int
        /// Lingering close: after a response that was sent before the whole body was read, further bytes are read and dropped. Closing at
        /// once would make the kernel drop the response too (RFC 9112, section 9.6). This is the longest gap between bytes.
        public var rest: Duration
        /// The limit for the whole lingering close.
        public var restTotal: Duration
        /// Bytes dropped at most.
        public var restBytes: Int

        public init(
            headers: Duration = .seconds(8), body: Duration = .seconds(8), bodyBytesPerSecond: Int = 2048,
            bodyTotal: Duration = .seconds(60), keepAlive: Duration = .seconds(75), answer: Duration = .seconds(10),
            answerBytes: Int = 256 * 1024, rest: Duration = .seconds(5), restTotal: Duration = .seconds(30),
            restBytes: Int = 256 * 1024 * 1024
        ) {
            self.headers = headers
            self.body = body
            self.bodyBytesPerSecond = bodyBytesPerSecond
            self.bodyTotal = bodyTotal
            self.keepAlive = keepAlive
            self.answer = answer
            self.answerBytes = answerBytes
            self.rest = rest
            self.restTotal = restTotal
            self.restBytes = restBytes
        }
    }

    private enum Inbound {
        case idle
        case headers
        case body
    }

    let limits: Limits
    private var inbound = Inbound.headers
    private var inboundSince: ContinuousClock.Instant
    private var bodyBytes = 0
    /// When the last byte of a body, or of dropped input, arrived.
    private var bodySince: ContinuousClock.Instant
    /// When the reader of the body was told that it is too slow.
    private var bodyEndedAt: ContinuousClock.Instant?
    /// Requests whose headers have arrived and whose response is not delivered yet.
    private(set) var unanswered = 0
    /// The current response is written, but not delivered yet.
    private(set) var isDelivering = false
    /// No further request gets a response.
    private(set) var isClosing = false
    /// Bytes of responses written.
    private var written = 0
    /// How many of them the client had taken when its time began; `nil` if none are waiting.
    private var taking: (since: ContinuousClock.Instant, taken: Int)?
    /// Bytes dropped after the response.
    private(set) var restBytes = 0

    init(limits: Limits, now: ContinuousClock.Instant) {
        self.limits = limits
        inboundSince = now
        bodySince = now
    }

    var isReadingBody: Bool { inbound == .body }

    /// Further bytes are dropped.
    var isLingering: Bool { isClosing || (isReadingBody && unanswered == 0) }

    /// Too many bytes were dropped.
    var hasHadEnough: Bool { restBytes > limits.restBytes }

    /// The reader of the body can still be told that it is too slow, and can still respond.
    var canEndBody: Bool { isReadingBody && unanswered == 1 && !isDelivering && taking == nil && bodyEndedAt == nil }

    /// Since when no request is in progress; `nil` if one is. Incomplete headers count as idle.
    var idleSince: ContinuousClock.Instant? {
        !isDelivering && (isClosing || unanswered == 0) ? inboundSince : nil
    }

    /// Raw bytes, before the HTTP decoder.
    mutating func receivedBytes(_ count: Int, at now: ContinuousClock.Instant) {
        if isLingering {
            restBytes += count
            bodySince = now
        } else if inbound == .idle {
            inbound = .headers
            inboundSince = now
        } else if inbound == .body {
            // Of a TLS record, perhaps: its content comes when it is whole.
            bodySince = now
        }
    }

    mutating func receivedHead(at now: ContinuousClock.Instant) {
        inbound = .body
        inboundSince = now
        bodyBytes = 0
        bodySince = now
        bodyEndedAt = nil
        restBytes = 0
        unanswered += 1
    }

    mutating func receivedBody(_ count: Int, at now: ContinuousClock.Instant) {
        bodySince = now
        bodyBytes += count
    }

    mutating func receivedEnd(at now: ContinuousClock.Instant) {
        inbound = .idle
        inboundSince = now
    }

    /// From now on, the response has ``Limits/rest``.
    mutating func endBody(at now: ContinuousClock.Instant) {
        bodyEndedAt = now
    }

    mutating func wrote(_ count: Int) {
        written += count
    }

    mutating func wroteAnswer() {
        isDelivering = true
    }

    /// - Parameter waiting: Written bytes that the client has not taken. Reported periodically.
    mutating func saw(waiting: Int, at now: ContinuousClock.Instant) {
        guard waiting > 0 else {
            taking = nil
            return
        }
        let taken = written - waiting
        if let taking, taken - taking.taken < limits.answerBytes { return }
        taking = (now, taken)
    }

    /// The kernel has the last byte of the response.
    mutating func deliveredAnswer(at now: ContinuousClock.Instant) {
        isDelivering = false
        taking = nil
        unanswered = max(0, unanswered - 1)
        // Input that arrived meanwhile may have waited for this response.
        inboundSince = now
        bodySince = now
    }

    mutating func beganClosing(at now: ContinuousClock.Instant) {
        isClosing = true
        inboundSince = now
        bodySince = now
    }

    /// When to close the connection if nothing happens before; `nil` while the service is working.
    var deadline: ContinuousClock.Instant? {
        if let taking { return taking.since + limits.answer }
        if isDelivering { return nil }
        if isLingering { return min(inboundSince + limits.restTotal, bodySince + limits.rest) }
        switch inbound {
        case .idle: return unanswered == 0 ? inboundSince + limits.keepAlive : nil
        case .headers: return unanswered == 0 ? inboundSince + limits.headers : nil
        case .body where unanswered == 1:
            if let bodyEndedAt { return bodyEndedAt + limits.rest }
            let earned = Duration.milliseconds(Int64(bodyBytes) * 1000 / Int64(max(1, limits.bodyBytesPerSecond)))
            return min(inboundSince + limits.body + earned, inboundSince + limits.bodyTotal, bodySince + limits.body)
        case .body: return nil
        }
    }
}
