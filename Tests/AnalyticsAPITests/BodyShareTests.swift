import AnalyticsCore
import GzipCodec
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsAPI

/// A few clients cannot take the memory for all bodies.
@Suite struct BodyShareTests {
    private func service() -> TestService {
        var service = TestService()
        service.settings.maximumBodyBytes = 100_000
        service.settings.maximumBodyBytesInMemory = 400_000
        service.settings.timeouts = ConnectionTimeouts.Limits(
            headers: .seconds(60), body: .seconds(60), keepAlive: .seconds(60), answer: .seconds(60))
        return service
    }

    private static func post(_ body: String) -> String {
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `gzip bodies that grow large and trickle stop neither others nor small bodies of the same client`() async throws {
        let service = service()
        let memory = MemoryLimits(service.settings)
        let application = makeApplication(
            services: service.services, settings: service.settings, memory: memory, logger: TestService.quiet)
        // 80,000 bytes, of which the last ones never come.
        let gzip = try Gzip.compress([UInt8](repeating: 0x20, count: 80_000)).dropLast(9)
        let head =
            "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 50000\r\n\r\n"
        try await application.test(.live) { client in
            let port = client.port!
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<7 {
                    group.addTask { _ = try await RawConnection(port: port).exchange(bytes: [Array(head.utf8), Array(gzip)]) }
                }
                try await eventually("they hold what they can get") { memory.bodies.bytesInUse > 110_000 }
                let large = Self.post(Sample.event("large") + String(repeating: " ", count: 80_000))
                let answer = try await RawConnection(port: port, localAddress: "127.0.0.2").exchange([large], until: "}")
                #expect(answer.status == 202, "\(answer.text)")
                for (index, address) in ["127.0.0.1", "127.0.0.2"].enumerated() {
                    let small = Self.post(Sample.event("small-\(index)"))
                    let answer = try await RawConnection(port: port, localAddress: address).exchange([small], until: "}")
                    #expect(answer.status == 202, "\(answer.text)")
                }
                group.cancelAll()
            }
        }
        #expect(try service.publisher.events.map(\.id) == ["large", "small-0", "small-1"])
    }

    @Test func `behind a proxy the share is that of its client`() async throws {
        var settings = APISettings()
        settings.trustedProxies = 1
        let rule = ClientAddressRule(settings)
        func peer(_ forwarded: String) -> Peer { Peer(rule.origin(peer: "10.0.0.1", headers: [.xForwardedFor: forwarded]).address) }
        #expect(peer("192.0.2.1") == peer("1.2.3.4, 192.0.2.1") && peer("192.0.2.1") != peer("192.0.2.2"))
    }
}
