internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes

/// Adds ``RequestRules`` and ``ChunkOverhead`` around the decoder of a connection, the only place with raw bytes and HTTP versions.
final class RequestRulesInstaller: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart

    func handlerAdded(context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        do {
            let rules = RequestRulesHandler()
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(rules, position: .after(decoder))
            try pipeline.addHandler(ChunkOverheadHandler(rules), position: .before(decoder))
        } catch {
            // No request is read without the rules.
            context.close(promise: nil)
        }
    }
}

/// Reports refused requests as decoder errors, and responds to HTTP/1.0 in HTTP/1.0.
final class RequestRulesHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    fileprivate var overhead = ChunkOverhead()
    fileprivate var isRefused = false
    /// The versions of the requests that wait for their responses.
    private var versions = CircularBuffer<HTTPVersion>()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard RequestRules.admit(head) else {
                isRefused = true
                return context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
            }
            overhead.began()
            versions.append(head.version)
            context.fireChannelRead(wrapInboundOut(.head(settled(head))))
        case .body(let bytes):
            overhead.decoded(bytes.readableBytes)
            context.fireChannelRead(data)
        case .end:
            overhead.ended()
            context.fireChannelRead(data)
        }
    }

    /// Later handlers look only for `close`. HTTP/1.0 always gets it, because keep-alive is not negotiated. HTTP/1.0 also has no `Expect`
    /// (RFC 9110, section 10.1.1).
    private func settled(_ head: HTTPRequestHead) -> HTTPRequestHead {
        var head = head
        let isHTTP10 = RequestRules.isHTTP10(head)
        if isHTTP10 || !head.isKeepAlive { head.headers.replaceOrAdd(name: "Connection", value: "close") }
        if isHTTP10 { head.headers.remove(name: "Expect") }
        return head
    }

    /// A response of unknown length is chunked in HTTP/1.1; in HTTP/1.0 it ends with the connection.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .head(var head) = unwrapOutboundIn(data), head.status.code >= 200, versions.popFirst() == .http1_0 else {
            return context.write(data, promise: promise)
        }
        head.version = .http1_0
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}

/// Comes before the decoder.
private final class ChunkOverheadHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let rules: RequestRulesHandler

    init(_ rules: RequestRulesHandler) {
        self.rules = rules
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !rules.isRefused else { return }
        rules.overhead.received(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
        guard rules.overhead.isOverLimit else { return }
        rules.isRefused = true
        context.fireErrorCaught(HTTPParserError.invalidChunkSize)
    }
}
