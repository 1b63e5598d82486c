internal import AnalyticsCore
internal import AnalyticsJSON
internal import GzipCodec
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Reads a request body up to the limit, decompressing it as it arrives.
struct BodyReader: Sendable {
    let limit: Int
    let budget: ByteBudget
    var clientAddress = ClientAddressRule(keepsWhole: false, trustedProxies: 0)

    /// A lease for the body of a request, out of the client's share.
    func lease(for request: Request, _ context: APIRequestContext) -> ByteBudget.Lease {
        budget.lease(for: clientAddress.peer(of: request, context))
    }

    /// Reads the whole body and takes its bytes with `lease`.
    ///
    /// - Parameter connection: Sends `100 Continue` after the checks of the headers.
    func read(_ request: Request, _ lease: ByteBudget.Lease, from connection: ClientConnection? = nil) async throws -> PaddedBytes {
        let isCompressed = try Self.isCompressed(request.headers)
        // Compression can make incompressible data a little longer. The limit on sent bytes allows for that.
        let sentLimit = isCompressed ? limit + limit / 100 + 1024 : limit
        let declared = request.headers[.contentLength].flatMap { Int($0) }
        if let declared, declared > sentLimit { throw tooLarge }
        if let declared, !isCompressed, !lease.hasRoom(for: declared) { throw Self.noRoom }
        let inflater = isCompressed ? try GzipInflater() : nil
        // A header alone never reserves much memory.
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
            "Too many large bodies are being received at the moment, from all clients, with this key or from this address. Send this one again "
                + "in a moment."
        ).closingConnection()
    }

    private static var incomplete: Problem {
        Problem(.incompleteBody, "The connection ended, or lost its framing, before the body was whole. Nothing was taken in.")
            .closingConnection()
    }

    private static var timedOut: Problem {
        Problem(
            .bodyTimeout, "The body arrived too slowly, or took too long in total. Nothing was taken in. Send less per request, or gzip it."
        )
        .closingConnection()
    }

    private func problem(_ error: GzipError) -> Problem {
        let detail =
            switch error {
            case .corrupt: "The body is not gzip, or was damaged on its way. Nothing was taken in."
            case .truncated: "The gzip stream ends too soon. Nothing was taken in."
            case .memory: "The body could not be decompressed: out of memory."
            }
        let problem = Problem(error == .memory ? .overloaded : .invalidContentEncoding, detail)
        return error == .truncated ? problem : problem.closingConnection()
    }
}
