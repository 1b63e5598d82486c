internal import AnalyticsCore
internal import Foundation

/// Reads batches and keeps several of them under way until the input is at its end.
struct ImportRun {
    var reader: RecordReader
    let sender: BatchSender
    /// Names the input; part of every batch's key, together with its place and its bytes: the same file gives the same ids again, and
    /// another one under the same name does not.
    let name: String
    /// Names the input and how it is read: what is gone on with.
    let identity: String
    let batchSize: Int
    let inFlight: Int
    /// `nil` keeps no state.
    let statePath: String?
    let progress: ProgressLine

    /// Refused events that are told one by one.
    private static let refusalsTold = 20

    private struct Landed: Sendable {
        var first: Int
        var count: Int
        var outcome: BatchSender.Outcome
    }

    func callAsFunction() async throws -> (tally: ImportTally, seconds: Double) {
        var reader = reader
        var ledger = statePath.flatMap { ImportLedger.load($0, identity: identity) } ?? ImportLedger(identity: identity)
        if ledger.settled > 0 {
            tell("Going on after \(ledger.settled) events")
            var skipped = 0
            while skipped < ledger.settled {
                let records = try await reader.next(min(batchSize, ledger.settled - skipped))
                guard !records.isEmpty else { break }
                skipped += records.count
            }
        }
        let resumedAt = ledger.settled
        var told = 0
        try await withThrowingTaskGroup(of: Landed.self) { group in
            var first = ledger.settled
            var flying = 0
            func land() async throws {
                guard let landed = try await group.next() else { return }
                flying -= 1
                ledger.settle(first: landed.first, count: landed.count, landed.outcome.tally)
                if let statePath { try ledger.save(statePath) }
                tell(landed, &told)
                showProgress(events: ledger.settled - resumedAt, bytes: reader.bytesRead)
            }
            while true {
                let records = try await reader.next(batchSize)
                if records.isEmpty { break }
                if flying == inFlight { try await land() }
                group.addTask { [first, sender, name] in
                    let texts = records.map { String(decoding: $0, as: UTF8.self) }
                    let key = "import-" + Digest.hexadecimal(of: [name, String(first)] + texts)
                    return Landed(first: first, count: records.count, outcome: try await sender.send(records, key: key))
                }
                flying += 1
                first += records.count
            }
            while flying > 0 { try await land() }
        }
        if isatty(STDERR_FILENO) == 1 { tell("") }
        if let statePath { try? FileManager.default.removeItem(atPath: statePath) }
        return (ledger.tally, (ContinuousClock.now - progress.start) / .seconds(1))
    }

    private func tell(_ landed: Landed, _ told: inout Int) {
        for refusal in landed.outcome.refusals where told < Self.refusalsTold {
            told += 1
            tell("record \(landed.first + refusal.index + 1): \(refusal.code): \(refusal.message)")
        }
    }

    private func showProgress(events: Int, bytes: Int) {
        let text = progress.text(events: events, bytes: bytes)
        // A terminal's line is written over; a log gets a line every hundred batches.
        if isatty(STDERR_FILENO) == 1 {
            FileHandle.standardError.write(Data("\r\(text)   ".utf8))
        } else if events % (batchSize * 100) == 0 {
            tell(text)
        }
    }

    private func tell(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
