internal import AnalyticsCore
internal import AnalyticsJSON
internal import GzipCodec
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Receives a request's body, decompressed as it arrives, and no more of it than the limit.
struct BodyReader: Sendable {
    let limit: Int
    let budget: ByteBudget
    var clientAddress = ClientAddressRule(keepsWhole: false, trustsProxy: false)

    /// Room for the body of a request, out of its client's share.
    func lease(for request: Request, _ context: APIRequestContext) -> ByteBudget.Lease {
        budget.lease(for: clientAddress.peer(of: request, context))
    }

    /// The whole body, whose bytes `lease` takes.
    ///
    /// - Parameter connection: Told that the body is wanted, once nothing is known that refuses it.
    func read(_ request: Request, _ lease: ByteBudget.Lease, from connection: ClientConnection? = nil) async throws -> PaddedBytes {
        let isCompressed = try Self.isCompressed(request.headers)
        // Compressing adds a little to what cannot be compressed; what is sent is held to the limit with that allowance.
        let sentLimit = isCompressed ? limit + limit / 100 + 1024 : limit
        let declared = request.headers[.contentLength].flatMap { Int($0) }
        if let declared, declared > sentLimit { throw tooLarge }
        if let declared, !isCompressed, !lease.hasRoom(for: declared) { throw Self.noRoom }
        let inflater = isCompressed ? try GzipInflater() : nil
        // No large reservation on the word of a header.
        var body = PaddedBytes(reservingCapacity: min(declared ?? 0, 256 * 1024))
        if request.headers[.expect] != nil { connection?.expectsBody() }
        var received = 0
        var chunks = request.body.makeAsyncIterator()
        while let chunk = try await next(&chunks) {
            received += chunk.readableBytes
            guard received <= sentLimit else { throw tooLarge }
            try append(chunk, inflater, to: &body, lease)
        }
        if let declared, received < declared { throw Self.incomplete }
        do throws(GzipError) { try inflater?.finish() } catch { throw problem(error) }
        return body
    }

    private func next(_ chunks: inout RequestBody.AsyncIterator) async throws(Problem) -> ByteBuffer? {
        do { return try await chunks.next() } catch is BodyTimeout { throw Self.timedOut } catch { throw Self.incomplete }
    }

    private func append(_ chunk: ByteBuffer, _ inflater: GzipInflater?, to body: inout PaddedBytes, _ lease: ByteBudget.Lease) throws {
        func take(_ bytes: UnsafeRawBufferPointer) throws {
            guard body.count + bytes.count <= limit else { throw tooLarge }
            guard lease.grow(by: bytes.count) else { throw Self.noRoom }
            body.append(bytes)
        }
        try chunk.withUnsafeReadableBytes { bytes in
            guard let inflater else { return try take(bytes) }
            do { try inflater.write(bytes, take) } catch let error as GzipError { throw problem(error) }
        }
    }

    private static func isCompressed(_ headers: HTTPFields) throws(Problem) -> Bool {
        switch headers[.contentEncoding]?.lowercasedASCII() {
        case nil, "", "identity": return false
        case "gzip", "x-gzip": return true
        default:
            var problem = Problem(.unsupportedContentEncoding, "Content-Encoding may be gzip, or be left out.").closingConnection()
            // RFC 9110, section 15.5.16.
            problem.headers[.acceptEncoding] = "gzip"
            throw problem
        }
    }

    private var tooLarge: Problem {
        Problem(.bodyTooLarge, "A body may have \(limit) bytes, counted after decompression. Split the batch.").closingConnection()
    }

    private static var noRoom: Problem {
        Problem(
            .overloaded,
            "Too many large bodies are being received at the moment, from all clients or from this address. Send this one again in a moment."
        ).closingConnection()
    }

    private static var incomplete: Problem {
        Problem(.incompleteBody, "The connection ended, or lost its framing, before the body was whole. Nothing was taken in.")
            .closingConnection()
    }

    private static var timedOut: Problem {
        Problem(
            .bodyTimeout, "The body came too slowly, or took too long as a whole. Nothing was taken in. Send less at a time, or gzip it."
        )
        .closingConnection()
    }

    private func problem(_ error: GzipError) -> Problem {
        let detail =
            switch error {
            case .corrupt: "The body is not gzip, or was damaged on its way. Nothing was taken in."
            case .truncated: "The gzip stream ends too soon. Nothing was taken in."
            case .memory: "The body could not be decompressed for want of memory."
            }
        let problem = Problem(error == .memory ? .overloaded : .invalidContentEncoding, detail)
        return error == .truncated ? problem : problem.closingConnection()
    }
}
