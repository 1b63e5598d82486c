import Foundation
import GzipCodec
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

@testable import AnalyticsAPI

struct DocumentTests {
    @Test(arguments: ["/openapi.json", "/docs"])
    func `a document is the same, compressed or not`(path: String) async throws {
        try await TestService().run { client in
            let plain = try await client.get(path)
            #expect(plain.headers[.contentEncoding] == nil && plain.headers[.vary] == "Accept-Encoding")
            let compressed = try await client.executeRequest(uri: path, method: .get, headers: [.acceptEncoding: "br, gzip"], body: nil)
            #expect(compressed.headers[.contentEncoding] == "gzip")
            #expect(compressed.body.readableBytes * 2 < plain.body.readableBytes)
            #expect(try Gzip.decompress(Array(compressed.body.readableBytesView)) == Array(plain.body.readableBytesView))
        }
    }

    @Test(
        arguments: zip(
            ["gzip", "GZIP;q=0.1", "br;q=1.0, gzip ;q=0.5", "*", "x-gzip", "", "identity", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzipped"],
            [true, true, true, true, true, false, false, false, false, false, false]))
    func `gzip is sent to those who take it`(field: String, takesIt: Bool) {
        #expect(AcceptEncoding.takesGzip(field) == takesIt)
        #expect(!AcceptEncoding.takesGzip(nil))
    }
}
