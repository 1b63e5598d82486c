public import AsyncHTTPClient
internal import Foundation
internal import GzipCodec
internal import NIOCore
internal import NIOHTTP1

/// Sends batches over HTTP, as NDJSON.
public struct HTTPTransport: ImportTransport {
    private let url: String
    private let key: String?
    private let compresses: Bool
    private let waitsForStored: Bool
    private let client: HTTPClient

    /// `url` is the service's address, `key` a key with the scope `write`. Duplicates are known only with `waitsForStored`.
    public init(url: String, key: String?, compresses: Bool, waitsForStored: Bool, client: HTTPClient) {
        self.url = url
        self.key = key
        self.compresses = compresses
        self.waitsForStored = waitsForStored
        self.client = client
    }

    public func post(_ events: [[UInt8]]) async throws -> ImportResponse {
        var body = ByteBuffer()
        body.reserveCapacity(events.reduce(0) { $0 + $1.count + 1 })
        for event in events {
            body.writeBytes(event)
            body.writeInteger(UInt8(ascii: "\n"))
        }
        var request = HTTPClientRequest(url: url + "/api/v1/events/batch" + (waitsForStored ? "?wait=stored&timeout=30" : ""))
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-ndjson")
        if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
        if compresses {
            request.headers.add(name: "content-encoding", value: "gzip")
            body = ByteBuffer(bytes: try Gzip.compress(body.readableBytesView))
        }
        request.body = .bytes(body)
        let response = try await client.execute(request, timeout: .seconds(60))
        let bytes = try await response.body.collect(upTo: 16 * 1024 * 1024)
        var answer = (try? JSONDecoder().decode(ImportResponse.self, from: Data(bytes.readableBytesView))) ?? ImportResponse(status: 0)
        answer.status = Int(response.status.code)
        // At most a minute, whatever the service says.
        answer.retryAfter = response.headers.first(name: "retry-after").flatMap { Int($0) }.map { .seconds(min(max($0, 1), 60)) }
        return answer
    }
}
