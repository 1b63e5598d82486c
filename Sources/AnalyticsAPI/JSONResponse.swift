internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

extension Response {
    /// A small JSON object.
    static func json(
        _ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], _ members: @escaping @Sendable (inout JSONWriter) -> Void
    ) -> Response {
        .json(status, headers: headers, [.once(members)])
    }

    /// A JSON string.
    static func json(text: String) -> Response {
        var writer = JSONWriter()
        writer.string(text)
        return Response(
            status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }

    /// A JSON array of any size.
    static func json<Element: Sendable>(
        array elements: [Element], capacity: Int = 256, holding lease: ByteBudget.Lease? = nil,
        _ write: @escaping @Sendable (Element, inout JSONWriter) -> Void
    ) -> Response {
        json(.ok, capacity: capacity, holding: lease, root: .array, [.each(elements, write)])
    }

    /// A JSON object or array of any size. What is beyond the first slice is encoded as the client reads it, and `lease` is held until the
    /// end.
    ///
    /// The length is counted first: clients of HTTP/1.0 (nginx by default) do not know chunked bodies.
    static func json(
        _ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], capacity: Int = 256, holding lease: ByteBudget.Lease? = nil,
        root: SlicedJSON.Root = .object, _ parts: [JSONPart]
    ) -> Response {
        var headers = headers
        if headers[.contentType] == nil { headers[.contentType] = "application/json" }
        var text = SlicedJSON(parts, root: root, reservingCapacity: capacity)
        let first = text.next() ?? ByteBuffer()
        if text.isAtEnd, first.readableBytes <= SlicedJSON.sliceBytes {
            return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: first))
        }
        let body = ResponseBody(contentLength: first.readableBytes + text.remainingBytes) { [text] writer in
            defer { withExtendedLifetime(lease) {} }
            var (text, slice) = (text, first as ByteBuffer?)
            while let bytes = slice {
                // Suspends while the connection's write buffer is full.
                try await writer.write(bytes)
                slice = text.next()
            }
            try await writer.finish(nil)
        }
        return Response(status: status, headers: headers, body: body)
    }
}
