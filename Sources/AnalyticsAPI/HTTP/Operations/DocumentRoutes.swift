internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// The API's description of itself. Both documents are part of the binary.
struct DocumentRoutes: Sendable {
    private let openAPI: ByteBuffer
    private let page = ByteBuffer(bytes: PackageResources.docs_html)

    init(version: String) {
        let text = String(decoding: PackageResources.openapi_json, as: UTF8.self)
        let (placeholder, named) = ("\"version\": \"0.0.0\"", "\"version\": \"\(version)\"")
        openAPI = ByteBuffer(string: text.replacing(placeholder, with: named, maxReplacements: 1))  // text: the service's own document
    }

    var routes: [Route] {
        [Route(open: .get, "/openapi.json", describe), Route(open: .get, "/docs", show)]
    }

    private func describe(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        // Tools in a browser read it from other origins, and there is nothing in it that is not for everybody.
        let headers: HTTPFields = [.contentType: "application/json", .accessControlAllowOrigin: "*"]
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: openAPI))
    }

    private func show(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        Response(
            status: .ok,
            headers: [
                .contentType: "text/html; charset=utf-8",
                .contentSecurityPolicy:
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
                    + "form-action 'none'; frame-ancestors 'none'",
            ],
            body: ResponseBody(byteBuffer: page))
    }
}
