internal import AnalyticsCore
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOSSL

/// Comes after the HTTP decoder in the pipeline of each connection. Closes connections that are too slow (``ConnectionTimeouts``), responds
/// to bytes that are not HTTP, sends `100 Continue`, and closes after a response with `Connection: close`.
final class ConnectionTimeoutHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var timeouts: ConnectionTimeouts
    private let room: ConnectionRoom
    private var place: ConnectionRoom.Place?
    private let clock = ContinuousClock()
    private var timer: Scheduled<Void>?
    private var closing: Scheduled<Void>?
    private var context: ChannelHandlerContext?
    /// The current or last response is the last one of the connection.
    private var closesAfterAnswer = false
    /// The client of the newest request waits for `100 Continue` before it sends the body.
    private var waitsToSend = false
    /// Requests whose response has not begun.
    private var unbegun = 0
    private var hasHungUp = false
    /// Stops the current request when its client hangs up; `nil` if a cache answers the request.
    private var onHangUp: (@Sendable () -> Void)?

    init(limits: ConnectionTimeouts.Limits, room: ConnectionRoom) {
        timeouts = ConnectionTimeouts(limits: limits, now: clock.now)
        self.room = room
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        place = room.take(by: context.channel, idleSince: timeouts.idleSince)
        // Raw bytes are visible only before the decoder. With TLS these are its records: the handshake is part of the first headers.
        let observer = BytesObserver { [unowned self] count in
            timeouts.receivedBytes(count, at: clock.now)
            noteIdleness()
        } readsOn: { [unowned self] in
            timeouts.isLingering
        }
        try? context.pipeline.syncOperations.addHandler(observer, position: .first)
        // Otherwise the kernel buffers up to 4 MB of a response that the client does not read (tcp(7), tcp_wmem).
        try? context.channel.syncOptions?.setOption(.tcpOption(.init(rawValue: TCP_NOTSENT_LOWAT)), value: 128 * 1024)
        startTimer(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        closing?.cancel()
        self.context = nil
        if let place { room.leave(place) }
    }

    private func noteIdleness() {
        if let place { room.note(place, idleSince: timeouts.idleSince) }
    }

    /// Called when there are too many connections.
    func closeIfIdle() {
        guard let context, let place else { return }
        if timeouts.idleSince == nil { room.stay(place) } else { close(context) }
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if timeouts.isLingering { return throwAway(part, context) }
        switch part {
        case .head(let head):
            timeouts.receivedHead(at: clock.now)
            unbegun += 1
            if head.headerFields[.connection]?.lowercasedASCII() == "close" { closesAfterAnswer = true }
            waitsToSend = head.headerFields[.expect]?.lowercasedASCII() == "100-continue"
            noteIdleness()
        case .body(let bytes):
            waitsToSend = false
            timeouts.receivedBody(bytes.readableBytes, at: clock.now)
        case .end:
            waitsToSend = false
            timeouts.receivedEnd(at: clock.now)
        }
        context.fireChannelRead(data)
    }

    /// Drops parts of a request that already has its response, and parts after the last request.
    private func throwAway(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        if timeouts.hasHadEnough { return close(context) }
        guard case .end = part, timeouts.isReadingBody else { return }
        timeouts.receivedEnd(at: clock.now)
        if closesAfterAnswer || timeouts.isClosing { return close(context) }
        context.fireChannelRead(wrapInboundOut(part))
    }

    /// RFC 9110, section 10.1.1. Sent only when the body is read, so a request that is refused by its head is refused before its body is
    /// sent.
    func expectsBody() {
        guard waitsToSend, !timeouts.isClosing, let context else { return }
        waitsToSend = false
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if timeouts.isClosing { return }
        // TLS did not end before TCP did. `inputClosed` follows, as without TLS.
        if case .uncleanShutdown? = error as? NIOSSLError { return }
        guard error is HTTPParserError else { return context.fireErrorCaught(error) }
        switch (timeouts.unanswered, timeouts.isReadingBody) {
        case (0, false): refuse(context, error)
        case (0, true): close(context)
        // A handler reads the body or works on an earlier request: it gets the error and responds.
        default: context.fireErrorCaught(error)
        }
    }

    /// Calls `body` on the event loop when the client closes the connection, or at once if it has.
    func whenHungUp(_ body: @escaping @Sendable () -> Void) {
        if hasHungUp { body() } else { onHangUp = body }
    }

    private func hungUp() {
        hasHungUp = true
        onHangUp?()
        onHangUp = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        hungUp()
        breakOff(context)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            hungUp()
            breakOff(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Without the error, Hummingbird would take a body that broke off for a complete one.
    private func breakOff(_ context: ChannelHandlerContext) {
        if timeouts.isReadingBody { context.fireErrorCaught(ChannelError.inputClosed) }
    }

    private func refuse(_ context: ChannelHandlerContext, _ error: any Error) {
        let problem = (error as? HTTPParserError) == .headerOverflow ? Problem.headersTooLarge : Problem.malformedRequest
        let response = problem.content()
        closesAfterAnswer = true
        timeouts.beganClosing(at: clock.now)
        let head = HTTPResponse(status: problem.status, headerFields: response.headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(response.body)), promise: nil)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in
            context.close(mode: .output, promise: nil)
            linger(context)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status.kind == .informational: break
        case .head(let head): return context.write(wrapOutboundOut(.head(begin(head))), promise: promise)
        case .body(let bytes): timeouts.wrote(bytes.readableBytes)
        case .end:
            timeouts.wroteAnswer()
            let delivered = promise ?? context.eventLoop.makePromise()
            delivered.futureResult.assumeIsolated().whenComplete { [self] _ in deliveredAnswer(context) }
            return context.write(data, promise: delivered)
        }
        context.write(data, promise: promise)
    }

    private func begin(_ head: HTTPResponse) -> HTTPResponse {
        var head = head
        unbegun = max(0, unbegun - 1)
        // The client may or may not send the body now, so the start of the next request is unknown.
        if waitsToSend, unbegun == 0 {
            waitsToSend = false
            head.headerFields[.connection] = "close"
        }
        if head.headerFields[.connection]?.lowercasedASCII() == "close" { closesAfterAnswer = true }
        return head
    }

    private func deliveredAnswer(_ context: ChannelHandlerContext) {
        timeouts.deliveredAnswer(at: clock.now)
        onHangUp = nil
        noteIdleness()
        guard closesAfterAnswer, timeouts.unanswered == 0 else {
            if timeouts.isLingering { linger(context) }
            return
        }
        guard timeouts.isReadingBody else { return close(context) }
        if !timeouts.isClosing {
            timeouts.beganClosing(at: clock.now)
            context.close(mode: .output, promise: nil)
        }
        linger(context)
    }

    // MARK: Closing

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        // The service is shutting down, or the client sends no more. Closing now would drop the end of the response.
        if mode == .all || (mode == .output && hasHungUp), promise == nil, timeouts.isDelivering, !timeouts.isClosing {
            closesAfterAnswer = true
            return
        }
        // The server has ended its side and waits for the client to close.
        if mode == .output, !timeouts.isClosing {
            timeouts.beganClosing(at: clock.now)
            if !timeouts.isDelivering { linger(context) }
        }
        context.close(mode: mode, promise: promise)
    }

    private func close(_ context: ChannelHandlerContext) {
        timeouts.beganClosing(at: clock.now)
        context.close(promise: nil)
    }

    /// Reads on, so that the client can read its response (see ``ConnectionTimeouts/Limits/rest``).
    private func linger(_ context: ChannelHandlerContext) {
        noteIdleness()
        context.read()
        if closing == nil { closeLater(context, after: timeouts.limits.rest) }
    }

    private func closeLater(_ context: ChannelHandlerContext, after delay: Duration) {
        closing = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in
            guard let self else { return }
            closing = nil
            // The rest of the body may have arrived meanwhile; the connection is in use again.
            guard timeouts.isLingering else { return }
            let now = clock.now
            guard let deadline = timeouts.deadline, deadline <= now else {
                return closeLater(context, after: timeouts.deadline.map { $0 - now } ?? timeouts.limits.rest)
            }
            close(context)
        }
    }

    /// Checks the deadline periodically, so no timer is scheduled per request.
    private func startTimer(_ context: ChannelHandlerContext) {
        let interval = TimeAmount(timeouts.limits.headers / 4)
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: interval) { [weak self] in
            guard let self, !timeouts.isClosing || timeouts.isDelivering else { return }
            let waiting = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
            timeouts.saw(waiting: waiting ?? 0, at: clock.now)
            guard let deadline = timeouts.deadline, deadline <= clock.now else { return startTimer(context) }
            guard timeouts.canEndBody else { return close(context) }
            timeouts.endBody(at: clock.now)
            context.fireErrorCaught(BodyTimeout())
            startTimer(context)
        }
    }
}

/// The body arrived too slowly, or took too long in total.
struct BodyTimeout: Error {}

private final class BytesObserver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let observe: (Int) -> Void
    private let readsOn: () -> Bool

    /// - Parameter readsOn: Whether the connection is read although no later handler wants its bytes.
    init(_ observe: @escaping (Int) -> Void, readsOn: @escaping () -> Bool) {
        self.observe = observe
        self.readsOn = readsOn
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        observe(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    /// Later handlers get no bytes of an incomplete TLS record, so they cannot ask for the rest.
    func channelReadComplete(context: ChannelHandlerContext) {
        if readsOn() { context.read() }
        context.fireChannelReadComplete()
    }
}
