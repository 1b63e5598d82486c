internal import AnalyticsCore
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes

/// Stands in each connection's pipeline behind the HTTP decoder: closes what is too slow (``ConnectionTimeouts``), answers what is no HTTP, says
/// `100 Continue`, and closes after an answer that says so.
final class ConnectionTimeoutHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var timeouts: ConnectionTimeouts
    private let maximumBodyBytes: Int
    private let clock = ContinuousClock()
    private var timer: Scheduled<Void>?
    /// The answer under way, or the last one, is the connection's last.
    private var closesAfterAnswer = false
    private var isClosing = false
    private var hasHungUp = false
    /// Of the request under way, where it is not answered out of a cache.
    private var onHangUp: (@Sendable () -> Void)?

    init(limits: ConnectionTimeouts.Limits, maximumBodyBytes: Int) {
        timeouts = ConnectionTimeouts(limits: limits, now: clock.now)
        self.maximumBodyBytes = maximumBodyBytes
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // Raw bytes are seen in front of the decoder only.
        let observer = BytesObserver { [unowned self] in
            timeouts.receivedBytes(at: clock.now)
        }
        try? context.pipeline.syncOperations.addHandler(observer, position: .first)
        // Else the kernel takes up to 4 MB of an answer that nobody reads (tcp(7), tcp_wmem).
        try? context.channel.syncOptions?.setOption(.tcpOption(.init(rawValue: TCP_NOTSENT_LOWAT)), value: 128 * 1024)
        startTimer(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            timeouts.receivedHead(at: clock.now)
            if head.headerFields[.connection]?.lowercasedASCII() == "close" { closesAfterAnswer = true }
            if timeouts.unanswered == 1, expectsContinue(head) {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
        case .body(let bytes):
            timeouts.receivedBody(bytes.readableBytes, at: clock.now)
            if timeouts.restBytes > maximumBodyBytes { return close(context) }
        case .end:
            timeouts.receivedEnd(at: clock.now)
            if closesAfterAnswer, timeouts.unanswered == 0 { return close(context) }
        }
        context.fireChannelRead(data)
    }

    /// RFC 9110, section 10.1.1. A body that is too large by its own account gets its answer at once instead.
    private func expectsContinue(_ head: HTTPRequest) -> Bool {
        guard head.headerFields[.expect]?.lowercasedASCII() == "100-continue" else { return false }
        return (head.headerFields[.contentLength].flatMap { Int($0) } ?? 0) <= maximumBodyBytes
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isClosing { return }
        guard error is HTTPParserError else { return context.fireErrorCaught(error) }
        switch (timeouts.unanswered, timeouts.isReadingBody) {
        case (0, false): refuse(context, error)
        case (0, true): close(context)
        // Somebody is reading the body or working on the answer to an earlier request: they get to know, and answer.
        default: context.fireErrorCaught(error)
        }
    }

    /// Calls `body` when the client closes the connection, or has done so already. On the event loop.
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

    /// Whoever reads the body would take its end for that of the whole: Hummingbird tells them apart by an error alone.
    private func breakOff(_ context: ChannelHandlerContext) {
        if timeouts.isReadingBody { context.fireErrorCaught(ChannelError.inputClosed) }
    }

    private func refuse(_ context: ChannelHandlerContext, _ error: any Error) {
        let problem = (error as? HTTPParserError) == .headerOverflow ? Problem.headersTooLarge : Problem.malformedRequest
        let response = problem.content()
        closesAfterAnswer = true
        isClosing = true
        let head = HTTPResponse(status: problem.status, headerFields: response.headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(response.body)), promise: nil)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in
            context.close(mode: .output, promise: nil)
            closeLater(context)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status.kind == .informational: break
        case .head(let head): if head.headerFields[.connection]?.lowercasedASCII() == "close" { closesAfterAnswer = true }
        case .body(let bytes): timeouts.wrote(bytes.readableBytes)
        case .end:
            timeouts.wroteAnswer()
            let delivered = promise ?? context.eventLoop.makePromise()
            delivered.futureResult.assumeIsolated().whenComplete { [self] _ in deliveredAnswer(context) }
            return context.write(data, promise: delivered)
        }
        context.write(data, promise: promise)
    }

    private func deliveredAnswer(_ context: ChannelHandlerContext) {
        timeouts.deliveredAnswer(at: clock.now)
        onHangUp = nil
        guard closesAfterAnswer, timeouts.unanswered == 0 else {
            if isClosing { closeLater(context) }
            return
        }
        guard timeouts.isReadingBody else { return close(context) }
        if !isClosing { context.close(mode: .output, promise: nil) }
        isClosing = true
        closeLater(context)
    }

    // MARK: Closing

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        // The service is shutting down, or the client sends no more: closing now would throw away the end of the answer.
        if mode == .all || (mode == .output && hasHungUp), promise == nil, timeouts.isDelivering, !isClosing {
            closesAfterAnswer = true
            return
        }
        // The server is done with the connection, and waits for the client to close it.
        if mode == .output, !isClosing {
            isClosing = true
            if !timeouts.isDelivering { closeLater(context) }
        }
        context.close(mode: mode, promise: promise)
    }

    private func close(_ context: ChannelHandlerContext) {
        isClosing = true
        context.close(promise: nil)
    }

    /// What still comes is thrown away until then, so that the client gets to read the answer (see ``ConnectionTimeouts/Limits/rest``).
    private func closeLater(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(timeouts.limits.rest)) { context.close(promise: nil) }
    }

    /// Looks at the deadline now and then: nothing is scheduled for a request.
    private func startTimer(_ context: ChannelHandlerContext) {
        let interval = TimeAmount(timeouts.limits.headers / 4)
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: interval) { [weak self] in
            guard let self, !isClosing || timeouts.isDelivering else { return }
            let waiting = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
            timeouts.saw(waiting: waiting ?? 0, at: clock.now)
            if let deadline = timeouts.deadline, deadline <= clock.now { close(context) } else { startTimer(context) }
        }
    }
}

private final class BytesObserver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let observe: () -> Void

    init(_ observe: @escaping () -> Void) {
        self.observe = observe
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        observe()
        context.fireChannelRead(data)
    }
}
