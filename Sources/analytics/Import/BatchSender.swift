internal import AnalyticsCore
internal import AsyncHTTPClient
internal import Foundation
internal import GzipCodec
internal import NIOCore
internal import NIOHTTP1

/// Sends a batch to `/api/v1/events/batch` until each of its events is accepted or rejected.
struct BatchSender: Sendable {
    /// An event that the service refused.
    struct Refusal: Sendable, Codable {
        var index: Int
        var id: String?
        var code: String
        var message: String
    }

    struct Outcome: Sendable {
        var tally = ImportTally()
        var refusals: [Refusal] = []
    }

    let url: String
    let compresses: Bool
    /// Whether to wait until the events are stored: only then are duplicates known.
    let waitsForStored: Bool
    /// Attempts at a batch that is not taken, before the import ends.
    let attempts: Int

    private struct Answer: Decodable {
        var accepted: Int?
        var duplicates: Int?
        var rejected: [Refusal]?
        var detail: String?
    }

    /// `key` makes the batch safe to send again, events without ids included; so it always goes again whole.
    func send(_ events: [[UInt8]], key: String) async throws -> Outcome {
        var failures = 0
        // Accepted by attempts that did not take the whole batch: those come back as duplicates, and are none.
        var acceptedBefore = 0
        while true {
            let failure: String
            do {
                let (status, answer) = try await post(events, key: key)
                switch status {
                case 200, 202: return outcome(answer, acceptedBefore: acceptedBefore)
                case 400 where answer.rejected != nil: return outcome(answer, acceptedBefore: acceptedBefore)
                case 429, 500..<600:
                    acceptedBefore += answer.accepted ?? 0
                    failure = "\(status) \(answer.detail ?? "")"
                default:
                    throw CommandFailure("\(url) answered \(status): \(answer.detail ?? "no reason given")")
                }
            } catch let error as CommandFailure {
                throw error
            } catch {
                failure = "\(error)"
            }
            failures += 1
            guard failures < attempts else { throw CommandFailure("\(url) does not take the events: \(failure)") }
            try await Task.sleep(for: min(.milliseconds(100 << min(failures, 6)), .seconds(5)))
        }
    }

    private func outcome(_ answer: Answer, acceptedBefore: Int) -> Outcome {
        let refusals = answer.rejected ?? []
        let duplicates = max(0, (answer.duplicates ?? 0) - acceptedBefore)
        return Outcome(
            tally: ImportTally(accepted: (answer.accepted ?? 0) - duplicates, duplicates: duplicates, rejected: refusals.count),
            refusals: refusals)
    }

    private func post(_ events: [[UInt8]], key: String) async throws -> (status: UInt, answer: Answer) {
        var body = ByteBuffer()
        body.reserveCapacity(events.reduce(0) { $0 + $1.count + 1 })
        for event in events {
            body.writeBytes(event)
            body.writeInteger(UInt8(ascii: "\n"))
        }
        var request = HTTPClientRequest(url: url + "/api/v1/events/batch" + (waitsForStored ? "?wait=stored&timeout=30" : ""))
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-ndjson")
        request.headers.add(name: "idempotency-key", value: key)
        if compresses {
            request.headers.add(name: "content-encoding", value: "gzip")
            body = ByteBuffer(bytes: try Gzip.compress(body.readableBytesView))
        }
        request.body = .bytes(body)
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        let bytes = try await response.body.collect(upTo: 16 * 1024 * 1024)
        let answer = try? JSONDecoder().decode(Answer.self, from: Data(bytes.readableBytesView))
        return (response.status.code, answer ?? Answer())
    }
}
