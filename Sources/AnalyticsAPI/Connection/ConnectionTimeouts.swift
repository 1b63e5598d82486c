/// Decides how long a connection may take over what it is at. Pure: the time comes in.
///
/// Headers and bodies must keep arriving, and answers keep being read, or a few thousand clients that do neither hold every
/// connection, and a few that do not read hold the memory for answers. Time in which the service itself is busy with a request is nobody's
/// fault and counts for nothing. The rule for bodies, a grace and then a least rate, is that of Apache's mod_reqtimeout.
public struct ConnectionTimeouts {
    public struct Limits: Sendable {
        /// From the first byte of a request, or the start of the connection, to the end of its headers. What is late is noticed within a
        /// quarter of this.
        public var headers: Duration
        /// A body may take this long, and more as it grows by `bodyBytesPerSecond`; and no longer than this without a byte, or what was
        /// sent fast would buy hours of silence.
        public var body: Duration
        public var bodyBytesPerSecond: Int
        /// And no longer than this as a whole: at the least rate, one of 20 MiB would hold its memory for hours.
        public var bodyTotal: Duration
        /// Between requests.
        public var keepAlive: Duration
        /// For the client to take `answerBytes` of what is written for it, or all of it where that is less; then again for the next ones.
        public var answer: Duration
        public var answerBytes: Int
        /// What comes after an answer that came before the body was read whole is read and thrown away (lingering close): closing at once would
        /// make the kernel drop the answer too (RFC 9112, section 9.6). For so long without a byte,
        public var rest: Duration
        /// and so long as a whole,
        public var restTotal: Duration
        /// and so many bytes.
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
    /// When the last byte of a body, or of what is thrown away, has come.
    private var bodySince: ContinuousClock.Instant
    /// When whoever reads the body was told that it is too slow.
    private var bodyEndedAt: ContinuousClock.Instant?
    /// Requests whose headers came and whose answer is not with the client yet.
    private(set) var unanswered = 0
    /// All of the answer under way is written, and not all of it is with the client yet.
    private(set) var isDelivering = false
    /// Nothing more is answered.
    private(set) var isClosing = false
    /// Bytes of answers that were written.
    private var written = 0
    /// How many of them the client had taken when its time began; `nil` while nothing waits for it.
    private var taking: (since: ContinuousClock.Instant, taken: Int)?
    /// Bytes thrown away after the answer.
    private(set) var restBytes = 0

    init(limits: Limits, now: ContinuousClock.Instant) {
        self.limits = limits
        inboundSince = now
        bodySince = now
    }

    var isReadingBody: Bool { inbound == .body }

    /// What comes now is thrown away.
    var isLingering: Bool { isClosing || (isReadingBody && unanswered == 0) }

    /// Of what is thrown away.
    var hasHadEnough: Bool { restBytes > limits.restBytes }

    /// Whoever reads the body can still be told that it is too slow, and answer.
    var canEndBody: Bool { isReadingBody && unanswered == 1 && !isDelivering && taking == nil && bodyEndedAt == nil }

    /// Since when nothing is under way for the client; `nil` while something is. Headers that are not whole are nothing yet.
    var idleSince: ContinuousClock.Instant? {
        !isDelivering && (isClosing || unanswered == 0) ? inboundSince : nil
    }

    /// Any bytes, before they are read as HTTP.
    mutating func receivedBytes(_ count: Int, at now: ContinuousClock.Instant) {
        if isLingering {
            restBytes += count
            bodySince = now
        } else if inbound == .idle {
            inbound = .headers
            inboundSince = now
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

    /// The answer has ``Limits/rest`` from now on.
    mutating func endBody(at now: ContinuousClock.Instant) {
        bodyEndedAt = now
    }

    mutating func wrote(_ count: Int) {
        written += count
    }

    mutating func wroteAnswer() {
        isDelivering = true
    }

    /// To be told now and then: bytes that are written and that the client has not taken.
    mutating func saw(waiting: Int, at now: ContinuousClock.Instant) {
        guard waiting > 0 else {
            taking = nil
            return
        }
        let taken = written - waiting
        if let taking, taken - taking.taken < limits.answerBytes { return }
        taking = (now, taken)
    }

    /// The kernel has the last byte of an answer.
    mutating func deliveredAnswer(at now: ContinuousClock.Instant) {
        isDelivering = false
        taking = nil
        unanswered = max(0, unanswered - 1)
        // What came in meanwhile may have been held up behind this answer.
        inboundSince = now
        bodySince = now
    }

    mutating func beganClosing(at now: ContinuousClock.Instant) {
        isClosing = true
        inboundSince = now
        bodySince = now
    }

    /// When to close the connection, should nothing happen until then; `nil` while it is the service's turn.
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
