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

    /// A text.
    static func json(text: String) -> Response {
        var writer = JSONWriter()
        writer.string(text)
        return Response(
            status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }

    /// One JSON array, which may be large.
    static func json<Element: Sendable>(
        array elements: [Element], capacity: Int = 256, holding lease: ByteBudget.Lease? = nil,
        _ write: @escaping @Sendable (Element, inout JSONWriter) -> Void
    ) -> Response {
        json(.ok, capacity: capacity, holding: lease, root: .array, [.each(elements, write)])
    }

    /// One JSON object or array, which may be large: beyond a slice it is encoded as the client takes it, and holds `lease` until then.
    ///
    /// Its length is counted first, so that clients of HTTP/1.0 can read it (nginx is one, unless told otherwise), which know no chunks.
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
                // Waits while the connection holds more than it can give to the client.
                try await writer.write(bytes)
                slice = text.next()
            }
            try await writer.finish(nil)
        }
        return Response(status: status, headers: headers, body: body)
    }
}
