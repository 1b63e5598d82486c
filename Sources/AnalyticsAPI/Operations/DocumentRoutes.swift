internal import AnalyticsCore
internal import CDocuments
internal import GzipCodec
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// The OpenAPI document and its page. Both are part of the binary.
struct DocumentRoutes: Sendable {
    private let openAPI: Document
    private let page: Document

    init(version: String) {
        let text = String(decoding: UnsafeBufferPointer(cdocument_openapi()), as: UTF8.self)
        let (placeholder, named) = ("\"version\": \"0.0.0\"", "\"version\": \"\(version)\"")
        // text: the service's own document
        openAPI = Document(Array(text.replacing(placeholder, with: named, maxReplacements: 1).utf8))
        page = Document(Array(UnsafeBufferPointer(cdocument_page())))
    }

    var routes: [Route] {
        [Route(open: .get, "/openapi.json", describe), Route(open: .get, "/docs", show)]
    }

    private func describe(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        // Tools in a browser read it from other origins, and all of it is public.
        let headers: HTTPFields = [.contentType: "application/json", .accessControlAllowOrigin: "*"]
        return openAPI.response(to: request, headers: headers)
    }

    private func show(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        page.response(
            to: request,
            headers: [
                .contentType: "text/html; charset=utf-8",
                .contentSecurityPolicy:
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
                    + "form-action 'none'; frame-ancestors 'none'",
            ])
    }
}

/// A document, compressed once.
private struct Document: Sendable {
    private let plain: ByteBuffer
    private let compressed: ByteBuffer?

    init(_ bytes: [UInt8]) {
        plain = ByteBuffer(bytes: bytes)
        compressed = (try? Gzip.compress(bytes, level: 9)).map { ByteBuffer(bytes: $0) }
    }

    func response(to request: Request, headers: HTTPFields) -> Response {
        var headers = headers
        headers[.vary] = "Accept-Encoding"
        guard let compressed, AcceptEncoding.takesGzip(request.headers[.acceptEncoding]) else {
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: plain))
        }
        headers[.contentEncoding] = "gzip"
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: compressed))
    }
}

/// `Accept-Encoding` (RFC 9110, section 12.5.3).
enum AcceptEncoding {
    /// Whether `gzip` or `*` is named with a weight other than 0.
    static func takesGzip(_ field: String?) -> Bool {
        var any = false
        for part in (field ?? "").splitUTF8(",") {
            let words = part.splitUTF8(";").map { $0.removingUTF8(" ", "\t").lowercasedASCII() }
            guard let coding = words.first else { continue }
            let isRefused = words.dropFirst().contains { word in
                word.starts(withUTF8: "q=") && Double(word.trimmingUTF8(first: 2)) == 0
            }
            if coding.equalsUTF8("gzip") || coding.equalsUTF8("x-gzip") { return !isRefused }
            if coding.equalsUTF8("*") { any = !isRefused }
        }
        return any
    }
}

extension UnsafeBufferPointer<UInt8> {
    init(_ document: cdocument) {
        self.init(start: document.bytes, count: document.count)
    }
}
